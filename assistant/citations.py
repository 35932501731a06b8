"""Citations: which passage each sentence of an answer rests on.

The numbers are computed, not written by the model: small models forget them, or invent them (measured, see
docs/design.md). A sentence points to the passage that holds the largest share of its words, if that share is large
enough. Where none holds them, in another language or in other words, it points to the passage with the sentence that is
nearest in meaning, if that is near enough. A sentence that no passage supports stays without a number, and the reader
sees that.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from indexes import Passage, language_of, sentences_of, words_of

WRITTEN = re.compile(r"\s*[\[【]\s*\d{1,2}\s*[\]】]")
"""A number that the model wrote itself, as it may have seen in books."""

FENCE = re.compile(r"```\w*|~~~\w*")
"""Where a listing of Markdown begins and ends: quoted on one line it would make code of the rest."""

SUPPORT = 0.4
"""Share of a sentence's distinct words that a passage must hold to be cited for it."""

NEAR = {"en": 0.87, "zh": 0.93, "across": 0.81}
"""Least cosine of a sentence and the nearest sentence of a passage that is cited for its meaning alone: both English,
both Chinese, or across languages. Of the gold answers' sentences of the sample's training questions, 90 to 95 % are
nearer to their own page (multilingual-e5-small; a trial whose script was not kept)."""

LATER_PASSAGE = 0.02
"""By how much the nearest sentence of a passage must be nearer for each rank that it was found later. Chosen like that
of the key sentences (``indexes/evidence.py``)."""

LONGEST_QUOTE = 400
"""Characters of the longest quoted sentence. Chosen."""

Likeness = np.ndarray[Any, np.dtype[np.float32]]
"""Cosines, float32 [sentences, passages]: of each sentence of an answer and the nearest sentence of each passage."""


@dataclass(frozen=True)
class Citation:
    """One passage that an answer points to, under the number that stands in the text."""

    number: int
    passage: Passage


def answer_sentences(answer: str) -> list[str]:
    """The sentences of an answer, without numbers that the model wrote itself; joined they are the answer again."""
    return sentences_of(WRITTEN.sub("", answer).strip())


def sources_of(
    sentences: Sequence[str], passages: Sequence[Passage], likeness: Likeness | None, ranks: Sequence[int] | None = None
) -> list[int | None]:
    """For each sentence the position of the passage that supports it, or None.

    Of two passages that are about as near in meaning the one that was found first is meant; ``ranks`` tell that, and
    without them all were found alike.
    """
    handicap = LATER_PASSAGE * np.array(ranks if ranks is not None else [0] * len(passages))
    return [
        _source(sentence, passages, None if likeness is None else likeness[position], handicap)
        for position, sentence in enumerate(sentences)
    ]


class Numbers:
    """Numbers the passages of one answer in the order in which they are cited, from 1."""

    def __init__(self) -> None:
        self.citations: list[Citation] = []

    def cite(self, sentences: Sequence[str], sources: Sequence[int | None], passages: Sequence[Passage]) -> str:
        """The sentences with a number behind each run of them that rest on one passage."""
        text = ""
        for sentence, source, following in zip(sentences, sources, [*sources, None][1:], strict=True):
            if source is None or source == following:
                text += sentence
            else:
                said = sentence.rstrip()
                text += f"{said} [{self._of(passages[source])}]{sentence[len(said) :] or ' '}"
        return text.strip()

    def quote(self, quotes: Sequence[tuple[str, Passage]]) -> str:
        """Quoted sentences as Markdown quotations, a paragraph for each passage, with its number."""
        paragraphs = []
        for passage, group in groupby(quotes, key=lambda quote: quote[1]):
            said = quoted([sentence for sentence, _ in group], passage.text)
            paragraphs.append(f"> {said} [{self._of(passage)}]")
        return "\n\n".join(paragraphs)

    def _of(self, passage: Passage) -> int:
        known = next((citation for citation in self.citations if citation.passage.id == passage.id), None)
        if known is None:
            known = Citation(len(self.citations) + 1, passage)
            self.citations.append(known)
        return known.number


def quoted(sentences: Sequence[str], text: str) -> str:
    """Sentences of a text on one line, ``…`` where others were left out between them.

    What is longer than :data:`LONGEST_QUOTE` characters is cut: a table or a listing may count as one sentence.
    """
    said, end = "", 0
    for sentence in sentences:
        start = text.find(sentence, end)
        said += (" " if not text[end:start].strip() else " … ") if said else ""
        line = " ".join(FENCE.sub(" ", sentence).split())
        said += line if len(line) <= LONGEST_QUOTE else f"{line[:LONGEST_QUOTE].rstrip()} …"
        end = start + len(sentence)
    return said


def support(sentence: str, passage: Passage) -> float:
    """Share of the distinct words (pairs of characters in Chinese) of a sentence that a passage holds; 0 to 1."""
    said = set(words_of(sentence))
    held = set(words_of(" ".join((*passage.headings, passage.text))))
    return len(said & held) / len(said) if said else 0.0


def _source(sentence: str, passages: Sequence[Passage], likeness: Likeness | None, handicap: np.ndarray) -> int | None:
    """Position of the passage that supports a sentence, or None."""
    if not passages or not words_of(sentence):
        return None
    shares = [support(sentence, passage) for passage in passages]
    best = max(range(len(shares)), key=shares.__getitem__)
    if shares[best] >= SUPPORT:
        return best
    if likeness is None:
        return None
    nearest = int(np.argmax(likeness - handicap))
    languages = {language_of(sentence), language_of(passages[nearest].text)}
    return nearest if likeness[nearest] >= NEAR[languages.pop() if len(languages) == 1 else "across"] else None
