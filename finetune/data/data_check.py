"""Statistics of training data before a run: lengths, duplicates, and which conversations are held out.

A held-out question that is nearly a training question measures memory, not generalisation. The hash of a conversation
alone decides whether it is held out, so that adding examples does not move old ones from one side to the other.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from base_models.messages import Encoded, Message, examples_of
from domain import FinetuneConfig

NEAR = 0.6
"""Jaccard index of the character trigrams from which on two texts are near-copies. Chosen."""


@dataclass(frozen=True)
class DataReport:
    """The result of :func:`check_data`; numbers count conversations unless they say otherwise."""

    conversations: int
    turns: dict[int, int]
    """Number of conversations by number of answers."""
    examples: int
    """Training examples; more than conversations where those are divided."""
    tokens: int
    labelled_tokens: int
    lengths: dict[str, int]
    """Tokens of an example: median, 90 %, 99 % and the longest."""
    too_long: int
    """Examples that do not fit into max_length and would be left out."""
    shortened: int
    """Examples that begin later than their conversation, so that they fit."""
    duplicates: int
    """Exact copies of other conversations of the file."""
    shown: Encoded
    """The example of median length, as the model sees it."""


def check_data(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[Message]], config: FinetuneConfig
) -> DataReport:
    """Encode all conversations as a run would, and count."""
    last_only = config.labels == "last"
    examples = [
        example
        for messages in conversations
        for example in examples_of(tokenizer, messages, config.max_length, last_only=last_only)
    ]
    examples.sort(key=lambda example: len(example.ids))
    lengths = [len(example.ids) for example in examples]
    texts = Counter(json.dumps(list(messages), sort_keys=True, default=str) for messages in conversations)
    return DataReport(
        conversations=len(conversations),
        turns=dict(sorted(Counter(_answers(messages) for messages in conversations).items())),
        examples=len(examples),
        tokens=sum(lengths),
        labelled_tokens=sum(sum(example.labelled) for example in examples),
        lengths={name: int(np.quantile(lengths, share)) for name, share in QUANTILES.items()},
        too_long=sum(length > config.max_length for length in lengths),
        shortened=sum(example.shortened for example in examples),
        duplicates=len(conversations) - len(texts),
        shown=examples[len(examples) // 2],
    )


QUANTILES = {"median": 0.5, "90 %": 0.9, "99 %": 0.99, "longest": 1.0}


def is_held_out(messages: Sequence[Message], share: float) -> bool:
    """Whether a conversation belongs to the held-out part, which is about ``share`` of all.

    The hash of its questions decides: the same question is always on the same side, whatever other conversations there
    are.
    """
    return int.from_bytes(hashlib.sha256(_asked(messages).encode()).digest()[:8], "big") < share * 2**64


def near_copies(
    held_out: Sequence[Sequence[Message]], train: Sequence[Sequence[Message]]
) -> list[tuple[int, int, float]]:
    """Held-out conversations whose questions are nearly those of a training conversation.

    For each the indices of both and their Jaccard index, from NEAR to 1.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    if not held_out or not train:
        return []
    trigrams = CountVectorizer(analyzer="char", ngram_range=(3, 3), binary=True, dtype=np.int32)
    try:
        known = trigrams.fit_transform([_padded(messages) for messages in train])
    except ValueError:  # all texts are shorter than a trigram
        return []
    sizes = known.sum(axis=1).A1
    found = []
    for place, messages in enumerate(held_out):
        padded = _padded(messages)
        own = len({padded[start : start + 3] for start in range(len(padded) - 2)})
        shared = (known @ trigrams.transform([padded]).T).toarray().ravel()
        jaccard = shared / (sizes + own - shared)
        nearest = int(jaccard.argmax())
        if jaccard[nearest] >= NEAR:
            found.append((place, nearest, float(jaccard[nearest])))
    return found


def _asked(messages: Sequence[Message]) -> str:
    """All turns of the user; of plain text, the text."""
    return " ".join(message["content"] for message in messages if message["role"] in ("user", "text"))


def _answers(messages: Sequence[Message]) -> int:
    return sum(message["role"] in ("assistant", "text") for message in messages)


def _padded(messages: Sequence[Message]) -> str:
    return f" {' '.join(_asked(messages).lower().split())} "
