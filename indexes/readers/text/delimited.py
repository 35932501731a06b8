"""Read CSV and similar files: one table, separated by commas, semicolons, tabs or bars."""

import csv
import io
import itertools
import re
from collections.abc import Iterable

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.encodings import decode
from indexes.readers.tables.header_rows import header_row
from indexes.readers.tables.sheets import add_sheet
from indexes.readers.tables.table_text import one_line
from indexes.readers.text.base64_data import without_encoded

DELIMITERS = ",;\t|"
MAX_CELL_CHARACTERS = 10_000_000
_STATED = re.compile(r"\ufeff?sep=([^\w\s\"]|\t)\r?\n", re.IGNORECASE)
"""A first line that states the delimiter for Excel."""
_SAMPLE = 20
"""Records from which the delimiter is detected."""


def read_csv(data: bytes) -> Extracted:
    """One line per row, with the column name before each cell (see ``header_rows.py``); empty rows separate tables."""
    builder = TextBuilder()
    add_sheet(builder, "", {number: row for number, row in enumerate(csv_rows(data)) if any(row)})
    return builder.extracted()


def csv_rows(data: bytes) -> list[list[str]]:
    """The rows of a CSV file, empty ones included; the encoding and the delimiter are detected."""
    text = decode(data)
    text = without_encoded(text)[0] if "base64," in text else text
    stated = _STATED.match(text)
    text = text[stated.end() :] if stated else text
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        rows = [
            list(map(one_line, row)) for row in csv.reader(_lines(text), _dialect(text, stated[1] if stated else ""))
        ]
    except csv.Error as error:
        raise IndexingError(f"is a damaged table ({error}); save it as CSV again") from None
    return _without_comments(rows)


def _without_comments(rows: list[list[str]]) -> list[list[str]]:
    """Make each ``#`` line above a table a remark in one cell; the last one may be the header itself."""
    count = next((number for number, row in enumerate(rows) if not (row and row[0].startswith("#"))), len(rows))
    if not 0 < count < len(rows):
        return rows
    remarks, header = rows[:count], []
    if len(remarks[-1]) > 1 and len(remarks[-1]) == len(rows[count]) and header_row([remarks[-1], *rows[count:]]) == 0:
        header = [[remarks.pop()[0].lstrip("# "), *rows[count - 1][1:]]]
    texts = [[", ".join(filter(None, row)).lstrip("# ")] for row in remarks]
    return [*texts, [], *header, *rows[count:]]


def delimiter_of(text: str) -> str:
    """The delimiter that gives the first records the same number of cells, at least two; empty if there is none.

    Of several, the one that leaves the fewest unpaired quotation marks, then one with which all records have the same
    width (the commas of ``tea;1,50`` are not in the first row), then the one that makes the most cells.
    """
    best, score = "", (0, False, 0)
    for delimiter in DELIMITERS:
        records = csv.reader(_lines(text), delimiter=delimiter, skipinitialspace=True)
        rows = list(itertools.islice(filter(any, records), _SAMPLE))
        widths = list(map(len, rows))
        common = max(set(widths), key=widths.count, default=1)
        if common > 1 and widths.count(common) > 0.8 * len(widths):
            halves = sum(cell.count('"') % 2 for row in rows for cell in row)
            found = (-halves, len(set(widths)) == 1, common)
            if not best or found > score:
                best, score = delimiter, found
    return best


def _lines(text: str) -> Iterable[str]:
    """Split at line ends only: other line separators (U+2028, vertical tabs) occur in cells."""
    return io.StringIO(text, newline="")


def _dialect(text: str, stated: str) -> type[csv.Dialect]:
    class Found(csv.excel):
        delimiter = stated or delimiter_of(text[:100_000]) or ","
        skipinitialspace = True

    return Found
