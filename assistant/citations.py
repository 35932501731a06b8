"""Citations: which passage each sentence of an answer rests on.

The numbers are computed from the words, not written by the model: small models forget them, or invent them (measured,
see docs/design.md). A sentence points to the passage that holds the largest share of its words, if that share is
large enough; a sentence that no passage carries stays without a number, and the reader sees that.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from indexes import Passage, sentences_of, words_of

WRITTEN = re.compile(r"\s*[\[【]\s*\d{1,2}\s*[\]】]")
"""A number that the model wrote itself, as it may have seen in books."""

SUPPORT = 0.4
"""Share of a sentence's distinct words that a passage must hold to be cited for it."""


@dataclass(frozen=True)
class Citation:
    """One passage that an answer points to, under the number that stands in the text."""

    number: int
    passage: Passage


def cite(answer: str, passages: Sequence[Passage]) -> tuple[str, list[Citation]]:
    """The answer with a number behind each run of sentences that rest on one passage, and what the numbers point to.

    Numbers count the cited passages in order of mention, from 1.
    """
    sentences = sentences_of(WRITTEN.sub("", answer).strip())
    sources = [_source(sentence, passages) for sentence in sentences]
    numbers = {source: n for n, source in enumerate(dict.fromkeys(s for s in sources if s is not None), start=1)}
    text = ""
    for sentence, source, following in zip(sentences, sources, [*sources, None][1:], strict=True):
        if source is None or source == following:
            text += sentence
        else:
            said = sentence.rstrip()
            text += f"{said} [{numbers[source]}]{sentence[len(said) :] or ' '}"
    return text.strip(), [Citation(number, passages[source]) for source, number in numbers.items()]


def support(sentence: str, passage: Passage) -> float:
    """Share of the distinct words (pairs of characters in Chinese) of a sentence that a passage holds; 0 to 1."""
    said = set(words_of(sentence))
    held = set(words_of(" ".join((*passage.headings, passage.text))))
    return len(said & held) / len(said) if said else 0.0


def _source(sentence: str, passages: Sequence[Passage]) -> int | None:
    """Position of the passage that carries a sentence, or None."""
    shares = [support(sentence, passage) for passage in passages]
    best = max(range(len(shares)), key=shares.__getitem__, default=None)
    return best if best is not None and shares[best] >= SUPPORT else None
