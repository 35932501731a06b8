"""Excel (.xlsx, .xlsm): the rows of every sheet, with the values that Excel computed last.

SpreadsheetML is read directly, row by row: openpyxl's fast mode does not know merged cells, and it refuses workbooks
for faults in their styles. Left out: hidden sheets (a warning names them), charts, comments, formulas themselves.
"""

import re
import zipfile
from datetime import datetime
from typing import IO

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import TOO_MUCH_TEXT, Extracted, TextBuilder
from indexes.readers.header_rows import Merge
from indexes.readers.limits import (
    BROKEN_ZIP,
    MAX_CHARACTERS,
    MAX_XML_BYTES,
    DamagedError,
    damaged,
    open_zip,
    parse_xml,
    read_entry,
)
from indexes.readers.number_formats import formats_of, number_text
from indexes.readers.ooxml import attribute, child, descendants, main_part, name_of, optional_part, relationships
from indexes.readers.sheets import add_sheet
from indexes.readers.tables import one_line, repeated

MAX_NAME = 31
"""Characters of a sheet's name, as Excel has it."""
_MAX_COLUMNS = 16_384
_MAX_ROWS = 1_048_576
_MAX_MERGED, _MAX_MERGED_ROWS = 20_000, 1_000
"""Merged cells of a sheet, and rows of one, that are filled down: beyond, they stand in their first row only."""


def read_xlsx(data: bytes) -> Extracted:
    """Blocks are tables, under the name of their sheet; a row is a line in which each cell is named by its column."""
    builder = TextBuilder()
    hidden = []
    try:
        archive = open_zip(data)
        part = main_part(archive, "xl/workbook.xml")
        workbook = parse_xml(read_entry(archive, part))
        links = relationships(archive, part)
        cells = _Cells(
            _strings(archive, {link.kind: link.target for link in links.values()}.get("sharedStrings")),
            formats_of(optional_part(archive, links, "styles")),
            datetime(1904, 1, 1)
            if attribute(child(workbook, "workbookPr"), "date1904") in ("1", "true")
            else datetime(1899, 12, 30),
        )
        sheets = child(workbook, "sheets")
        read: set[str] = set()  # a part is read once, however often it is named
        for sheet in sheets if sheets is not None else []:
            name, link = attribute(sheet, "name"), links.get(attribute(sheet, "id"))
            if attribute(sheet, "state", "visible") != "visible":
                hidden.append(name[:MAX_NAME])
            elif link and link.kind == "worksheet" and link.target not in read:
                read.add(link.target)
                add_sheet(builder, name, *_rows(archive, link.target, cells))
    except DamagedError as error:
        raise damaged("Excel workbook", error) from None
    warnings = [f"has hidden sheets, which were left out: {', '.join(hidden[:20])}"] if hidden else []
    if cells.unknown:
        formulas = "1 formula" if cells.unknown == 1 else f"{cells.unknown} formulas"
        warnings.append(
            f"has {formulas} without a value, for the program that wrote it does not calculate; "
            "open it in Excel, WPS or LibreOffice and save it there"
        )
    return builder.extracted("; ".join(warnings))


