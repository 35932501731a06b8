"""Word (.docx, .docm, .dotx): WordprocessingML read directly, for python-docx knows neither tracked changes nor notes.

Left out: headers and footers, comments, deleted and hidden text, tables of contents, pictures, charts.
"""

import re
import zipfile

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.limits import MAX_NESTING, DamagedError, damaged, open_zip, parse_xml, read_entry
from indexes.readers.ooxml import (
    attribute,
    child,
    descendants,
    main_part,
    name_of,
    optional_part,
    relationships,
)
from indexes.readers.tables import add_table, one_line, repeated, row_lines

_HEADING_STYLE = re.compile(r"(?:heading|标题|標題|見出し|제목)\s*([1-9])", re.IGNORECASE)
_TITLE_STYLES = {"title", "标题", "標題", "文档标题"}
_CONTENTS_STYLE = re.compile(r"(?:toc|目录|目錄)\s*\d", re.IGNORECASE)
_TRANSPARENT = {"sdt", "sdtContent", "customXml", "smartTag", "ins", "moveTo", "body", "hyperlink", "fldSimple"}
_SKIPPED = {"del", "moveFrom", "rPr", "pPr", "instrText", "delText", "rt", "delInstrText", "sdtPr"}
_MAX_CHAIN = 20
"""Styles, each based on the next, that are followed; Word allows eleven."""
_CONTENTS = 99
"""Stands for the level of a line of a table of contents."""


def read_docx(data: bytes) -> Extracted:
    """Paragraphs, lists as one block each with a line an item, tables; headings by style or outline level."""
    try:
        archive = open_zip(data)
        part = main_part(archive, "word/document.xml")
        body = child(parse_xml(read_entry(archive, part)), "body")
        if body is None:
            raise DamagedError("it has no body")
        walk = _Walk(archive, part)
        walk.container(body)
        walk.end_list()
        return walk.builder.extracted()
    except DamagedError as error:
        raise damaged("Word document", error) from None


class _Walk:
    """One pass over the body; the items of a list gather in ``items`` until something else follows."""

    def __init__(self, archive: zipfile.ZipFile, part: str) -> None:
        links = relationships(archive, part)
        self.builder = TextBuilder()
        self.titles: list[tuple[int, str]] = []
        self.items: list[str] = []
        self.styles = _styles(optional_part(archive, links, "styles"))
        self.notes = {
            kind: {attribute(note, "id"): note for note in notes}
            for kind in ("footnote", "endnote")
            if (notes := optional_part(archive, links, f"{kind}s")) is not None
        }

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.titles)

    def container(self, parent: etree._Element, depth: int = 0) -> None:
        if depth > MAX_NESTING:
            raise IndexingError(f"has contents nested more than {MAX_NESTING} deep; simplify it")
        for element in parent:
            name = name_of(element)
            if name == "p":
                self.paragraph(element, depth)
            elif name == "tbl":
                self.table(element, depth)
            elif name in _TRANSPARENT:
                self.container(element, depth + 1)

    def paragraph(self, element: etree._Element, depth: int) -> None:
        level, is_item = self.style_of(element)
        if level == _CONTENTS:
            return
        inside = _Inline()
        inside.read(element)
        text = one_line(inside.text) if level is not None else _lines(inside.text)
        notes = [_note_text(self.notes.get(kind, {}).get(number)) for kind, number in inside.notes]
        if level is not None and text:
            self.end_list()
            self.titles = [*(above for above in self.titles if above[0] < level), (level, text)]
            self.builder.add_title(*self.headings)
        elif is_item and text:
            indent = "  " * _number(attribute(child(element, "pPr", "numPr", "ilvl"), "val", "0"), 8)
            self.items.append(f"{indent}- {one_line(text)}")
        elif text:
            self.end_list()
            self.builder.add_block(text.split("\n"), self.headings)
        if any(notes):
            self.end_list()
            self.builder.add_block([note for note in notes if note], self.headings)
        for box in inside.boxes:
            self.end_list()
            self.container(box, depth + 1)

    def style_of(self, element: etree._Element) -> tuple[int | None, bool]:
        """Heading level (0 is the title of the document), or None; and whether the paragraph is an item of a list."""
        properties = child(element, "pPr")
        level, number = self.styles.get(attribute(child(properties, "pStyle"), "val"), (None, ""))
        own_level = attribute(child(properties, "outlineLvl"), "val")
        if own_level and level != _CONTENTS:
            level = _number(own_level, 9) + 1 if _number(own_level, 9) < 9 else None
        number = attribute(child(properties, "numPr", "numId"), "val", number)
        return level, number not in ("", "0")

    def end_list(self) -> None:
        if self.items:
            self.builder.add_block(self.items, self.headings)
            self.items = []

    def table(self, element: etree._Element, depth: int) -> None:
        """Rows with named cells; a table of a single column is a frame around ordinary contents."""
        self.end_list()
        grid = _grid(element)
        if all(len(row) == 1 for row in grid):
            for row in grid:
                for cell in row:
                    self.container(cell, depth + 1)
            self.end_list()
            return
        is_header = next(descendants(element, "tblHeader"), None) is not None
        add_table(self.builder, _texts(grid, depth), self.headings, True if is_header else None)


