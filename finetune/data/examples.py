"""Encodes conversations as the examples of a run: selected, held out, or left out."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from base_models.messages import Encoded, Message, examples_of
from domain import FinetuneConfig
from finetune.data.data_check import is_held_out
from finetune.errors import FinetuneError


@dataclass(frozen=True)
class TrainingData:
    """The examples of one run, and how many were left out and why."""

    examples: list[Any]
    """:class:`~base_models.Encoded`, or for a classifier :class:`~base_models.Classified`."""
    numbers: Sequence[int]
    """What errors call each example: its place among the conversations of the caller, from 1."""
    held_out: Sequence[Any] = ()
    """Examples that are evaluated and not trained on."""
    too_long: int = 0
    """Answers left out because they do not fit into ``max_length`` even without the earlier turns."""
    over_budget: int = 0
    """Examples left out because of ``max_train_tokens``."""
    shortened: int = 0
    """Examples that begin later than their conversation, which is longer than ``max_length``."""

    @property
    def labelled_tokens(self) -> int:
        return sum(example.targets for example in self.examples)

    def sha256(self) -> str:
        """Hash of every id and label, in order: runs with equal hashes train on equal examples and evaluate equal
        held-out ones."""
        digest = hashlib.sha256()
        for example in [*self.examples, *self.held_out]:
            digest.update(repr(example).encode())
        return digest.hexdigest()


def choose_examples(
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Sequence[Message]],
    config: FinetuneConfig,
    general: Sequence[Sequence[Message]] = (),
) -> TrainingData:
    """Encode the conversations; hold out ``held_out_share`` of them, leave out what exceeds ``max_length``, and
    the rest once ``max_train_tokens`` is reached.

    The order is shuffled with ``config.seed`` first, so that a bounded run sees a fair sample. ``general``
    conversations (:func:`finetune.replay.replayed`) are added; of a bounded run they take
    ``replay_share`` of its tokens.
    """
    encoded, held_out = _encode(tokenizer, conversations, config)
    fitting = [(number, example) for number, example in encoded if len(example.ids) <= config.max_length]
    _check_not_empty(config, encoded, fitting, held_out)
    random.Random(config.seed).shuffle(fitting)
    selected = _replay_examples(tokenizer, general, config, first_number=len(conversations) + 1)
    replayed = len(selected)
    selected += _within_budget(fitting, config, used=sum(len(example.ids) for _, example in selected))
    if len(selected) == replayed:
        shortest = min(len(example.ids) for _, example in fitting)
        raise FinetuneError(
            f"max_train_tokens={config.max_train_tokens} is too low: the shortest example has {shortest} tokens, and "
            f"num_train_epochs is {config.num_train_epochs:g}; raise it."
        )
    over_budget = len(fitting) - (len(selected) - replayed)
    if replayed:
        random.Random(config.seed).shuffle(selected)
    return TrainingData(
        examples=[example for _, example in selected],
        numbers=[number for number, _ in selected],
        held_out=held_out,
        too_long=len(encoded) - len(fitting),
        over_budget=over_budget,
        shortened=sum(example.shortened for _, example in selected),
    )


Numbered = list[tuple[int, Encoded]]
"""Examples with the number of their conversation."""


def _encode(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[Message]], config: FinetuneConfig
) -> tuple[Numbered, list[Encoded]]:
    """The examples to train on, and the held-out ones that fit."""
    encoded: Numbered = []
    held_out: list[Encoded] = []
    for number, messages in enumerate(conversations, start=1):
        if not messages or messages[-1]["role"] not in ("assistant", "text"):
            raise FinetuneError(f"example {number} does not end with an answer of the assistant; add one.")
        examples = examples_of(tokenizer, messages, config.max_length, last_only=config.labels == "last")
        if is_held_out(messages, config.held_out_share):
            held_out += [example for example in examples if len(example.ids) <= config.max_length]
        else:
            encoded += [(number, example) for example in examples]
    return encoded, held_out


def _check_not_empty(config: FinetuneConfig, encoded: Numbered, fitting: Numbered, held_out: list[Encoded]) -> None:
    share = f"held_out_share={config.held_out_share:g}"
    if config.held_out_share and not held_out and encoded:
        raise FinetuneError(f"{share} holds out none of the {len(encoded)} examples; raise it, or set it to 0.")
    if fitting:
        return
    reason = "there are no examples to train on; write questions/train.jsonl first."
    if encoded:
        reason = f"all {len(encoded)} examples are longer than max_length={config.max_length} tokens; raise it."
    elif held_out:
        reason = f"{share} holds out all {len(held_out)} examples; lower it."
    raise FinetuneError(reason)


def _replay_examples(
    tokenizer: PreTrainedTokenizerBase, general: Sequence[Sequence[Message]], config: FinetuneConfig, first_number: int
) -> Numbered:
    selected: Numbered = []
    used = 0
    for number, messages in enumerate(general, start=first_number):
        (example,) = examples_of(tokenizer, messages)
        room = _budget(config) * config.replay_share - used if config.max_train_tokens else config.max_length
        if len(example.ids) <= min(room, config.max_length):
            used += len(example.ids)
            selected.append((number, example))
    return selected


def _within_budget(examples: Numbered, config: FinetuneConfig, used: int) -> Numbered:
    """Those that fit into ``max_train_tokens`` after ``used`` tokens, in order."""
    selected: Numbered = []
    for number, example in examples:
        if config.max_train_tokens and used + len(example.ids) > _budget(config):
            continue
        used += len(example.ids)
        selected.append((number, example))
    return selected


def _budget(config: FinetuneConfig) -> float:
    """``max_train_tokens`` of one epoch."""
    return config.max_train_tokens / config.num_train_epochs
