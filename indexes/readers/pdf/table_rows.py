"""Assign the cells of PDF tables to columns by position, and write rows with their column names as in other formats."""

from collections.abc import Sequence
from itertools import groupby, pairwise

from indexes.readers.tables.table_text import Header, table_items

Cell = tuple[float, float, str]
"""Start and end along the line, in points, and text of a cell."""


def with_named_cells(
    lines: Sequence[str], cells: Sequence[Sequence[Cell]], before: Header | None
) -> tuple[list[str], Header | None]:
    """The lines of a page, with column names in the rows of tables; and the header of the last table.

    A table at the start of the page may continue the one with the header ``before``, at the end of the previous page.
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
    """The texts of rows by column: empty cells stay empty, and no cell moves to another column.

    The columns are those of the rows with the most cells; if these overlap, the cells keep their order.
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
    """How much a cell overlaps a column; a negative value is the distance between them."""
    overlap = min(cell[1], column[1]) - max(cell[0], column[0])
    return overlap if overlap <= 0 else overlap / (column[1] - column[0] + 1)


def _whole_rows(rows: list[list[str]]) -> list[list[str]]:
    """Join rows that only continue the text of the row above to that row."""
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
