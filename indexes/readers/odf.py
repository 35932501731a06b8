"""OpenDocument text, sheets and slides (.odt, .ods, .odp), as LibreOffice writes them, without deleted text."""

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.limits import MAX_CHARACTERS, MAX_NESTING, DamagedError, open_zip, parse_xml, read_entry
from indexes.readers.ooxml import attribute, child, name_of
from indexes.readers.sheets import add_sheet
from indexes.readers.tables import add_table, one_line

_SKIPPED = {"tracked-changes", "annotation", "sequence-decls", "table-of-content", "forms", "notes-configuration"}
_MAX_COLUMNS = 16_384
_MAX_REPEATED = 1000
"""Equal cells or rows are stored once with a count, which is a million for the empty rest of a sheet."""


def read_odf(data: bytes) -> Extracted:
    """Headings, paragraphs, lists and tables of a text; the sheets of a workbook; the pages of a presentation."""
    builder = TextBuilder()
    try:
        archive = open_zip(data)
        if "META-INF/manifest.xml" in archive.namelist():
            manifest = read_entry(archive, "META-INF/manifest.xml")
            if b"encryption-data" in manifest:
                raise IndexingError("is protected by a password; save a copy without one")
        body = child(parse_xml(read_entry(archive, "content.xml")), "body")
        for kind in body if body is not None else []:
            if name_of(kind) == "spreadsheet":
                for table in (table for table in kind if name_of(table) == "table"):
                    rows = {number: row for number, row in enumerate(_rows(table), start=1) if any(row)}
                    add_sheet(builder, attribute(table, "name"), rows)
            else:
                _Walk(builder).container(kind)
    except DamagedError as error:
        raise IndexingError(f"is a damaged OpenDocument file ({error})") from None
    return builder.extracted()


class _Walk:
    """One pass over a text or presentation."""

    def __init__(self, builder: TextBuilder) -> None:
        self.builder = builder
        self.titles: list[tuple[int, str]] = []
        self.slide: int | None = None

    def container(self, parent: etree._Element, depth: int = 0) -> None:
        if depth > MAX_NESTING:
            raise IndexingError(f"has contents nested more than {MAX_NESTING} deep; simplify it")
        for element in parent:
            name = name_of(element)
            if name == "page":
                self.slide, self.titles = (self.slide or 0) + 1, []
                self.container(element, depth + 1)
            elif name == "h" or (name == "frame" and attribute(element, "class") == "title"):
                if title := _text(element):
                    level = attribute(element, "outline-level", "1")
                    rank = int(level) if level.isdecimal() and len(level) < 3 else 1
                    self.titles = [*(above for above in self.titles if above[0] < rank), (rank, title)]
                    self.builder.add(title)
            elif name == "p":
                self.block([_text(element)])
            elif name == "list":
                self.block(_items(element))
            elif name == "table":
                headings = tuple(title for _, title in self.titles)
                add_table(self.builder, list(_rows(element)), headings, slide=self.slide)
            elif name not in _SKIPPED:
                self.container(element, depth + 1)

    def block(self, lines: list[str]) -> None:
        if any(lines):
            self.builder.add_block(lines, tuple(title for _, title in self.titles), slide=self.slide)


def _text(element: etree._Element) -> str:
    """One line; what is in annotations and deletions is no text."""
    parts = [element.text or ""]
    for inner in element:
        name = name_of(inner)
        if name in ("s", "tab", "line-break"):
            parts.append(" ")
        elif name not in _SKIPPED and name != "note-citation":
            parts.append((" " if name in ("p", "note") else "") + _text(inner))
        parts.append(inner.tail or "")
    return one_line("".join(parts))


def _items(element: etree._Element, indent: str = "") -> list[str]:
    lines = []
    for item in element:
        for part in item:
            if name_of(part) == "list":
                lines += _items(part, indent + "  ")
            elif text := _text(part):
                lines.append(f"{indent}- {text}")
    return lines


def _rows(table: etree._Element) -> list[list[str]]:
    rows: list[list[str]] = []
    length = 0
    for row in table.iter("{*}table-row"):
        cells: list[str] = []
        for cell in row:
            if name_of(cell) in ("table-cell", "covered-table-cell") and len(cells) < _MAX_COLUMNS:
                cells += [_text(cell)] * _count(cell, "number-columns-repeated")
        while cells and not cells[-1]:
            cells.pop()
        length += (len(cells) + sum(map(len, cells))) * _count(row, "number-rows-repeated")
        if length > MAX_CHARACTERS:
            raise IndexingError("has more cells than can be read; divide it")
        rows += [list(cells) for _ in range(_count(row, "number-rows-repeated"))]
    return rows


def _count(element: etree._Element, name: str) -> int:
    stated = attribute(element, name, "1")
    return min(int(stated), _MAX_REPEATED) if stated.isdecimal() and len(stated) < 9 else 1
