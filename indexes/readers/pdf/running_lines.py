"""Headers, footers and page numbers: lines that many pages share at their edge."""

import re
from collections.abc import Iterator

_EDGE = 3
"""Lines at the top and at the bottom of a page in which to look."""
_FEWEST = 3
"""Pages on which a line stands before it is taken for a header."""
_DENSITY = 3
"""Of the pages from its first to its last, a line without a number stands on one of so many: odd and even pages may
have their own, and the first pages of chapters none. A word that often begins a page, such as "Note", is rarer."""

_COUNTER = "\0"
"""In the place of the number."""

_Key = tuple[bool, str, int]


def running_lines(pages: list[list[str]]) -> list[set[int]]:
    """For each page the numbers of its lines that are headers or footers.

    These stand alike at the same edge of page after page, but for a number that counts the pages; a table whose
    rows merely have figures in the same places is not taken for one. The price: the column names of a table that
    runs over many pages go too.
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
    """Each line at an edge by its number, under every reading of it: as it is, and with one number counting pages."""
    filled = [number for number, line in enumerate(lines) if line]
    for bottom, numbers in ((False, filled[:_EDGE]), (True, filled[_EDGE:][-_EDGE:] if filled[_EDGE:] else filled[1:])):
        for number in numbers:
            line = " ".join(lines[number].split())
            yield number, (bottom, line, 0)
            for match in re.finditer(r"(?a:\d{1,5})", line):
                yield number, (bottom, f"{line[: match.start()]}{_COUNTER}{line[match.end() :]}", int(match[0]) - index)
