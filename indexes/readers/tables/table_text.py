"""Write a table as text: one line per row, with the column name before each cell."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from indexes.errors import IndexingError
from indexes.language import CJK
from indexes.readers.document import TOO_MUCH_TEXT, TextBuilder
from indexes.readers.limits import MAX_CHARACTERS
from indexes.readers.tables.cell_kinds import common_kind, kind_of
from indexes.readers.tables.header_rows import are_questions, header_row, typed_columns, units_below
from indexes.readers.tables.merged_header import Merge, trimmed, with_one_header

BLOCK_ROWS = 100
"""Rows of a long table per block; larger blocks only slow down the splitter."""
REPEATED_CHARACTERS = 40
"""A cell merged over several rows is repeated in each row up to this length, otherwise it is only in the first."""
_MAX_MERGED_ROWS = 1_000
"""Maximum rows of a merged cell that are filled."""
_LOOKED_AT = 5_000
"""Rows that are searched for group titles."""
_LONGEST_LABEL = 40
"""Maximum characters of a label in a list of properties."""
_CJK = re.compile(f"[{CJK}]")


class Header(NamedTuple):
    """The header of a table, for a table that continues below an empty row."""

    names: list[str]
    kinds: dict[int, str]
    """By column: see :func:`header_rows.typed_columns`."""


def one_line(text: str) -> str:
    """A cell's text with every run of white space as one space."""
    return " ".join(text.split())


def repeated(text: str) -> str:
    """The text of a merged cell in the rows below its first."""
    return text if len(text) <= REPEATED_CHARACTERS else ""


def fill_down(rows: dict[int, list[str]], merge: Merge) -> None:
    """Write the text of a merged cell into its empty cells in the rows below; ``rows`` are by number."""
    text = repeated(rows[merge.top][merge.left]) if merge.left < len(rows.get(merge.top, ())) else ""
    for number in range(merge.top + 1, min(merge.bottom, merge.top + _MAX_MERGED_ROWS) + 1) if text else ():
        if number in rows:
            rows[number] += [""] * (merge.left + 1 - len(rows[number]))
            rows[number][merge.left] = rows[number][merge.left] or text


def add_table(
    builder: TextBuilder,
    rows: Sequence[Sequence[str]],
    headings: tuple[str, ...] = (),
    header: bool | None = None,
    caption: str = "",
    merges: Sequence[Merge] = (),
    marked: Sequence[bool] = (),
    before: Header | None = None,
    records: bool = False,
    **place: Any,
) -> Header | None:
    """Append a table's caption and lines (see :func:`row_lines`) in blocks of at most :data:`BLOCK_ROWS`.

    ``merges`` show a header of several rows, which becomes one: see :func:`with_one_header`. ``marked`` flags the
    highlighted rows. ``before`` is the header of a table that this one may continue. ``records`` means that the table
    is all there is: rows with column names, and questions with answers, are then records. Return the header that was
    used, None if there was none.
    """
    above = [caption] * bool(caption)
    if header is not False and (found := with_one_header(rows, merges, stated=bool(header))):
        above += found[0]
        rows, header, marked = found[1], True, ()
    items, used = _items(rows, header, marked, before)
    alone = used is not None or are_questions([row[0] for row in rows if any(row)])
    if above:
        items[:1] = ["\n".join([*above, *items[:1]])]
    for start in range(0, len(items), BLOCK_ROWS):
        builder.add_block(items[start : start + BLOCK_ROWS], headings, records=records and alone, **place)
    return used


def table_items(rows: Sequence[Sequence[str]], before: Header | None) -> tuple[list[str], Header | None]:
    """The lines of a table like :func:`row_lines`, and the header that was used; the table may continue another one."""
    items, used = _items(rows, None, (), before)
    return [line for item in items for line in item.split("\n")], used


def row_lines(rows: Sequence[Sequence[str]], header: bool | None = None) -> list[str]:
    """One line for each row that is not empty; cells are one-line texts.

    With a header row each cell follows its column name, ``Tea: green; °C: 80``, so that a row makes sense alone. A row
    of units below the header joins the names, and a table whose columns are the records is transposed. Without a
    header, a list of properties becomes ``City: Paris``, and other cells are separated by ``|``. Rows above the header
    stay separate lines. ``header=None`` detects the header: see ``header_rows.py``.
    """
    return [line for item in _items(rows, header, (), None)[0] for line in item.split("\n")]


def _items(
    rows: Sequence[Sequence[str]], header: bool | None, marked: Sequence[bool], before: Header | None
) -> tuple[list[str], Header | None]:
    """The items of :func:`row_lines`, with titles joined to the row below them, and the header that was used."""
    filled = [row for row in rows if any(row)]
    if header is None and _is_turned(filled):
        filled = [list(column) for column in zip(*filled, strict=True)]
        header = True
    if header is None:
        marks = [mark for row, mark in zip(rows, marked, strict=False) if any(row)]
        at = header_row(filled, marks)
        if before and (at is None or not any(marks)) and _goes_on(filled, before):
            return list(_named(filled, before.names, before.kinds)), before
    else:
        at = 0 if header and len(filled) > 1 else None
    if at is None:
        return _unnamed(filled), None
    names, body = trimmed(filled[at]), filled[at + 1 :]
    if units := units_below(names, body):
        names = [" ".join(filter(None, pair)) for pair in zip(names, [*units, *[""] * len(names)], strict=False)]
        body = body[1:]
    used = Header(names, typed_columns(body))
    items = list(_named(body, *used))
    if at:
        items[:1] = ["\n".join([*_unnamed(filled[:at]), *items[:1]])]
    return items, used


