"""Which rows of a table name its columns; of two or three rows one is made: ``Frame Weight kg``."""

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

_YEAR = re.compile(r"(?:19|20)\d\d")
_SENTENCE = re.compile(r"[.?!。？！]$")
MAX_LEVELS = 3
"""Rows of a header."""
_MAX_MERGES, _MAX_WIDTH = 200, 1000
"""Merged cells of a header that are looked at, and columns: overlapping ones would cost their product."""
MAX_NAME = 60
"""Characters of a column's name, a row of the header."""


class Merge(NamedTuple):
    """The first and last row and column that a merged cell covers, counted from 0."""

    top: int
    left: int
    bottom: int
    right: int


def looks_like_header(names: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether a first row names columns: see :func:`are_names`.

    Two columns are as often a list of properties (``City | Paris``), in which the first row is like all others: there
    one column must hold nothing but numbers below its name, or the first one questions.
    """
    if not are_names(names) or len(body) < 1:
        return False
    below = [[row[column] for row in body if column < len(row) and row[column]] for column in range(len(names))]
    if any(name and _YEAR.fullmatch(name) and name in cells for name, cells in zip(names, below, strict=True)):
        return False
    if len(trimmed(names)) > 2 or are_questions(below[0]):
        return True
    return any(len(cells) > 1 and all(map(_is_number, cells)) for cells in below)


def are_names(row: Sequence[str]) -> bool:
    """Short texts, all different, none empty but in the corner or at the end, no sentences or numbers but years."""
    names = trimmed(row)
    used = [name for name in names if name]
    return (
        len(names) > 1
        and all(names[1:])
        and len(set(used)) == len(used)
        and all(map(_is_name, used))
        and not _YEAR.fullmatch(names[0])
    )


def trimmed(row: Sequence[str]) -> list[str]:
    """Without the empty cells at its end."""
    cells = list(row)
    while cells and not cells[-1]:
        cells.pop()
    return cells


def with_one_header(
    rows: Sequence[Sequence[str]], merges: Sequence[Merge], stated: bool = False
) -> tuple[list[str], list[Sequence[str]]] | None:
    """Titles above a header of several rows, and the rows with the header as the first; None when there is no such.

    A cell over several columns names a group of them, and the row below it names each. ``stated`` says that the table
    marks its header, so that it need not be told from data below a cell that is merged by chance.
    """
    top = next((number for number, row in enumerate(rows) if sum(map(bool, row)) > 1), len(rows))
    merges = [merge for merge in merges if top <= merge.top < top + MAX_LEVELS and merge.left >= 0][:_MAX_MERGES]
    last = _last_level(merges, top)
    groups = [merge for merge in merges if merge.right > merge.left and merge.bottom < last]
    if not groups or last >= min(top + MAX_LEVELS, len(rows) - 1):
        return None
    width = max(len(row) for row in rows[top : last + 1])
    if width > _MAX_WIDTH:
        return None
    levels = [[*row, *[""] * (width - len(row))] for row in rows[top : last + 1]]
    ungrouped = set(range(width)).difference(*(range(group.left, group.right + 1) for group in groups))
    loose = {(level, column) for level in range(1, len(levels)) for column in ungrouped if levels[level][column]}
    for merge in merges:
        text = levels[merge.top - top][merge.left] if merge.top <= last and merge.left < width else ""
        for row, column in itertools.product(
            range(merge.top, min(merge.bottom, last) + 1), range(merge.left, min(merge.right + 1, width))
        ):
            levels[row - top][column] = text
            loose.discard((row - top, column))
    if not stated and (loose or not (ungrouped or _alike(groups, levels[-1]))):
        return None
    names = trimmed([" ".join(dict.fromkeys(filter(None, parts))) for parts in zip(*levels, strict=True)])
    if not all(names[1:]) or len(set(names)) < len(names):
        return None
    if not all(_is_name(text) for texts in levels for text in texts if text):
        return None
    return ["".join(row) for row in rows[:top] if any(row)], [names, *rows[last + 1 :]]


def _last_level(merges: Sequence[Merge], top: int) -> int:
    """The last row that belongs to a header which begins in row ``top``: below each group comes one with its names."""
    last, reach = top - 1, top
    while last < reach <= top + MAX_LEVELS:
        last = reach
        reach = max((merge.bottom + (merge.right > merge.left) for merge in merges if merge.top <= last), default=top)
    return max(last, reach)


def _alike(groups: Sequence[Merge], names: Sequence[str]) -> bool:
    """Whether there are several groups, all with the same names below them."""
    below = [tuple(names[group.left : group.right + 1]) for group in groups if group.top == groups[0].top]
    return len(below) > 1 and len(set(below)) == 1


def are_questions(cells: Sequence[str]) -> bool:
    """Whether at least half of them are."""
    return 2 * sum(cell.endswith(("?", "？")) for cell in cells) >= max(1, len(cells))


def _is_number(cell: str) -> bool:
    return any(character.isdigit() for character in cell) and not any(character.isalpha() for character in cell)


def _is_name(cell: str) -> bool:
    return (
        len(cell) <= MAX_NAME
        and not _SENTENCE.search(cell)
        and (not _is_number(cell) or _YEAR.fullmatch(cell) is not None)
    )
