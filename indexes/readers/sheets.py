"""A sheet of a workbook as blocks: tables, divided by empty rows, and lines of text between them."""

from collections.abc import Sequence

from indexes.readers.document import TextBuilder
from indexes.readers.header_rows import Merge
from indexes.readers.tables import add_table

TITLE_CHARACTERS = 80


def add_sheet(builder: TextBuilder, name: str, rows: dict[int, list[str]], merges: Sequence[Merge] = ()) -> None:
    """Append a sheet; ``rows`` are texts by row number, in order, without empty rows, ``merges`` count rows likewise.

    The name of the sheet is its outermost heading. A short line above a table, alone in its row, is the heading of it.
    """
    if not rows:
        return
    builder.add(name)
    title: tuple[str, ...] = ()
    by_row: dict[int, list[Merge]] = {}
    for merge in merges:
        by_row.setdefault(merge.top, []).append(merge)
    for top, table in _tables(rows).items():
        left = min(next((column for column, cell in enumerate(row) if cell), 0) for row in table)
        inside = [merge for number in range(top, top + len(table)) for merge in by_row.get(number, ())]
        for row in table:
            del row[:left]
        height, width = len(table), max(map(len, table))
        for merge in inside:  # so that a row of one cell over all columns is known for a title between the rows
            row = table[merge.top - top]
            row += [""] * (min(merge.right + 1 - left, width) - len(row))
        while len(table) > 1 and _alone(table[0]) and not all(map(_alone, table)):
            title = (_alone(table.pop(0)),)
            builder.add(title[0])
        if len(table) == 1 and (alone := _alone(table[0])):
            title = (alone,)  # the heading of what follows, or a remark by itself: it must be found in either case
        top += height - len(table)
        placed = [Merge(m.top - top, m.left - left, m.bottom - top, m.right - left) for m in inside]
        add_table(builder, table, (name, *(title if len(table) > 1 else ())), merges=placed, sheet=name, records=True)
        if len(table) > 1:
            title = ()


def _alone(row: list[str]) -> str:
    """The text of a row that has one short text and nothing else."""
    texts = list(filter(None, row))
    return texts[0] if len(texts) == 1 and len(texts[0]) <= TITLE_CHARACTERS else ""


def _tables(rows: dict[int, list[str]]) -> dict[int, list[list[str]]]:
    """What stands between empty rows, by the number of its first row."""
    tables: dict[int, list[list[str]]] = {}
    first = before = -1
    for number, row in rows.items():
        if number > before + 1 or not tables:
            first = number
        tables.setdefault(first, []).append(row)
        before = number
    return tables
