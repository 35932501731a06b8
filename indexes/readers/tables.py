"""Tables of every format: a line a row, in which each cell is named by its column."""

from collections.abc import Sequence
from typing import Any

from indexes.errors import IndexingError
from indexes.readers.document import TOO_MUCH_TEXT, TextBuilder
from indexes.readers.header_rows import Merge, are_questions, looks_like_header, trimmed, with_one_header
from indexes.readers.limits import MAX_CHARACTERS

BLOCK_ROWS = 100
"""Rows of a long table that become one block; more would only make the splitter's work larger."""
REPEATED_CHARACTERS = 40
"""A cell merged over several rows stands in each of them when it is as short as this, and else in the first."""


def one_line(text: str) -> str:
    """A cell's text with every run of white space as one space."""
    return " ".join(text.split())


def repeated(text: str) -> str:
    """What a merged cell leaves in the rows below its first."""
    return text if len(text) <= REPEATED_CHARACTERS else ""


def add_table(
    builder: TextBuilder,
    rows: Sequence[Sequence[str]],
    headings: tuple[str, ...] = (),
    header: bool | None = None,
    caption: str = "",
    merges: Sequence[Merge] = (),
    records: bool = False,
    **place: Any,
) -> None:
    """Append a table's caption and lines, see :func:`row_lines`, in blocks of at most :data:`BLOCK_ROWS`.

    ``merges`` of the rows show a header of several rows, which becomes one: see :func:`with_one_header`. ``records``
    says that the table is all that there is: rows that name their columns, or ask and answer, are then records.
    """
    above = [caption] * bool(caption)
    if header is not False and (found := with_one_header(rows, merges, stated=bool(header))):
        above += found[0]
        rows, header = found[1], True
    items, alone = _items(rows, header)
    if above:
        items[:1] = ["\n".join([*above, *items[:1]])]
    for start in range(0, len(items), BLOCK_ROWS):
        builder.add_block(items[start : start + BLOCK_ROWS], headings, records=records and alone, **place)


def row_lines(rows: Sequence[Sequence[str]], header: bool | None = None) -> list[str]:
    """A line for each row that is not empty; cells are one-line texts.

    With a header row each cell stands behind the name of its column, ``Tea: green; °C: 80``, so that a row makes sense
    alone; without one, cells are divided by ``|``. Rows above the header that fill a single cell are titles and stay
    lines of their own. ``header`` None decides by looking: see :func:`looks_like_header`.
    """
    return [line for item in _items(rows, header)[0] for line in item.split("\n")]


def _items(rows: Sequence[Sequence[str]], header: bool | None) -> tuple[list[str], bool]:
    """What :func:`row_lines` says, titles together with the row below them; and whether each row makes sense alone."""
    filled = [row for row in rows if any(row)]
    titles = 0
    if any(_width(row) > 1 for row in filled):
        while _width(filled[titles]) == 1 and header is None:
            titles += 1
    above = ["".join(row) for row in filled[:titles]]
    names, *body = filled[titles:] or [[]]
    if not body or not (looks_like_header(names, body) if header is None else header):
        return above + [" | ".join(cell for cell in trimmed(row)) for row in filled[titles:]], are_questions(
            [row[0] for row in filled]
        )
    items: list[str] = []
    length = 0
    for row in body:
        if _width(row) == 1 and row[0] and len(row) > 2:  # a title between the rows
            above.append(row[0])
            continue
        named = [
            f"{names[column]}: {cell}" if column < len(names) and names[column] else cell
            for column, cell in enumerate(row)
            if cell
        ]
        items.append("\n".join([*above, "; ".join(named)]))
        above = []
        length += len(items[-1])
        if length > MAX_CHARACTERS:
            raise IndexingError(TOO_MUCH_TEXT)
    return items + above, True


def _width(row: Sequence[str]) -> int:
    return sum(map(bool, row))
