"""Read workbooks other than xlsx with calamine: Excel before 2007 (.xls), binary Excel (.xlsb), OpenDocument (.ods).

calamine returns values without cell formats: a postcode 02139 becomes 2139, and 12.5 shown as "12.5 kg" becomes 12.5;
save the workbook as xlsx to keep them. Hidden sheets are left out and named in a warning.
"""

import io
from datetime import date, datetime, time, timedelta

from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

from indexes.errors import IndexingError
from indexes.readers.document import TOO_MUCH_TEXT, Extracted, TextBuilder
from indexes.readers.limits import MAX_CHARACTERS, DamagedError, damaged
from indexes.readers.tables.merged_header import Merge
from indexes.readers.tables.sheets import add_sheet
from indexes.readers.tables.table_text import fill_down, one_line

Value = int | float | str | bool | datetime | date | time | timedelta


def read_calamine(data: bytes) -> Extracted:
    """Blocks are tables under the name of their sheet, with one line per row and the column name before each cell."""
    builder = TextBuilder()
    hidden = []
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for sheet in book.sheets_metadata:
            if sheet.visible != SheetVisibleEnum.Visible:
                hidden.append(sheet.name)
                continue
            found = book.get_sheet_by_name(sheet.name)
            merges = [Merge(*first, *last) for first, last in found.merged_cell_ranges or ()]
            _add(builder, sheet.name, found.to_python(skip_empty_area=False), merges)
    except CalamineError as error:
        if "password" in str(error).lower() or "encrypt" in str(error).lower():
            raise IndexingError("is password-protected; save a copy without a password") from None
        raise damaged("workbook", DamagedError(str(error))) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # calamine is Rust: it panics on some files that are cut short
            raise
        raise damaged("workbook", DamagedError(str(error))) from None
    return builder.extracted(f"has hidden sheets, which were left out: {', '.join(hidden[:20])}" if hidden else "")


def _add(builder: TextBuilder, name: str, values: list[list[Value]], merges: list[Merge]) -> None:
    rows: dict[int, list[str]] = {}
    length = 0
    for number, row in enumerate(values):
        texts = list(map(_text, row))
        length += sum(map(len, texts))
        if length > MAX_CHARACTERS:
            raise IndexingError(TOO_MUCH_TEXT)
        if any(texts):
            rows[number] = texts
    for merge in merges:
        fill_down(rows, merge)
    add_sheet(builder, name, rows, merges)


def _text(value: Value) -> str:
    """A date in ISO 8601, a number with at most ten digits, as in xlsx for cells without a format."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.10g}"
    if isinstance(value, datetime):
        is_day = value.time() == time()
        return value.strftime("%Y-%m-%d" if is_day else "%Y-%m-%d %H:%M:%S" if value.second else "%Y-%m-%d %H:%M")
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600}:{seconds % 3600 // 60:02}" + (f":{seconds % 60:02}" if seconds % 60 else "")
    if isinstance(value, time):
        return value.strftime("%H:%M:%S" if value.second else "%H:%M")
    return one_line(str(value))
