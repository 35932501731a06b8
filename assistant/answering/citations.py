"""Citations: assigns to each sentence of an answer the passage that supports it.

The numbers are computed, not written by the model: small models omit or invent them (measured, see docs/design.md). A
sentence cites the passage that contains the largest share of its words, if that share is large enough. If none does
(another language, other words), it cites the passage with the sentence nearest in meaning, if that is near enough. An
unsupported sentence gets no number, which the reader can see.
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
"""Matches code, or the number of a citation; ``rows[0] + 1`` contains none."""

FENCE = re.compile(r"```\w*|~~~\w*")
"""Fences of Markdown code blocks: quoted on one line, a fence would turn the following text into code."""

SUPPORT = 0.4
"""Minimum share of a sentence's distinct words that a passage must contain to be cited for it."""

NEAR = {"en": 0.87, "zh": 0.93, "across": 0.81}
"""Minimum cosine of a sentence and the nearest sentence of a passage cited for its meaning alone: both English, both
Chinese, or across languages. Of the gold answers' sentences of the sample's training questions, 90 to 95 % are nearer
to their own page (multilingual-e5-small; the script of this trial was not kept)."""

LATER_PASSAGE = 0.02
"""Handicap per search rank, subtracted from the cosine of a passage's nearest sentence. Chosen like that of the key
sentences (``indexes/evidence.py``)."""

LONGEST_QUOTE = 400
"""Maximum characters of a quoted sentence. Chosen."""

LONGEST_LIST = 1_200
"""Maximum characters of a numbered list that is quoted in full when one of its steps is. Chosen."""

_STEP = re.compile(r"\s*(?P<number>\d{1,2})[.)、]\s")
_TABLE_ROW = re.compile(r"\|.*\|", re.DOTALL)
_TABLE_RULE = re.compile(r"\|[\s:|-]+\|")

Likeness = np.ndarray[Any, np.dtype[np.float32]]
"""Cosines, float32 [sentences, passages], of each sentence of an answer and the nearest sentence of each passage."""


@dataclass(frozen=True)
class Citation:
    """A passage that an answer cites, and its number in the text."""

    number: int
    passage: Passage


def without_numbers(text: str) -> str:
    """Remove citation numbers, ours and the model's own, from a text; code is unchanged."""
    return _CODE_OR_NUMBER.sub(lambda match: match["code"] or "", text)


def answer_sentences(answer: str) -> list[str]:
    """The sentences of an answer without the model's own citation numbers; joined, they are the answer again."""
    return sentences_of(without_numbers(answer).strip())


def sources_of(
    sentences: Sequence[str], passages: Sequence[Passage], likeness: Likeness | None, ranks: Sequence[int] | None = None
) -> list[int | None]:
    """For each sentence the position of the passage that supports it, or None.

    Of two passages about equally near in meaning, the one with the better search rank is taken; without ``ranks`` all
    rank equally.
    """
    handicap = LATER_PASSAGE * np.array(ranks if ranks is not None else [0] * len(passages))
    return [
        _source(sentence, passages, None if likeness is None else likeness[position], handicap)
        for position, sentence in enumerate(sentences)
    ]


class Numbers:
    """Numbers the passages that one answer cites, from 1 in order of citation."""

    def __init__(self) -> None:
        self.citations: list[Citation] = []

    def cite(self, sentences: Sequence[str], sources: Sequence[int | None], passages: Sequence[Passage]) -> str:
        """The sentences, with a citation number after each run of sentences from one passage."""
        text = ""
        for sentence, source, following in zip(sentences, sources, [*sources, None][1:], strict=True):
            if source is None or source == following:
                text += sentence
            else:
                said = sentence.rstrip()
                text += f"{said} [{self._of(passages[source])}]{sentence[len(said) :] or ' '}"
        return text.strip()

    def quote(self, quotes: Sequence[tuple[str, Passage]]) -> str:
        """Quoted sentences as Markdown block quotes: one paragraph per passage, with its number."""
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
    """Join sentences of a text on one line, with ``…`` for skipped ones; list steps and table rows get their own lines.

    A numbered list is quoted with all its steps, because one step alone is of no use. A sentence longer than
    :data:`LONGEST_QUOTE` characters is cut: a code block may count as one sentence.
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
    """The cells of a Markdown table row, each with its column name from the header in the text before it."""
    lines = [line.strip() for line in before.splitlines()]
    header = next((at - 1 for at in range(len(lines) - 1, 0, -1) if _TABLE_RULE.fullmatch(lines[at])), None)
    cells = _cells(row)
    names = [] if header is None else _cells(lines[header])
    if len(names) != len(cells):
        return " | ".join(cells)
    return "; ".join(f"{name}: {cell}" for name, cell in zip(names, cells, strict=True) if cell)


def _cells(row: str) -> list[str]:
    """The cells of a Markdown table row, in which ``\\|`` is a literal character."""
    inner = row.removeprefix("|").removesuffix("|")
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", inner)]


def _with_all_steps(sentences: Sequence[str], text: str) -> list[str]:
    """The sentences in order, with all steps of the numbered lists that they belong to."""
    every = sentences_of(text)
    chosen = {at for at, sentence in enumerate(every) if sentence.strip() in {quote.strip() for quote in sentences}}
    whole = set(chosen)
    for listed in _numbered_lists(every):
        if not chosen.isdisjoint(listed) and sum(len(every[at]) for at in listed) <= LONGEST_LIST:
            whole |= set(listed)
    return list(sentences) if whole == chosen else [every[at].strip() for at in sorted(whole)]


def _numbered_lists(sentences: Sequence[str]) -> list[list[int]]:
    """The positions of the sentences of each numbered list with two steps or more.

    A list ends where its numbers restart, and at a line that starts without a number.
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
    """Share of a sentence's distinct words (pairs of characters in Chinese) that a passage contains, 0 to 1. List
    numbers do not count."""
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
