"""Find the header row of a table: the row that differs from the rows below it.

The text of a name decides nothing: ``No.``, ``Pets allowed?``, ``10``, ``20%``, ``2024`` and a long sentence can all
name columns. Each column compares its cell in the row with the cells below (``cell_kinds.py``), and the scores of the
columns are added up:

- numbers, dates, times or codes below a cell of another kind: it is a name (+1);
- the same kind: it is a value like those below (-1, and for codes -2 if the same code occurs below);
- words below words: unknown (0), unless the same words occur below (-1), or only the words below repeat, are long or
  are in another case (+0.5).

Two rules conflict where a row starts with a word and continues with numbers above numbers. A table of years, sizes or
quantity breaks has numbers as names; a table of measurements has not. The numbers are names when they rise (or fall)
from left to right, most of them are outside the range of their columns, and one of these is true: they have another
format (``10`` above ``0.50``), they are years, they have equal steps that the columns do not continue, or the rows
below do not rise (fall) too. Otherwise they are measurements.

At a sum of 0, a row of words is a header if it has more than two columns and no sentence. With two columns, it is one
only if the table is too long to be a list of properties (``City | Paris``).
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from indexes.readers.tables.cell_kinds import ORDERED, common_kind, kind_of, shape_of, value_of

_YEAR = re.compile(r"(?:19|20)\d\d年?")
_SENTENCE = re.compile(r"[。！!;；]$|\w[.?？]\s|(?:\S+\s){7}.*[.?!]$|.{15}[？?]$")
_SAMPLE = 60
"""Rows that are examined."""
_ABOVE = 20
"""Maximum rows above the header."""
_PROPERTIES = 20
"""A table of two columns with more rows is not a list of properties. Chosen."""
_LONGEST_NAME = 60
"""Maximum characters of a name without other evidence. Chosen."""
_CATEGORIES = 0.7
"""Largest share of different words in a column of categories. Chosen."""
_SHORT, _LONG = 20, 25
"""Maximum characters of a name, and minimum characters of the cells below it, in a column of texts. Chosen."""
_UNIT = re.compile(r"[(（\[][^()（）\[\]]{1,15}[)）\]]|[^\s\d]{1,8}\d?|[^\s\d]{1,6}\s?/\s?[^\s\d]{1,6}|°\s?[CF]")
_UNIT_WORD = re.compile(r"(?:in\s)?units?:?|[单單]位[:：]?", re.IGNORECASE)


def header_row(rows: Sequence[Sequence[str]], marked: Sequence[bool] = ()) -> int | None:
    """The index of the header row among rows that are not empty; None if there is none.

    Rows above it are titles and remarks. ``marked`` flags the rows that the format highlights, for example in bold: a
    marked row above unmarked rows is a header.
    """
    if any(marked) and not all(marked):
        number = next(number for number, mark in enumerate(marked) if mark)
        if number < _ABOVE and not any(marked[number + 1 : number + 3]) and number + 1 < len(rows):
            return number
    sample = rows[:_SAMPLE]
    widths = [sum(map(bool, row)) + _has_empty_corner(row) for row in sample]
    usual = max(set(widths), key=lambda width: (widths.count(width), width == widths[0], width), default=0)
    kinds = [list(map(kind_of, row)) for row in sample]
    best, most = None, 0.0
    for number in range(min(len(sample) - 1, _ABOVE)):
        if widths[number] < max(2, usual - 1):
            continue
        units = bool(units_below(sample[number], sample[number + 1 :]))
        score = _score(sample[number], kinds[number], sample[number + 1 + units :], kinds[number + 1 + units :])
        if score > most and (usual > 2 or len(rows) - number > 2):
            best, most = number, score
        if widths[number] >= usual and score <= 0:
            return number if best is None and score == 0 and _may_name(sample[number], rows[number:], usual) else best
    return best


def units_below(names: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """The first row below the names if it holds units: short words above numbers only; else empty."""
    if len(body) < 2:
        return []
    units = ["" if not column and _UNIT_WORD.fullmatch(cell) else cell for column, cell in enumerate(body[0])]
    are_units = all(
        column < len(names)
        and _UNIT.fullmatch(unit)
        and kind_of(unit) not in ORDERED
        and common_kind([kind_of(row[column]) for row in body[1:_SAMPLE] if column < len(row)]) in ORDERED
        for column, unit in enumerate(units)
        if unit
    )
    return units if any(units) and are_units else []


def typed_columns(body: Sequence[Sequence[str]]) -> dict[int, str]:
    """The kind of each column below a header, without columns of words or of mixed kinds."""
    kinds = [list(map(kind_of, row)) for row in body[:_SAMPLE]]
    common = {column: common_kind(_column(kinds, column)) for column in range(max(map(len, kinds), default=0))}
    return {column: kind for column, kind in common.items() if kind not in ("", "words")}


def ordered_names(names: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether numbers above columns of numbers are names (see the module docstring); ``below`` is by column."""
    if len(names) == 1:
        return bool(_YEAR.fullmatch(names[0])) and not any(map(_YEAR.fullmatch, below[0]))
    values = list(map(value_of, names))
    if not (_rises(values) or _rises(values[::-1])):
        return False
    columns = [list(map(value_of, cells)) for cells in below]
    outside = [not cells or not min(cells) <= value <= max(cells) for value, cells in zip(values, columns, strict=True)]
    if 3 * sum(outside) < 2 * len(names):
        return False
    shapes = {shape_of(name) for name in names}
    if all(map(_YEAR.fullmatch, names)) or shapes.isdisjoint(shape_of(cell) for cells in below for cell in cells):
        return True
    if _in_equal_steps(values) and all(outside):
        return not all(_rises(way) for way in ([value, *cells] for value, cells in zip(values, columns, strict=True)))
    if _rises(values[::-1]):
        columns.reverse()
    return not all(_rises(row) for row in zip(*columns, strict=False))