class _Watched:
    """A stream that stops when too much comes without a row: lxml would hold all of it in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.since = 0

    def read(self, size: int) -> bytes:
        piece = self.stream.read(size)
        self.since += len(piece)
        if self.since > MAX_XML_BYTES:
            raise DamagedError("a sheet has no rows where there should be some")
        return piece


class _Cells:
    """What the cells of all sheets refer to, and how a cell becomes the text that people see."""

    def __init__(self, strings: list[str], formats: list[str], epoch: datetime) -> None:
        self.strings = strings
        self.formats = formats
        self.epoch = epoch
        self.unknown = 0
        """Formulas whose value was never computed."""

    def text(self, cell: etree._Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return one_line(_string(cell))
        value = next((below.text or "" for below in cell if name_of(below) == "v"), "")
        if not value and kind != "str" and child(cell, "f") is not None:
            self.unknown += 1
        if kind == "s":
            return self.strings[int(value)] if value.isdecimal() and int(value) < len(self.strings) else ""
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value, value)
        if kind == "n" and value:
            style = cell.get("s", "0")
            known = style.isdecimal() and int(style) < len(self.formats)
            return number_text(value, self.formats[int(style)] if known else "", self.epoch)
        return "" if kind == "e" else one_line(value)


def _rows(archive: zipfile.ZipFile, part: str, cells: _Cells) -> tuple[dict[int, list[str]], list[Merge]]:
    """Texts by row number, empty rows left out, and merged cells; what one covers in the rows below its first is filled
    as :func:`tables.repeated` says.
    """
    rows: dict[int, list[str]] = {}
    merged: list[str] = []
    number = length = 0
    try:
        with archive.open(part) as entry:
            stream = _Watched(entry)
            events = etree.iterparse(
                stream, tag=("{*}row", "{*}mergeCell"), resolve_entities=False, load_dtd=False, no_network=True
            )
            for _, element in events:
                stream.since = 0
                if name_of(element) == "mergeCell":
                    merged.append(element.get("ref", ""))
                else:
                    stated = element.get("r", "")
                    number = int(stated) if stated.isdecimal() and len(stated) < 8 else number + 1
                    row = _row(element, cells)
                    length += sum(map(len, row)) + len(row)
                    if any(row) and number <= _MAX_ROWS:
                        rows[number] = row
                    if length > MAX_CHARACTERS:
                        raise IndexingError(TOO_MUCH_TEXT)
                element.clear()
                while element.getprevious() is not None:  # lxml keeps what was parsed otherwise
                    del element.getparent()[0]
    except KeyError:
        raise DamagedError(f"{part} is missing") from None
    except etree.XMLSyntaxError as error:
        raise DamagedError(f"{part} holds broken XML in line {error.lineno}") from None
    except BROKEN_ZIP:
        raise DamagedError(f"{part} cannot be unpacked") from None
    merges = [merge for reference in merged[:_MAX_MERGED] if (merge := _merge(reference))]
    for merge in merges:
        _fill_down(rows, merge)
    return dict(sorted(rows.items())), merges


def _row(element: etree._Element, cells: _Cells) -> list[str]:
    row: list[str] = []
    for cell in element:
        if name_of(cell) != "c":
            continue
        column = _column(cell.get("r", "")) or len(row) + 1
        if text := cells.text(cell) if column <= _MAX_COLUMNS else "":
            row += [""] * (column - len(row))
            row[column - 1] = text
    return row


def _merge(reference: str) -> Merge | None:
    """Of ``"B2:C3"``: rows as they are numbered, columns from 0."""
    match = re.fullmatch(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})", reference)
    return Merge(int(match[2]), _column(match[1]) - 1, int(match[4]), _column(match[3]) - 1) if match else None


def _fill_down(rows: dict[int, list[str]], merge: Merge) -> None:
    first, column = merge.top, merge.left
    text = repeated(rows[first][column]) if first in rows and column < len(rows[first]) else ""
    for number in range(first + 1, min(merge.bottom, first + _MAX_MERGED_ROWS) + 1) if text else ():
        if number in rows:
            rows[number] += [""] * (column + 1 - len(rows[number]))
            rows[number][column] = rows[number][column] or text


def _column(reference: str) -> int:
    """``"AB7"`` is in column 28; 0 when no column is named."""
    column = 0
    for letter in reference[:3]:
        if not "A" <= letter <= "Z":
            break
        column = 26 * column + ord(letter) - ord("A") + 1
    return column


def _strings(archive: zipfile.ZipFile, part: str | None) -> list[str]:
    """The texts that cells refer to by number."""
    if part is None:
        return []
    return [one_line(_string(item)) for item in parse_xml(read_entry(archive, part)) if name_of(item) == "si"]


def _string(item: etree._Element) -> str:
    """A text in one or more runs, without the phonetic guides of Japanese."""
    return "".join(text.text or "" for text in descendants(item, "t") if name_of(text.getparent()) != "rPh")
