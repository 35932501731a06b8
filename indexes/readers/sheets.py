"""A sheet of a workbook as blocks: tables, divided by empty rows, and lines of text between them."""

from indexes.readers.document import TextBuilder
from indexes.readers.tables import add_table

TITLE_CHARACTERS = 80


def add_sheet(builder: TextBuilder, name: str, rows: dict[int, list[str]]) -> None:
    """Append a sheet; ``rows`` are texts by row number, in order, without empty rows.

    The name of the sheet is its outermost heading. A short line above a table, alone in its row, is the heading of it.
    """
    if not rows:
        return
    builder.add(name)
    title: tuple[str, ...] = ()
    for table in _tables(rows):
        while len(table) > 1 and _alone(table[0]) and not all(map(_alone, table)):
            title = (_alone(table.pop(0)),)
            builder.add(title[0])
        if len(table) == 1 and (alone := _alone(table[0])):
            title = (alone,)  # the heading of what follows, or a remark by itself: it must be found in either case
        add_table(builder, table, (name, *(title if len(table) > 1 else ())), sheet=name, records=True)
        if len(table) > 1:
            title = ()


def _alone(row: list[str]) -> str:
    """The text of a row that has one short text and nothing else."""
    texts = list(filter(None, row))
    return texts[0] if len(texts) == 1 and len(texts[0]) <= TITLE_CHARACTERS else ""


def _tables(rows: dict[int, list[str]]) -> list[list[list[str]]]:
    tables: list[list[list[str]]] = []
    before = None
    for number, row in rows.items():
        if before is None or number > before + 1:
            tables.append([])
        tables[-1].append(row)
        before = number
    return _without_empty_columns(tables)


def _without_empty_columns(tables: list[list[list[str]]]) -> list[list[list[str]]]:
    """Tables that begin in a later column than the first."""
    for table in tables:
        first = min(next((column for column, cell in enumerate(row) if cell), 0) for row in table)
        for row in table:
            del row[:first]
    return tables
