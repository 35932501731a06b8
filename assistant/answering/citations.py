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

_NUMBER = r"[\[【]\s*[1-9]\d?\s*[\]】]"
_CODE_OR_NUMBER = re.compile(
    rf"(?P<code>```.*?```|`[^`\n]*`)|\s+{_NUMBER}|(?<![A-Za-z0-9_)\]]){_NUMBER}|(?:{_NUMBER})+(?=\s*(?:[.,;:!?。，；：！？]|$))",
    re.DOTALL | re.MULTILINE,
)
"""A listing, or the number of a citation; in ``rows[0] + 1`` there is none."""

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

LONGEST_LIST = 1_200
"""Characters of the longest numbered list that is quoted whole because one of its steps is. Chosen."""

_STEP = re.compile(r"\s*(?P<number>\d{1,2})[.)、]\s")
_TABLE_ROW = re.compile(r"\|.*\|", re.DOTALL)
_TABLE_RULE = re.compile(r"\|[\s:|-]+\|")

Likeness = np.ndarray[Any, np.dtype[np.float32]]
"""Cosines, float32 [sentences, passages]: of each sentence of an answer and the nearest sentence of each passage."""


@dataclass(frozen=True)
class Citation:
    """One passage that an answer points to, under the number that stands in the text."""

    number: int
    passage: Passage


def without_numbers(text: str) -> str:
    """A text without the numbers of citations, ours or those that the model wrote itself; code stays as it is."""
    return _CODE_OR_NUMBER.sub(lambda match: match["code"] or "", text)


def answer_sentences(answer: str) -> list[str]:
    """The sentences of an answer, without numbers that the model wrote itself; joined they are the answer again."""
    return sentences_of(without_numbers(answer).strip())


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
        return "\n\n".join(dict.fromkeys(paragraphs))

    def _of(self, passage: Passage) -> int:
        known = next((citation for citation in self.citations if citation.passage.id == passage.id), None)
        if known is None:
            known = Citation(len(self.citations) + 1, passage)
            self.citations.append(known)
        return known.number


def quoted(sentences: Sequence[str], text: str) -> str:
    """Sentences of a text on one line, ``…`` where others were left out between them; steps and rows on lines of their
    own.

    Of a numbered list all steps are quoted, for one alone helps nobody. What is longer than :data:`LONGEST_QUOTE`
    characters is cut: a listing may count as one sentence.
    """
    said, end, before_is_row = "", 0, False
    for sentence in _with_all_steps(sentences, text):
        start = text.find(sentence, end)
        skipped = bool(text[end:start].strip())
        line = " ".join(FENCE.sub(" ", sentence).split())
        is_row = bool(_TABLE_ROW.fullmatch(line))
        if said and (is_row or before_is_row):
            said += "  \n> "  # Markdown's line break
        elif said and _STEP.match(sentence):
            said += " …\n> " if skipped else "\n> "
        elif said:
            said += " … " if skipped else " " * bool(text[end:start])
        if is_row:
            line = _row_with_names(line, text[:start])
        before_is_row = is_row
        said += line if len(line) <= LONGEST_QUOTE else f"{line[:LONGEST_QUOTE].rstrip()} …"
        end = start + len(sentence)
    return said


def _row_with_names(row: str, before: str) -> str:
    """The cells of a row of a Markdown table, each with the name of its column, which stands in the text before it."""
    lines = [line.strip() for line in before.splitlines()]
    header = next((at - 1 for at in range(len(lines) - 1, 0, -1) if _TABLE_RULE.fullmatch(lines[at])), None)
    cells = _cells(row)
    names = [] if header is None else _cells(lines[header])
    if len(names) != len(cells):
        return " | ".join(cells)
    return "; ".join(f"{name}: {cell}" for name, cell in zip(names, cells, strict=True) if cell)


def _cells(row: str) -> list[str]:
    """The cells of a row of a Markdown table, in which ``\\|`` is a sign of the text."""
    inner = row.removeprefix("|").removesuffix("|")
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", inner)]


def _with_all_steps(sentences: Sequence[str], text: str) -> list[str]:
    """The sentences in their order, and all of the numbered lists that they stand in."""
    every = sentences_of(text)
    chosen = {at for at, sentence in enumerate(every) if sentence.strip() in {quote.strip() for quote in sentences}}
    whole = set(chosen)
    for listed in _numbered_lists(every):
        if not chosen.isdisjoint(listed) and sum(len(every[at]) for at in listed) <= LONGEST_LIST:
            whole |= set(listed)
    return list(sentences) if whole == chosen else [every[at].strip() for at in sorted(whole)]


def _numbered_lists(sentences: Sequence[str]) -> list[list[int]]:
    """The positions of the sentences of each numbered list of two steps or more.

    A list ends where its numbers begin anew, and where a line begins without a number.
    """
    lists: list[list[int]] = []
    number, begins_line = 0, True
    for at, sentence in enumerate(sentences):
        step = _STEP.match(sentence)
        if step and (not number or int(step["number"]) <= number):
            lists.append([])
        number = int(step["number"]) if step else 0 if begins_line else number
        if number:
            lists[-1].append(at)
        begins_line = sentence.endswith("\n")
    return [listed for listed in lists if sum(bool(_STEP.match(sentences[at])) for at in listed) > 1]


def support(sentence: str, passage: Passage) -> float:
    """Share of the distinct words (pairs of characters in Chinese) of a sentence that a passage holds; 0 to 1. The
    number of an item is no word."""
    said = set(words_of(_STEP.sub("", sentence, count=1)))
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
