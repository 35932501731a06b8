"""Join the lines of a page layout into paragraphs, for PDFs and scans."""

import re
from collections.abc import Collection
from enum import Enum, auto

from indexes.language import CJK

SENTENCE_END = re.compile(r"[.!?:。！？：…][\"'”’」』）)\]]*$")
_CJK_BEFORE = re.compile(f"[{CJK}，。、；：！？”）」』》]$")
_CJK_AFTER = re.compile(f"[{CJK}（“「『《]")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LAST_WORD = re.compile(r"((?:[^\W_]+-)*[^\W_]+)-$")
_FIRST_WORD = re.compile(r"[^\W_]+")
_BEFORE_HYPHEN = frozenset(
    [
        "well",
        "self",
        "dual",
        "high",
        "low",
        "long",
        "short",
        "full",
        "cross",
        "double",
        "single",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "user",
        "cost",
        "real",
        "state",
        "large",
        "small",
        "old",
        "new",
        "left",
        "right",
        "decision",
        "problem",
        "upper",
        "inner",
        "outer",
        "non",
        "semi",
        "quasi",
        "twenty",
        "thirty",
    ]
)
"""First halves of hyphenated compounds; few longer words are divided after one of these."""
_ENDING = re.compile(
    r"\w{1,3}|(?:\w{0,3}(?:ings?|ed|ers?|ests?|ment|ments|ness|ity|ized?|ised?|istic|ages?|ward|wards|wise|hood|less))"
)
"""Endings that are not the second half of a compound: high-er, state-ment, real-ized."""


class After(Enum):
    """What follows a line."""

    UNKNOWN = auto()
    MORE = auto()
    """The next line of the same paragraph."""
    LINE = auto()
    """A separate line in the same block: the next row of a table, the next item of a list."""
    PARAGRAPH = auto()


def words_in(lines: list[str]) -> frozenset[str]:
    """The words of a document in lower case, with inner hyphens; without words divided at the end of a line."""
    return frozenset(
        word for line in lines for word in _WORD.findall(line.lower())[: -1 if line.endswith("-") else None]
    )


def paragraphs(lines: list[str], after: list[After], known: Collection[str] = ()) -> list[list[str]]:
    """Join lines into paragraphs; tables and lists keep their lines.

    ``known`` are the words of the document, which decide about a hyphen at the end of a line: see :func:`joined`.

    If it is unknown what follows a line, the paragraph ends at a sentence end well before the right margin.
    """
    margin = 0.75 * max((len(line) for line in lines), default=0)
    found: list[list[str]] = []
    paragraph: list[str] = []
    for line, following in zip(lines, after, strict=True):
        if line:
            paragraph = [*paragraph[:-1], joined(paragraph[-1], line, known)] if paragraph else [line]
        if following is After.UNKNOWN and len(line) < margin and SENTENCE_END.search(line):
            following = After.PARAGRAPH
        if paragraph and (not line or following is After.PARAGRAPH):
            found.append([one for one in paragraph if one])
            paragraph = []
        elif paragraph and following is After.LINE:
            paragraph.append("")
    rest = [line for line in paragraph if line]
    return [*found, rest] if rest else found


def joined(text: str, line: str, known: Collection[str] = ()) -> str:
    """Join two lines: without a space between Chinese characters, else with one; a divided word becomes whole.

    The hyphen of a compound ("well-" and "known") stays. The document decides if it contains the word elsewhere, with
    or without the hyphen; otherwise the first half decides, if it is one that forms compounds.
    """
    if is_divided(text, line):
        first, second = _LAST_WORD.search(text), _FIRST_WORD.match(line)
        assert first
        assert second
        before, after = first[1].lower(), second[0].lower()
        whole, hyphened = before + after in known, f"{before}-{after}" in known
        likely = "-" in before or (before in _BEFORE_HYPHEN and not _ENDING.fullmatch(after))
        stays = hyphened if whole != hyphened else likely
        return (text if stays else text[:-1]) + line
    if not text or (_CJK_BEFORE.search(text) and _CJK_AFTER.match(line)):
        return text + line
    return f"{text} {line}"


def is_divided(text: str, line: str) -> bool:
    """Whether a word is divided between two lines."""
    return re.search(r"[a-z]-$", text) is not None and re.match(r"[a-z]", line) is not None
