"""Find the superscripts of PDF lines by size and height, and mark them as in other formats (``superscripts.py``)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from indexes.readers.pdf.columns import Line
from indexes.readers.superscripts import marked

_NUMBER_INSIDE = re.compile(r"(?<=\S)[-+\u2212\u2013]?\d+")
_SMALLER = 0.9
"""Maximum size of a superscript, relative to its line. Chosen; programs take 0.58 to 0.83."""
_LOWEST, _HIGHEST = 0.2, 1.0
"""Range of the height of a superscript above its line, in ems."""
_ADJACENT = 0.3
"""Maximum gap between a superscript and its word, in ems."""
_SPACE = 0.15
"""Minimum gap that is a space, in ems."""


def is_raised(base: float, size: float, line_base: float, line_size: float) -> bool:
    """Whether text with this baseline and font size is a superscript of the line."""
    height = (base - line_base) / line_size
    return size <= _SMALLER * line_size and _LOWEST <= height <= _HIGHEST


def with_superscripts(word: str, is_raised: Callable[[int], bool]) -> str:
    """A word with its raised numbers marked; ``is_raised`` is called with the index of a character."""
    parts: list[str] = []
    done = 0
    for match in _NUMBER_INSIDE.finditer(word):
        first = match.end()
        while first > match.start() and is_raised(first - 1):
            first -= 1
        if first < match.end():
            parts += [word[done:first], marked(word[first : match.end()], word[:first])]
            done = match.end()
    return "".join([*parts, word[done:]])


def with_raised_lines(lines: Sequence[Line]) -> tuple[list[Line], list[int]]:
    """Join superscripts that pdfium returns as lines of their own; and the index of each line's place in the result.

    The text after the superscript is a line too, which continues the joined one.
    """
    joined: list[Line] = []
    places: list[int] = []
    is_open = False  # the last line ends with a superscript
    for line in lines:
        before = joined[-1] if joined else Line("")
        adjoins = bool(before.words and line.words) and before.turned == line.turned
        gap = (line.start - before.end) / before.size if adjoins else 0.0
        rises = adjoins and is_raised(line.base, line.size, before.base, before.size)
        is_level = adjoins and abs(line.base - before.base) < 0.1 * before.size
        if rises and abs(gap) < _ADJACENT:
            text = marked(line.text, before.text) if line.text.isdigit() else line.text
            joined[-1], is_open = _together(before, line, text), True
        elif is_level and -_ADJACENT < gap < (1 if is_open else _SPACE):
            text = f" {line.text}" if gap >= _SPACE else line.text
            joined[-1], is_open = _together(before, line, text), False
        else:
            joined.append(line)
            is_open = False
        places.append(len(joined) - 1)
    return joined, places


def _together(line: Line, after: Line, text: str) -> Line:
    words, places = [*line.words, *after.words], [*line.places, *after.places]
    return replace(line, text=line.text + text, words=words, places=places)
