"""Read Excel (.xlsx, .xlsm): the rows of every sheet, with the values that Excel computed last.

SpreadsheetML is read directly, row by row: openpyxl's fast mode does not support merged cells, and it rejects workbooks
with invalid styles. A note follows the text of its cell, a text box its sheet. Charts (their values are cells) and
formulas are left out; so are hidden sheets, rows and columns, struck-out text, and pictures without a text, which a
warning reports. Rows hidden only by a filter or a closed group are read.
"""

import re
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import IO

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import TOO_MUCH_TEXT, Extracted, TextBuilder
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
from indexes.readers.links import with_target
from indexes.readers.office.office_drawings import alternative_text
from indexes.readers.office.xlsx_cells import Cells, styles_of
from indexes.readers.omissions import left_out
from indexes.readers.ooxml import (
    attribute,
    child,
    descendants,
    hyperlinks,
    main_part,
    name_of,
    optional_part,
    relationships,
    whole_number,
)
from indexes.readers.tables.merged_header import Merge
from indexes.readers.tables.sheets import add_sheet
from indexes.readers.tables.table_text import fill_down, one_line

MAX_NAME = 31
"""Maximum characters of a sheet's name in Excel."""
_MAX_COLUMNS = 16_384
_MAX_ROWS = 1_048_576
_MAX_MERGED = 20_000
"""Maximum merged cells per sheet that are filled down; others only fill their first row."""


def read_xlsx(data: bytes) -> Extracted:
    """Blocks are tables under the name of their sheet, with one line per row and the column name before each cell."""
    builder = TextBuilder()
    hidden = []
    try:
        archive = open_zip(data)
        part = main_part(archive, "xl/workbook.xml")
        workbook = parse_xml(read_entry(archive, part))
        links = relationships(archive, part)
        cells = Cells(
            _strings(archive, {link.kind: link.target for link in links.values()}.get("sharedStrings")),
            styles_of(optional_part(archive, links, "styles")),
            datetime(1904, 1, 1)
            if attribute(child(workbook, "workbookPr"), "date1904") in ("1", "true")
            else datetime(1899, 12, 30),
        )
        sheets = child(workbook, "sheets")
        read: set[str] = set()  # a part is read once, even if it is referenced again
        for sheet in sheets if sheets is not None else []:
            name, link = attribute(sheet, "name"), links.get(attribute(sheet, "id"))
            if attribute(sheet, "state", "visible") != "visible":
                hidden.append(name[:MAX_NAME])
            elif link and link.kind == "worksheet" and link.target not in read:
                read.add(link.target)
                sheet = _Sheet(archive, link.target, cells)
                add_sheet(builder, name, sheet.rows, sheet.merges, sheet.bold)
                for lines in sheet.drawn:
                    builder.add_block(lines, (name,), sheet=name)
    except DamagedError as error:
        raise damaged("Excel workbook", error) from None
    warnings = [f"has hidden sheets, which were left out: {', '.join(hidden[:20])}"] if hidden else []
    if cells.unknown:
        formulas = "1 formula" if cells.unknown == 1 else f"{cells.unknown} formulas"
        warnings.append(
            f"has {formulas} without a stored result; open it in Excel, WPS or LibreOffice and save it again"
        )
    return builder.extracted("; ".join(filter(None, [*warnings, left_out(cells.left_out)])))


