"""CSV and its relatives: one table, divided by commas, semicolons, tabs or bars."""

import csv
import io
import itertools
import re
from collections.abc import Iterable

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.encodings import decode
from indexes.readers.header_rows import are_names
from indexes.readers.tables import add_table, one_line

DELIMITERS = ",;\t|"
MAX_CELL_CHARACTERS = 10_000_000
_STATED = re.compile(r"\ufeff?sep=([^\w\s\"]|\t)\r?\n", re.IGNORECASE)
"""The first line by which Excel is told the delimiter."""
_SAMPLE = 20
"""Records by which the delimiter is told."""


def read_csv(data: bytes) -> Extracted:
    """A line a row, each cell behind the name of its column; the first row is a header if it looks like names."""
    text = decode(data)
    stated = _STATED.match(text)
    text = text[stated.end() :] if stated else text
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        rows = [
            list(map(one_line, row)) for row in csv.reader(_lines(text), _dialect(text, stated[1] if stated else ""))
        ]
    except csv.Error as error:
        raise IndexingError(f"is a damaged table ({error}); save it as CSV again") from None
    filled = [row for row in rows if any(row)]
    builder = TextBuilder()
    is_header = len(filled) > 1 and are_names(filled[0])
    add_table(builder, filled, header=True if is_header else None, records=True)
    return builder.extracted()


def delimiter_of(text: str) -> str:
    """The character that divides the first records into the same number of cells, at least two; empty for none.

    Of several, one that leaves no quotation mark without its other half, then one by which no record has more cells or
    fewer (the commas of ``tea;1,50`` are not in the first row), then the one that makes most cells.
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
    """Divided at line ends only: other characters that separate lines (U+2028, vertical tabs) stand in cells."""
    return io.StringIO(text, newline="")


def _dialect(text: str, stated: str) -> type[csv.Dialect]:
    class Found(csv.excel):
        delimiter = stated or delimiter_of(text[:100_000]) or ","
        skipinitialspace = True

    return Found
