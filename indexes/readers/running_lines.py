"""Headers, footers and page numbers: lines that many pages share at their edge."""

import re
from collections import Counter
from collections.abc import Iterator

_EDGE = 3
"""Lines at the top and at the bottom of a page in which to look."""
_MANY = 3
"""Pages on which a line stands before it is taken for a header."""

_Key = tuple[bool, str, int]


def running_lines(pages: list[list[str]]) -> list[set[int]]:
    """For each page the numbers of its lines that are headers or footers.

    These stand alike at the same edge of three pages or more, but for a number that counts the pages; a table whose
    rows merely have figures in the same places is not taken for one. The price: the column names of a table that
    runs over many pages go too.
    """
    counts = Counter(key for index, lines in enumerate(pages) for key in {key for _, key in _edges(index, lines)})
    return [
        {number for number, key in _edges(index, lines) if counts[key] >= _MANY} for index, lines in enumerate(pages)
    ]


def _edges(index: int, lines: list[str]) -> Iterator[tuple[int, _Key]]:
    """Each line at an edge by its number, under every reading of it: as it is, and with one number counting pages."""
    filled = [number for number, line in enumerate(lines) if line]
    for bottom, numbers in ((False, filled[:_EDGE]), (True, filled[_EDGE:][-_EDGE:] if filled[_EDGE:] else filled[1:])):
        for number in numbers:
            line = " ".join(lines[number].split())
            yield number, (bottom, line, 0)
            for match in re.finditer(r"(?a:\d{1,5})", line):
                yield number, (bottom, f"{line[: match.start()]}\0{line[match.end() :]}", int(match[0]) - index)
