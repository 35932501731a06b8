"""Conversations to examples: which are taken, and which are held out."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from base_models.messages import Encoded, Message, examples_of
from domain import FinetuneConfig
from finetune.check import is_held_out
from finetune.errors import FinetuneError


@dataclass(frozen=True)
class Chosen:
    """The examples of one run, and what was left out and why."""

    examples: list[Any]
    """:class:`~base_models.messages.Encoded`, or for a classifier :class:`~base_models.classifier.Classified`."""
    numbers: list[int]
    """The place of each among the conversations that were given, counted from 1."""
    too_long: int
    """How many answers were left out, for they do not fit into ``max_length`` even without what was said before."""
    over_budget: int
    held_out: list[Any]
    """Examples that are looked at and not learnt from."""
    shortened: int = 0
    """How many of the examples begin later than their conversation, which is longer than ``max_length``."""

    @property
    def tokens(self) -> int:
        """Tokens of one epoch."""
        return sum(len(example.ids) for example in self.examples)

    @property
    def labelled_tokens(self) -> int:
        return sum(example.targets for example in self.examples)

    def sha256(self) -> str:
        """Hash of every id and label, in order: two runs with equal hashes learn from equal data, and look at equal
        held-out examples."""
        digest = hashlib.sha256()
        for example in [*self.examples, *self.held_out]:
            digest.update(repr(example).encode())
        return digest.hexdigest()


def choose_examples(
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Sequence[Message]],
    config: FinetuneConfig,
    general: Sequence[Sequence[Message]] = (),
) -> Chosen:
    """Encode the conversations; hold out ``held_out_share`` of them, leave out what does not fit ``max_length``, and
    the rest once ``max_train_tokens`` is reached.

    The order is shuffled with ``config.seed`` first, so that a bounded run sees a fair sample. ``general``
    conversations (:func:`finetune.replay.replayed`) are learnt beside them, of a bounded run in ``replay_share`` of its
    tokens.
    """
    encoded: list[tuple[int, Encoded]] = []
    held_out: list[Encoded] = []
    for number, messages in enumerate(conversations, start=1):
        if not messages or messages[-1]["role"] not in ("assistant", "text"):
            raise FinetuneError(
                f"example {number} does not end with an answer of the assistant; there is nothing to learn."
            )
        examples = examples_of(tokenizer, messages, config.max_length, last_only=config.labels == "last")
        if is_held_out(messages, config.held_out_share):
            held_out += [example for example in examples if len(example.ids) <= config.max_length]
        else:
            encoded += [(number, example) for example in examples]
    fitting = [(number, example) for number, example in encoded if len(example.ids) <= config.max_length]
    if config.held_out_share and not held_out and encoded:
        raise FinetuneError(
            f"held_out_share={config.held_out_share:g} holds out none of the {len(encoded)} examples; raise it, or "
            "leave it out."
        )
    if not fitting:
        reason = "there are no examples to learn from; write questions/train.jsonl first."
        if encoded:
            reason = f"none of the {len(encoded)} examples fits into max_length={config.max_length} tokens; raise it."
        elif held_out:
            share = f"held_out_share={config.held_out_share:g}"
            reason = f"{share} holds out every one of the {len(held_out)} examples; lower it."
        raise FinetuneError(reason)
    random.Random(config.seed).shuffle(fitting)
    chosen: list[tuple[int, Encoded]] = []
    budget = config.max_train_tokens / config.num_train_epochs
    used = 0
    for number, messages in enumerate(general, start=len(conversations) + 1):
        (example,) = examples_of(tokenizer, messages)
        room = budget * config.replay_share - used if config.max_train_tokens else config.max_length
        if len(example.ids) <= min(room, config.max_length):
            used += len(example.ids)
            chosen.append((number, example))
    of_general = len(chosen)
    for number, example in fitting:
        if config.max_train_tokens and used + len(example.ids) > budget:
            continue
        used += len(example.ids)
        chosen.append((number, example))
    if len(chosen) == of_general:
        shortest = min(len(example.ids) for _, example in fitting)
        raise FinetuneError(
            f"max_train_tokens={config.max_train_tokens} is too few: the shortest example has {shortest} tokens and is "
            f"read num_train_epochs={config.num_train_epochs:g} times; raise it."
        )
    over_budget = len(fitting) - (len(chosen) - of_general)
    if of_general:
        random.Random(config.seed).shuffle(chosen)
    return Chosen(
        [example for _, example in chosen],
        [number for number, _ in chosen],
        len(encoded) - len(fitting),
        over_budget,
        held_out,
        sum(example.shortened for _, example in chosen),
    )