def _named(body: Sequence[Sequence[str]], names: list[str], kinds: dict[int, str]) -> Iterator[str]:
    """The rows with their column names; a repeated header replaces the names from there on."""
    above: list[str] = []
    length = 0
    first, shown, parts = names, _distinct(names), _parts(names)
    typed = next(iter(kinds), None)
    has_titles = _has_titles(body, names)
    for number, row in enumerate(body):
        if row[0] and not any(row[1:]) and (len(row) > 2 or has_titles):  # a title between the rows
            above.append(row[0])
            continue
        is_first = row[0] == first[0] and trimmed(row) == first
        cell = row[typed] if typed is not None and typed < len(row) else ""
        if is_first or (
            cell[-1:].isalpha() and cell[0].isalpha() and _is_header_again(row, body[number + 1 : number + 2], kinds)
        ):
            first = trimmed(row)
            shown, parts = _distinct(first), _parts(first)
            continue
        for start, end in parts:
            named = [
                f"{shown[column]}: {cell}" if column < len(shown) and shown[column] else cell
                for column, cell in (enumerate(row) if end is None else enumerate(row[start:end], start))
                if cell
            ]
            if not named:
                continue
            item = "; ".join(named)
            if above:
                item = "\n".join([*above, item])
                above = []
            length += len(item)
            if length > MAX_CHARACTERS:
                raise IndexingError(TOO_MUCH_TEXT)
            yield item
    yield from above


def _has_titles(body: Sequence[Sequence[str]], names: Sequence[str]) -> bool:
    """Whether rows of a single cell are titles of the rows below: there are several, each directly above a full row."""
    lone = [number for number, row in enumerate(body[:_LOOKED_AT]) if row[0] and not any(row[1:])]
    followed = [number for number in lone if number + 1 < len(body) and _width(body[number + 1]) > 1]
    return len(names) > 2 and len(followed) > 1 and followed == lone


def _distinct(names: Sequence[str]) -> list[str]:
    """Distinct column names: repeated names are numbered, a missing one becomes the column's number. A table whose
    records are side by side keeps its names."""
    if len(_parts(names)) > 1:
        return list(names)
    shown: list[str] = []
    for column, stated in enumerate(names):
        name = stated.rstrip(":：")
        if not name and column:
            name = f"第{column + 1}列" if any(map(_CJK.search, names)) else f"column {column + 1}"
        number = list(names[:column]).count(stated) + 1
        shown.append(f"{name} ({number})" if stated and number > 1 else name)
    return shown


def _parts(names: Sequence[str]) -> list[tuple[int, int | None]]:
    """Start and end column of each record: ``Name, Phone, Name, Phone`` has two records in a row."""
    for width in range(2, len(names) // 2 + 1):
        if len(names) % width == 0 and all(names) and list(names) == list(names[:width]) * (len(names) // width):
            return [(start, start + width) for start in range(0, len(names), width)]
    return [(0, None)]


def _is_header_again(row: Sequence[str], following: Sequence[Sequence[str]], kinds: dict[int, str]) -> bool:
    """Whether a row has words where at least two columns have numbers, dates or codes above and below."""
    if len(kinds) < 2 or not following:
        return False
    here = [row[column] if column < len(row) else "" for column in kinds]
    if not all(cell and kind_of(cell) == "words" for cell in here):
        return False
    return (
        sum(column < len(following[0]) and kind_of(following[0][column]) not in ("", "words") for column in kinds) > 1
    )


def _goes_on(rows: Sequence[Sequence[str]], before: Header) -> bool:
    """Whether rows may continue the table above: the same width and the same kind in each column."""
    width = max((len(trimmed(row)) for row in rows), default=0)
    columns = [[kind_of(row[column]) if column < len(row) else "" for row in rows] for column in before.kinds]
    fits = zip(columns, before.kinds.values(), strict=True)
    return width == len(before.names) and all(common_kind(cells) in (kind, "") for cells, kind in fits)


def _is_turned(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the columns are the records: the first column holds names, and only cells of a row agree in kind."""
    width = max(map(len, rows), default=0)
    if not 3 <= len(rows) <= 60 or not 3 <= width <= 60 or any(len(row) != width or not row[0] for row in rows[1:]):
        return False
    labels = [row[0] for row in rows]
    if (
        len(rows[0]) != width
        or len(set(labels)) < len(labels)
        or any(kind_of(label) != "words" for label in labels[1:])
    ):
        return False
    kinds = [list(map(kind_of, row[1:])) for row in rows]
    along = {common_kind(row) for row in kinds[1:]} - {"", "words"}
    return len(along) > 1 and not any(common_kind(column) for column in zip(*kinds[1:], strict=True))


def _unnamed(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table without a header: ``City: Paris; Phone: 0555`` if every second cell is a label."""
    pairs = [trimmed(row) for row in rows if _width(row) > 1]
    labels = [label for row in pairs for label in row[::2]]
    properties = all(len(row) % 2 == 0 for row in pairs) and all(map(_is_label, labels))
    properties = properties and len(pairs) > 1 and len(set(labels)) == len(labels)
    lines = []
    for row in rows:
        cells = trimmed(row)
        if properties and len(cells) > 1:
            named = zip(cells[::2], cells[1::2], strict=True)
            lines.append("; ".join(f"{label.rstrip(':：')}: {cell}" for label, cell in named if cell))
        else:
            lines.append(cells[0] if _width(row) == 1 and cells[0] else " | ".join(cells))
    return lines


def _is_label(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_LABEL and kind_of(text) == "words" and not re.search(r"[.。!！?？]$", text)


def _width(row: Sequence[str]) -> int:
    return sum(map(bool, row))
