"""CSV and its relatives: one table, divided by commas, semicolons, tabs or bars."""

import csv
import itertools

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.encodings import decode
from indexes.readers.header_rows import are_names
from indexes.readers.tables import add_table, one_line

DELIMITERS = ",;\t|"
MAX_CELL_CHARACTERS = 10_000_000


def read_csv(data: bytes) -> Extracted:
    """A line a row, each cell behind the name of its column; the first row is a header if it looks like names."""
    text = decode(data)
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        rows = [list(map(one_line, row)) for row in csv.reader(text.splitlines(keepends=True), _dialect(text))]
    except csv.Error as error:
        raise IndexingError(f"is a damaged table ({error}); save it as CSV again") from None
    filled = [row for row in rows if any(row)]
    builder = TextBuilder()
    is_header = len(filled) > 1 and are_names(filled[0])
    add_table(builder, filled, header=True if is_header else None, records=True)
    return builder.extracted()


def delimiter_of(text: str) -> str:
    """The character that divides the first lines into the same number of cells, at least two; empty when none does."""
    lines = list(itertools.islice((line for line in text.splitlines() if line.strip()), 20))
    best, most = "", 1
    for delimiter in DELIMITERS:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        common = max(set(widths), key=widths.count, default=1)
        if common > most and widths.count(common) > 0.8 * len(widths):
            best, most = delimiter, common
    return best


def _dialect(text: str) -> type[csv.Dialect]:
    class Found(csv.excel):
        delimiter = delimiter_of(text[:100_000]) or ","
        skipinitialspace = True

    return Found
