"""Split a sheet into blocks: tables separated by empty rows or columns, and lines of text between them."""

from collections.abc import Collection, Iterator, Sequence

from indexes.readers.document import TextBuilder
from indexes.readers.tables.header_rows import header_row
from indexes.readers.tables.merged_header import Merge
from indexes.readers.tables.table_text import Header, add_table

TITLE_CHARACTERS = 80


def add_sheet(
    builder: TextBuilder,
    name: str,
    rows: dict[int, list[str]],
    merges: Sequence[Merge] = (),
    marked: Collection[int] = (),
) -> None:
    """Append a sheet; ``rows`` maps row numbers, in order, to cell texts; ``merges`` use the same numbers.

    ``rows`` has no empty rows. The name of the sheet, if any, is its outermost heading. A short line above a table,
    alone in its row, is the heading of that table. ``marked`` are the numbers of the highlighted rows, for example in
    bold.
    """
    if not rows:
        return
    if name:
        builder.add(name)
    outermost = (name,) if name else ()
    title: tuple[str, ...] = ()
    before: Header | None = None
    by_row: dict[int, list[Merge]] = {}
    for merge in merges:
        by_row.setdefault(merge.top, []).append(merge)
    for top, whole in _tables(rows).items():
        rows_of_it = range(top, top + len(whole)) if by_row else ()
        inside = [merge for number in rows_of_it for merge in by_row.get(number, ())]
        for left, table in _side_by_side(whole):
            first = top
            width = max(map(len, table))
            for merge in inside:  # so that one cell over all columns is recognised as a title between the rows
                row = table[merge.top - top]
                row += [""] * (min(merge.right + 1 - left, width) - len(row))
            while table and not any(table[0]):
                del table[0]
                first += 1
            while len(table) > 1 and _alone(table[0]) and not all(map(_alone, table)):
                title, before = (_alone(table.pop(0)),), None
                builder.add(title[0])
                first += 1
            if len(table) == 1 and (alone := _alone(table[0])):
                title, before = (alone,), None  # the heading of what follows, or a separate remark: search must find it
            before = add_table(
                builder,
                table,
                (*outermost, *(title if len(table) > 1 else ())),
                merges=[Merge(m.top - first, m.left - left, m.bottom - first, m.right - left) for m in inside],
                marked=[number in marked for number in range(first, first + len(table))] if marked else (),
                before=before,
                sheet=name,
                records=True,
            )
            if len(table) > 1:
                title = ()


def _alone(row: list[str]) -> str:
    """The text of a row with a single short text."""
    texts = list(filter(None, row))
    return texts[0] if len(texts) == 1 and len(texts[0]) <= TITLE_CHARACTERS else ""


def _tables(rows: dict[int, list[str]]) -> dict[int, list[list[str]]]:
    """The tables between empty rows, by the number of the first row."""
    tables: dict[int, list[list[str]]] = {}
    first = before = -1
    for number, row in rows.items():
        if number > before + 1 or not tables:
            first = number
        tables.setdefault(first, []).append(row)
        before = number
    return tables


def _side_by_side(table: list[list[str]]) -> Iterator[tuple[int, list[list[str]]]]:
    """The tables side by side between empty columns, each with its first column.

    An empty column may also be a gap in one table. It separates two tables if one of them is shorter, if they have a
    column name in common, or if each has a title above it.
    """
    width = max(map(len, table))
    empty = set(range(width))
    for row in table:
        empty.difference_update([column for column in empty if column < len(row) and row[column]])
        if not empty:
            break
    spans: list[list[int]] = []
    for column in sorted(set(range(width)) - empty):
        if spans and column == spans[-1][1]:
            spans[-1][1] += 1
        else:
            spans.append([column, column + 1])
    if spans == [[0, width]]:
        yield 0, table
        return
    joined = spans[:1]
    for span in spans[1:]:
        left, right = _cut(table, *joined[-1]), _cut(table, *span)
        if _are_two(left, right):
            joined.append(span)
        else:
            joined[-1][1] = span[1]
    for first, end in joined:
        yield first, _cut(table, first, end) if len(joined) > 1 else [row[first:] for row in table]


def _are_two(left: list[list[str]], right: list[list[str]]) -> bool:
    if any(max(sum(map(bool, row)) for row in part) < 2 for part in (left, right)):
        return False
    filled = [[number for number, row in enumerate(part) if any(row)] for part in (left, right)]
    if filled[0] != filled[1]:
        return header_row([right[number] for number in filled[1]]) is not None
    names = [set(filter(None, next(row for row in part if sum(map(bool, row)) > 1))) for part in (left, right)]
    return bool(names[0] & names[1]) or all(_alone(part[0]) for part in (left, right))


def _cut(table: list[list[str]], first: int, end: int) -> list[list[str]]:
    return [row[first:end] for row in table]
