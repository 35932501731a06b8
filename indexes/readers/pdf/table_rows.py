"""Tables of a PDF: cells to columns by where they stand, and rows with the names of their columns, as of any format."""

from collections.abc import Sequence
from itertools import groupby, pairwise

from indexes.readers.tables.table_text import Header, table_items

Cell = tuple[float, float, str]
"""Where a cell begins and ends along its line, in points, and what it says."""


def with_named_cells(
    lines: Sequence[str], cells: Sequence[Sequence[Cell]], before: Header | None
) -> tuple[list[str], Header | None]:
    """The lines of a page with each row of a table behind the names of its columns; and the header of the last table.

    A table at the beginning of the page may go on with the one at the end of the page ``before``.
    """
    found = list(lines)
    filled = [number for number, line in enumerate(lines) if line]
    runs = groupby(filled, key=lambda number: bool(cells[number]))
    for is_table, numbers in runs:
        run = list(numbers)
        if not is_table:
            before = None
            continue
        rows = _whole_rows(in_columns([cells[number] for number in run]))
        items, before = table_items(rows, before)
        for number, item in zip(run, [*items, *[""] * len(run)], strict=False):
            found[number] = item
    return found, before


def in_columns(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """The texts of rows by column: what is empty stays empty, and no cell moves into the place of another.

    The columns are those of the rows that have most cells; where these do not agree, the cells stay as they come.
    """
    width = max(map(len, rows), default=0)
    full = [row for row in rows if len(row) == width]
    columns = [(min(cell[0] for cell in column), max(cell[1] for cell in column)) for column in zip(*full, strict=True)]
    if any(left[1] > right[0] for left, right in pairwise(columns)):
        return [[text for _, _, text in row] for row in rows]
    placed = []
    for row in rows:
        texts = [""] * width
        for start, end, text in row:
            at = max(range(width), key=lambda column: _likeness((start, end), columns[column]))
            texts[at] = f"{texts[at]} {text}".strip()
        placed.append(texts)
    return placed


def _likeness(cell: tuple[float, float], column: tuple[float, float]) -> float:
    """How far a cell lies over a column; less than 0 is the distance between them."""
    overlap = min(cell[1], column[1]) - max(cell[0], column[0])
    return overlap if overlap <= 0 else overlap / (column[1] - column[0] + 1)


def _whole_rows(rows: list[list[str]]) -> list[list[str]]:
    """The rows with those joined to the one above that only go on with a text in it."""
    whole: list[list[str]] = []
    for row in rows:
        texts = [text for text in row if text]
        above = whole[-1] if whole else []
        goes_on = bool(texts) and not row[0] and all(text[0].islower() for text in texts)
        if above and goes_on and all(above[column] for column, text in enumerate(row) if text):
            whole[-1] = [f"{one} {other}".strip() for one, other in zip(above, row, strict=True)]
        else:
            whole.append(row)
    return whole
