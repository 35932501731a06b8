"""Merge a header of two or three rows, detected by its merged cells, into one: ``Frame Weight kg``."""

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from indexes.readers.tables.cell_kinds import ORDERED, kind_of
from indexes.readers.tables.header_rows import header_row, ordered_names

_SENTENCE = re.compile(r"[。！!]$|\w[.?？]\s")
MAX_LEVELS = 3
"""Maximum rows of a header."""
_MAX_MERGES, _MAX_WIDTH = 200, 1000
"""Maximum merged cells and columns of a header: overlapping cells cost their product."""
MAX_NAME = 100
"""Maximum characters of a column's name in one row of the header."""


class Merge(NamedTuple):
    """First and last row and column of a merged cell, from 0."""

    top: int
    left: int
    bottom: int
    right: int


def trimmed(row: Sequence[str]) -> list[str]:
    """The row without the empty cells at its end."""
    cells = list(row)
    while cells and not cells[-1]:
        cells.pop()
    return cells


def with_one_header(
    rows: Sequence[Sequence[str]], merges: Sequence[Merge], stated: bool = False
) -> tuple[list[str], list[Sequence[str]]] | None:
    """Titles above a header of several rows, and the rows with the merged header first; None without such a header.

    A cell over several columns names a group, and the row below names each of its columns. ``stated`` means that the
    table marks its header, so that it need not be distinguished from data below a cell that is merged by chance.
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
    body = rows[last + 1 :]
    if not stated and (loose or not (ungrouped or _alike(groups, levels[-1]) or _are_all_names(levels[-1], body))):
        return None
    names = trimmed([" ".join(dict.fromkeys(filter(None, parts))) for parts in zip(*levels, strict=True)])
    if not all(names[1:]) or len(set(names)) < len(names):
        return None
    if any(len(text) > MAX_NAME or _SENTENCE.search(text) for texts in levels for text in texts):
        return None
    spans = [range(group.left, group.right + 1) for group in groups] or [range(width)]
    if not all(_may_name(levels[-1], span, body) for span in spans):
        return None
    return ["".join(row) for row in rows[:top] if any(row)], [names, *body]


def _last_level(merges: Sequence[Merge], top: int) -> int:
    """The last row of a header that starts in row ``top``: each group is followed by a row with its names."""
    last, reach = top - 1, top
    while last < reach <= top + MAX_LEVELS:
        last = reach
        reach = max((merge.bottom + (merge.right > merge.left) for merge in merges if merge.top <= last), default=top)
    return max(last, reach)


def _are_all_names(names: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether the last level is a header by itself without repeated names; a form has repeated ones."""
    return len(set(names)) == len(names) and header_row([names, *body]) == 0


def _alike(groups: Sequence[Merge], names: Sequence[str]) -> bool:
    """Whether there are several groups, all with the same names below them."""
    below = [tuple(names[group.left : group.right + 1]) for group in groups if group.top == groups[0].top]
    return len(below) > 1 and len(set(below)) == 1


def _may_name(names: Sequence[str], columns: Sequence[int], body: Sequence[Sequence[str]]) -> bool:
    """Whether the cells below a group are names, even if they are numbers."""
    numbers = [column for column in columns if column < len(names) and kind_of(names[column]) in ORDERED]
    below = [[row[column] for row in body if column < len(row) and row[column]] for column in numbers]
    return not numbers or ordered_names([names[column] for column in numbers], below)
