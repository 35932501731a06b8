"""Tables of every format: a line a row, in which each cell is named by its column."""

from collections.abc import Sequence


def row_lines(rows: Sequence[Sequence[str]], header: bool | None = None) -> list[str]:
    """A line for each row that is not empty; cells are one-line texts.

    With a header row each cell stands behind the name of its column, ``Tea: green; °C: 80``, so that a row makes sense
    alone; without one, cells are divided by ``|``. ``header`` None decides by looking: names are not empty, all
    different, and none is a number.
    """
    filled = [row for row in rows if any(row)]
    if header is None:
        header = _looks_like_header(filled)
    if not header or len(filled) < 2:
        return [" | ".join(row) for row in filled]
    names, *body = filled
    lines = []
    for row in body:
        named = [
            f"{names[column]}: {cell}" if column < len(names) and names[column] else cell
            for column, cell in enumerate(row)
            if cell
        ]
        lines.append("; ".join(named))
    return lines


def _looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    if len(rows) < 2 or len(rows[0]) < 2:
        return False
    names = rows[0]
    return all(names) and len(set(names)) == len(names) and not any(_is_number(name) for name in names)


def _is_number(cell: str) -> bool:
    return any(character.isdigit() for character in cell) and not any(character.isalpha() for character in cell)
