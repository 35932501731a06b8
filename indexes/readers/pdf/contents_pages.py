"""Recognise two kinds of useless PDF text: tables of contents, and garbled letters."""

import re

_CONTENTS = re.compile(r".*?(?:\.{4,}|(?:\. ){4,}|…{2,}|·{4,}|(?:· ){4,}|_{6,})\s*\|?\s*(?:[\divxlc]{1,5}|\d+-\d+)\s*")
_FEWEST = 3
"""Minimum lines with dots and a page number in a table of contents."""
_WORD = re.compile(r"\S{4,}")
_STRANGE = re.compile(
    r"[^\W\d_][A-Z](?=[^\W\d_]*[a-z])|[a-z][A-Z]|[^\W\d_]\d[^\W\d_]|\d[^\W\d_]\d|[a-zA-Z][!-&(*+/:-@\[-`{-~][a-zA-Z]"
)
"""Letters, capitals, digits and signs mixed within a word, as a font with a wrong character table has them."""
_VOWEL = re.compile(r"[aeiouyäöüáéíóúàèìòùâêîôûåøœæ]", re.IGNORECASE)
_FEWEST_WORDS = 12
_MOST_STRANGE = 0.4


def is_contents(line: str) -> bool:
    """Whether a line refers to a page: ``3.2 Pumps ......... 17``."""
    return _CONTENTS.fullmatch(line) is not None


def without_contents(lines: list[str]) -> list[str]:
    """Empty the lines of a table of contents: a search should find the page, not its number."""
    found = [number for number, line in enumerate(lines) if line and is_contents(line)]
    if len(found) < _FEWEST:
        return lines
    return ["" if number in found else line for number, line in enumerate(lines)]


def is_garbled(text: str) -> bool:
    """Whether a Latin text is unreadable because of a font with a wrong character table: "3HQt]H" for "Penize"."""
    found = _WORD.findall(text)
    words = [word for word in found if re.search(r"[A-Za-z]", word) and not re.search(r"[/@_\\]", word)]
    if len(words) < _FEWEST_WORDS or len("".join(words)) < 0.5 * len("".join(text.split())):
        return False
    strange = sum(_STRANGE.search(word) is not None or not _VOWEL.search(word) for word in words)
    return strange > _MOST_STRANGE * len(words)