class _Inline:
    """What stands in a paragraph: its text, references to notes, and text boxes that are anchored in it."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.notes: list[tuple[str, str]] = []
        self.boxes: list[etree._Element] = []

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def read(self, parent: etree._Element) -> None:
        for element in parent:
            name = name_of(element)
            if name == "t":
                self.parts.append(element.text or "")
            elif name == "tab":
                self.parts.append(" ")
            elif name in ("br", "cr"):
                self.parts.append("\n")
            elif name == "noBreakHyphen":
                self.parts.append("-")
            elif name in ("footnoteReference", "endnoteReference"):
                self.notes.append((name.removesuffix("Reference"), attribute(element, "id")))
            elif name == "txbxContent":
                self.boxes.append(element)
            elif name == "AlternateContent":  # the same twice, for newer and older programs
                for choice in element[:1]:
                    self.read(choice)
            elif name and name not in _SKIPPED and not (name == "r" and _is_on(child(element, "rPr", "vanish"))):
                self.read(element)


def _grid(table: etree._Element) -> list[list[etree._Element]]:
    """Cells by row, without deleted rows."""
    rows: list[list[etree._Element]] = []
    for row in _through(table, "tr"):
        if child(row, "trPr", "del") is None:
            rows.append(list(_through(row, "tc")))
    return rows


def _through(parent: etree._Element, wanted: str) -> list[etree._Element]:
    """Children of a name, also those wrapped in content controls or tracked insertions."""
    found = []
    for element in parent:
        if name_of(element) == wanted:
            found.append(element)
        elif name_of(element) in _TRANSPARENT:
            found += _through(element, wanted)
    return found


def _texts(grid: list[list[etree._Element]], depth: int) -> list[list[str]]:
    """The table as texts: a cell over several columns once, one over several rows where it is short in each."""
    rows: list[list[str]] = []
    above: dict[int, str] = {}
    for cells in grid:
        row: list[str] = []
        for cell in cells:
            merged = child(cell, "tcPr", "vMerge")
            if merged is not None and attribute(merged, "val", "continue") == "continue":
                text = repeated(above.get(len(row), ""))
            else:
                text = _cell_text(cell, depth)
                above[len(row)] = text
            row += [text, *[""] * (_number(attribute(child(cell, "tcPr", "gridSpan"), "val", "1"), 64) - 1)]
        rows.append(row)
    return rows


def _cell_text(cell: etree._Element, depth: int) -> str:
    """Paragraphs and the rows of nested tables in one line."""
    if depth > MAX_NESTING:
        raise IndexingError(f"has tables nested more than {MAX_NESTING} deep; simplify it")
    parts = []
    for element in cell:
        if name_of(element) == "p":
            inside = _Inline()
            inside.read(element)
            parts.append(inside.text)
            parts += [_cell_text(box, depth + 1) for box in inside.boxes]
        elif name_of(element) == "tbl":
            parts += row_lines(_texts(_grid(element), depth + 1))
        elif name_of(element) in _TRANSPARENT:
            parts.append(_cell_text(element, depth + 1))
    return one_line(" ".join(parts))


def _note_text(note: etree._Element | None) -> str:
    return _cell_text(note, 0) if note is not None else ""


def _styles(root: etree._Element | None) -> dict[str, tuple[int | None, str]]:
    """By style id: heading level, if any, and the list that the style belongs to."""
    own = {
        attribute(style, "styleId"): (
            _level(style),
            attribute(child(style, "pPr", "numPr", "numId"), "val"),
            attribute(child(style, "basedOn"), "val"),
        )
        for style in (root.iterchildren("{*}style") if root is not None else [])
    }
    styles: dict[str, tuple[int | None, str]] = {}
    for identity in own:
        level, number, above = own[identity]
        for _ in range(_MAX_CHAIN):
            if above not in own:
                break
            inherited_level, inherited_number, above = own[above]
            level, number = inherited_level if level is None else level, number or inherited_number
        styles[identity] = (level, number)
    return styles


def _level(style: etree._Element) -> int | None:
    name = attribute(child(style, "name"), "val")
    if _CONTENTS_STYLE.fullmatch(name):
        return _CONTENTS
    if name.lower() in _TITLE_STYLES:
        return 0
    if match := _HEADING_STYLE.fullmatch(name):
        return int(match[1])
    outline = attribute(child(style, "pPr", "outlineLvl"), "val")
    return _number(outline, 9) + 1 if outline and _number(outline, 9) < 9 else None


def _is_on(switch: etree._Element | None) -> bool:
    return switch is not None and attribute(switch, "val", "1") not in ("0", "false", "off")


def _number(text: str, most: int) -> int:
    """A small number that a file states; 0 for nonsense."""
    return min(int(text), most) if text.isascii() and text.isdigit() else 0


def _lines(text: str) -> str:
    """Lines without superfluous white space and without empty ones."""
    return "\n".join(filter(None, map(one_line, text.split("\n"))))