def _in_equal_steps(values: Sequence[float]) -> bool:
    """Whether the values are evenly spaced, or each is the same multiple of the one before."""
    steps = {round(other - one, 9) for one, other in pairwise(values)}
    factors = {round(other / one, 9) for one, other in pairwise(values) if one}
    return len(values) > 2 and 1 in (len(steps), len(factors))


def _has_empty_corner(row: Sequence[str]) -> bool:
    return len(row) > 2 and not row[0] and all(row[1:])


def are_questions(cells: Sequence[str]) -> bool:
    """Whether at least half of the cells are questions."""
    return 2 * sum(cell.endswith(("?", "？")) for cell in cells) >= max(1, len(cells))


def _score(
    row: Sequence[str], kinds: Sequence[str], below: Sequence[Sequence[str]], kinds_below: Sequence[Sequence[str]]
) -> float:
    """How much a row differs from those below it; see the module docstring."""
    score = 0.0
    numbers: dict[str, list[int]] = {}
    for column, (name, kind) in enumerate(zip(row, kinds, strict=True)):
        common = common_kind(_column(kinds_below, column))
        if not kind or not common:
            continue
        if kind != common:
            score += 0 if common == "words" and kind not in ORDERED else 1
        elif kind in ORDERED:
            numbers.setdefault(kind, []).append(column)
        else:
            cells = _filled(below, column)
            score += _words_above_words(name, cells) if kind == "words" else -1 - (name in cells)
    for columns in numbers.values():
        are_names = ordered_names([row[column] for column in columns], [_filled(below, column) for column in columns])
        score += len(columns) * (1 if are_names else -1)
    return score


def _words_above_words(name: str, cells: Sequence[str]) -> float:
    if name in cells:
        return -1
    if are_questions(cells):
        return 0 if name.endswith(("?", "？")) else 1
    categories = len(cells) > 2 and len(set(cells)) <= _CATEGORIES * len(cells)
    texts = len(cells) > 1 and len(name) <= _SHORT and all(len(cell) >= _LONG for cell in cells)
    cased = len(cells) > 1 and any(
        is_case(name) and not any(map(is_case, cells)) and any(cell != cell.swapcase() for cell in cells)
        for is_case in (str.islower, str.isupper)
    )
    return 0.5 if categories or texts or cased else 0


def _may_name(row: Sequence[str], rows: Sequence[Sequence[str]], usual: int) -> bool:
    """Whether a row with a score of 0 may be a header."""
    names = [name for name in row if name]
    return (
        (usual > 2 or len(rows) > _PROPERTIES)
        and len(set(names)) == len(names)
        and all(kind_of(name) == "words" or kind_of(name).startswith("code") for name in names)
        and not any(len(name) > _LONGEST_NAME or _SENTENCE.search(name) for name in names)
    )


def _column(rows: Sequence[Sequence[str]], column: int) -> list[str]:
    return [row[column] for row in rows if column < len(row)]


def _filled(rows: Sequence[Sequence[str]], column: int) -> list[str]:
    return [cell for cell in _column(rows, column) if cell]


def _rises(values: Sequence[float]) -> bool:
    return all(one < other for one, other in pairwise(values))
