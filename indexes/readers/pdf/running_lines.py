"""Find headers, footers and page numbers: lines that many pages share at their edges."""

import re
from collections.abc import Iterator

_EDGE = 3
"""Lines that are examined at the top and at the bottom of a page."""
_FEWEST = 3
"""Minimum pages with the same line before it counts as a header."""
_DENSITY = 3
"""A line without a page number must be on one in this many of the pages from its first to its last: odd and even pages
may differ, and the first pages of chapters may have no header. A word that often starts a page ("Note") is rarer."""

_COUNTER = "\0"
"""Replaces the page number."""

_Key = tuple[bool, str, int]


def running_lines(pages: list[list[str]]) -> list[set[int]]:
    """The indexes of the header and footer lines of each page.

    These are the same at the same edge of many pages, except for a number that counts the pages. A table whose rows
    merely have numbers in the same places is not a header. The price: the column names of a table over many pages are
    removed too.
    """
    standing: dict[_Key, list[int]] = {}
    for index, lines in enumerate(pages):
        for key in {key for _, key in _edges(index, lines)}:
            standing.setdefault(key, []).append(index)
    running = {
        key
        for key, on in standing.items()
        if len(on) >= _FEWEST and (_COUNTER in key[1] or on[-1] - on[0] < _DENSITY * len(on))
    }
    return [{number for number, key in _edges(index, lines) if key in running} for index, lines in enumerate(pages)]


def _edges(index: int, lines: list[str]) -> Iterator[tuple[int, _Key]]:
    """Each line at an edge with its index, in every reading: as it is, and with one number as page counter."""
    filled = [number for number, line in enumerate(lines) if line]
    for bottom, numbers in ((False, filled[:_EDGE]), (True, filled[_EDGE:][-_EDGE:] if filled[_EDGE:] else filled[1:])):
        for number in numbers:
            line = " ".join(lines[number].split())
            yield number, (bottom, line, 0)
            for match in re.finditer(r"(?a:\d{1,5})", line):
                yield number, (bottom, f"{line[: match.start()]}{_COUNTER}{line[match.end() :]}", int(match[0]) - index)