class _Watched:
    """A stream that stops after too much data without a row, because lxml would keep all of it in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.since = 0

    def read(self, size: int) -> bytes:
        piece = self.stream.read(size)
        self.since += len(piece)
        if self.since > MAX_XML_BYTES:
            raise DamagedError("a sheet has too much data without a row")
        return piece


class _Sheet:
    """One sheet: texts by row number, without empty rows, and its merged cells, whose texts fill the rows below (see
    :func:`table_text.repeated`)."""

    def __init__(self, archive: zipfile.ZipFile, part: str, cells: Cells) -> None:
        self.cells = cells
        self.rows: dict[int, list[str]] = {}
        self.bold: set[int] = set()
        self.hidden_columns: set[int] = set()
        self.hidden_rows: list[int] = []
        self.is_filtered = False
        merged: list[str] = []
        linked: list[tuple[str, str]] = []
        self.number = self.length = 0
        try:
            with archive.open(part) as entry:
                stream = _Watched(entry)
                tags = ("{*}row", "{*}mergeCell", "{*}col", "{*}filterColumn", "{*}hyperlink")
                events = etree.iterparse(stream, tag=tags, resolve_entities=False, load_dtd=False, no_network=True)
                for _, element in events:
                    stream.since = 0
                    match name_of(element):
                        case "mergeCell":
                            merged.append(element.get("ref", ""))
                        case "hyperlink":
                            linked.append((element.get("ref", ""), attribute(element, "id")))
                        case "filterColumn":
                            self.is_filtered = True
                        case "col":
                            self.column(element)
                        case _:
                            self.row(element)
                    element.clear()
                    while element.getprevious() is not None:  # otherwise lxml keeps what was parsed
                        del element.getparent()[0]
        except KeyError:
            raise DamagedError(f"{part} is missing") from None
        except etree.XMLSyntaxError as error:
            raise DamagedError(f"{part} has broken XML in line {error.lineno}") from None
        except BROKEN_ZIP:
            raise DamagedError(f"{part} cannot be decompressed") from None
        for number in self.hidden_rows if not self.is_filtered else []:
            cells.left_out["hidden rows"] += self.rows.pop(number, None) is not None
        cells.left_out["hidden columns"] += sum(
            any(column < len(row) and row[column] for row in self.rows.values()) for column in self.hidden_columns
        )
        for row in self.rows.values() if self.hidden_columns else []:
            row[:] = [cell for column, cell in enumerate(row) if column not in self.hidden_columns]
        self.merges = [merge for reference in merged[:_MAX_MERGED] if (merge := self.merge(reference))]
        for merge in self.merges:
            fill_down(self.rows, merge)
        self.drawn = self.besides(archive, part, linked)
        self.rows = {number: row for number, row in sorted(self.rows.items()) if any(row)}

    def row(self, element: etree._Element) -> None:
        self.number = whole_number(element.get("r", ""), self.number + 1)
        row: list[str] = []
        is_bold = True
        for cell in element:
            if name_of(cell) != "c":
                continue
            column = _column(cell.get("r", "")) or len(row) + 1
            if text := self.cells.text(cell) if column <= _MAX_COLUMNS else "":
                row += [""] * (column - len(row))
                row[column - 1] = text
                is_bold = is_bold and self.cells.style(cell).bold
        self.length += sum(map(len, row)) + len(row)
        if self.length > MAX_CHARACTERS:
            raise IndexingError(TOO_MUCH_TEXT)
        if any(row) and self.number <= _MAX_ROWS:
            self.rows[self.number] = row
            self.bold |= {self.number} if is_bold else set()
            if _is_hidden(element):
                self.hidden_rows.append(self.number)

    def column(self, element: etree._Element) -> None:
        first, last = (whole_number(element.get(name, "")) for name in ("min", "max"))
        if _is_hidden(element) and first:
            self.hidden_columns.update(range(first - 1, min(last, _MAX_COLUMNS)))

    def merge(self, reference: str) -> Merge | None:
        """A merged cell; its columns are counted without hidden ones."""
        merge = _merge(reference)
        if merge is None or not self.hidden_columns:
            return merge
        left, right = (
            column - sum(hidden < column for hidden in self.hidden_columns) for column in (merge.left, merge.right + 1)
        )
        return merge._replace(left=left, right=right - 1) if right > left else None

    def besides(self, archive: zipfile.ZipFile, part: str, linked: list[tuple[str, str]]) -> list[list[str]]:
        """Add notes and links to their cells; return the texts of drawings on the sheet."""
        addresses = hyperlinks(archive, part) if linked else {}
        for reference, identity in linked:
            self.change(reference, with_target, addresses.get(identity, ""))
        links = relationships(archive, part)
        kinds = {link.kind for link in links.values()}
        notes = optional_part(archive, links, "threadedComment" if "threadedComment" in kinds else "comments")
        for note in notes.iter("{*}comment", "{*}threadedComment") if notes is not None else ():
            said = one_line("".join(one.text or "" for one in note.iter("{*}t", "{*}text")))
            self.change(note.get("ref", ""), _with_note, said)
        drawing = optional_part(archive, links, "drawing")
        drawn = []
        for shape in drawing.iter("{*}sp", "{*}pic") if drawing is not None else ():
            lines = [
                one_line("".join(text.text or "" for text in descendants(p, "t"))) for p in descendants(shape, "p")
            ]
            picture = child(shape, "nvPicPr", "cNvPr")
            lines = [alternative_text(picture)] if picture is not None else lines
            self.cells.left_out["pictures"] += picture is not None and not any(lines)
            drawn.append(list(filter(None, lines)))
        return drawn

    def change(self, reference: str, changed: Callable[[str, str], str], by: str) -> None:
        """Change the text of the first cell of a reference, if its column is read."""
        match = re.match(r"([A-Z]{1,3})(\d{1,7})", reference)
        column = _column(match[1]) - 1 if match else 0
        if match and column not in self.hidden_columns:
            row = self.rows.setdefault(int(match[2]), [])
            column -= sum(hidden < column for hidden in self.hidden_columns)
            row += [""] * (column + 1 - len(row))
            row[column] = changed(row[column], by)


def _with_note(text: str, note: str) -> str:
    return f"{text} ({note})".strip() if note else text


def _is_hidden(element: etree._Element) -> bool:
    """Whether a row or column is hidden permanently; one in a group is shown by a click."""
    return element.get("hidden") in ("1", "true") and element.get("outlineLevel", "0") == "0"


def _merge(reference: str) -> Merge | None:
    """Parse ``"B2:C3"``: rows as numbered, columns from 0."""
    match = re.fullmatch(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})", reference)
    return Merge(int(match[2]), _column(match[1]) - 1, int(match[4]), _column(match[3]) - 1) if match else None


def _column(reference: str) -> int:
    """``"AB7"`` is in column 28; 0 without a column."""
    column = 0
    for letter in reference[:3]:
        if not "A" <= letter <= "Z":
            break
        column = 26 * column + ord(letter) - ord("A") + 1
    return column


def _strings(archive: zipfile.ZipFile, part: str | None) -> list[etree._Element]:
    """The shared strings that cells refer to by index."""
    if part is None:
        return []
    return [item for item in parse_xml(read_entry(archive, part)) if name_of(item) == "si"]
