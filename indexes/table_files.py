"""The tables of CSV files and workbooks as rows, for programs that calculate with them.

The readers turn tables into text for search; this module keeps the cells. The header row is found by the same rule
(``readers/tables/header_rows.py``). Hidden sheets are left out. Workbooks are read with calamine, which returns values
without cell formats: 12.5 shown as "12.5 kg" is 12.5. Merged cells keep their text in the first cell only.
"""

import io
import re
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from indexes.errors import IndexingError
from indexes.readers.opening import open_document
from indexes.readers.tables.header_rows import header_row, units_below
from indexes.readers.tables.table_text import one_line
from indexes.readers.text.delimited import csv_rows

TEXT_SUFFIXES = (".csv", ".tsv")
WORKBOOK_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
MAX_BYTES = 50_000_000
MAX_CELLS = 3_000_000
"""Maximum cells of a file. Chosen."""


class TableRows(NamedTuple):
    """One table: a CSV file, or a sheet of a workbook."""

    sheet: str
    """Name of the sheet; empty for a CSV file."""
    columns: list[str]
    """Names of the columns, as they are in the file, except that empty ones are numbered and a unit is added."""
    rows: list[list[str]]
    """Cells as text; a date in ISO 8601; empty cells are empty texts. All rows are as long as ``columns``."""


def is_table_file(name: str) -> bool:
    """Whether :func:`read_tables` reads files with this name."""
    return PurePosixPath(name).suffix.lower() in (*TEXT_SUFFIXES, *WORKBOOK_SUFFIXES)


def read_tables(documents: Path, name: str) -> list[TableRows]:
    """The tables of the file ``name`` under the folder ``documents``; it is not opened through a link.

    Raises :class:`IndexingError` with the end of a sentence that begins with the file's name.
    """
    try:
        with open_document(documents, name) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise IndexingError(f"cannot be opened ({error.strerror})") from None
    if len(data) > MAX_BYTES:
        raise IndexingError(f"is larger than {MAX_BYTES // 1_000_000} MB")
    text = PurePosixPath(name).suffix.lower() in TEXT_SUFFIXES
    sheets = [("", csv_rows(data))] if text else _sheets(data)
    if sum(len(row) for _, rows in sheets for row in rows) > MAX_CELLS:
        raise IndexingError(f"has more than {MAX_CELLS // 1_000_000} million cells")
    return [table for sheet, rows in sheets if (table := _table(sheet, rows))]


def _sheets(data: bytes) -> list[tuple[str, list[list[str]]]]:
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        names = [sheet.name for sheet in book.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
        found = {name: book.get_sheet_by_name(name) for name in names}
        if sum(sheet.total_height * sheet.total_width for sheet in found.values()) > MAX_CELLS:
            raise IndexingError(f"has more than {MAX_CELLS // 1_000_000} million cells")
        return [(name, [list(map(_text, row)) for row in sheet.to_python()]) for name, sheet in found.items()]
    except CalamineError as error:
        raise IndexingError(f"is a damaged or protected workbook ({error})") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # calamine is Rust: it panics on some files that are cut short
            raise
        raise IndexingError("is a damaged workbook") from None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else one_line(str(value))


def _table(sheet: str, rows: Sequence[Sequence[str]]) -> TableRows | None:
    """The table without the rows above its header; None if it is empty."""
    filled = [list(row) for row in rows if any(row)]
    if not filled:
        return None
    at = header_row(filled)
    if at is None and len(filled) > 1 and _may_name_columns(filled[0]):
        at = 0  # a query needs names: where the cells do not tell, the first row is more likely names than values
    names = filled[at] if at is not None else []
    body = filled[at + 1 :] if at is not None else filled
    units = units_below(names, body) if names else []
    body = body[1:] if units else body
    width = max(map(len, [names, *body]))
    columns = []
    for column in range(width):
        name = names[column] if column < len(names) else ""
        unit = units[column] if column < len(units) else ""
        columns.append(f"{name or f'column {column + 1}'}{f' ({unit})' if unit else ''}")
    return TableRows(sheet, columns, [[*row, *[""] * (width - len(row))] for row in body])


def _may_name_columns(row: Sequence[str]) -> bool:
    """Whether a row has a different word in every cell, and no number."""
    return all(row) and len(set(row)) == len(row) and not any(re.search(r"\d", cell) for cell in row)


def identifiers(names: Sequence[str], reserved: Sequence[str] = ()) -> list[str]:
    """The names as SQL identifiers that need no quotation marks, each different: ``价格 (元)`` becomes ``价格_元``."""
    found: list[str] = []
    taken = {word.lower() for word in reserved}
    for name in names:
        plain = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", name)).strip("_")[:60] or "column"
        plain = f"_{plain}" if plain[0].isdigit() else plain
        number, tried = 1, plain
        while tried.lower() in taken:
            number += 1
            tried = f"{plain}_{number}"
        taken.add(tried.lower())
        found.append(tried)
    return found
