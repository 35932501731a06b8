"""Word (.docx, .docm, .dotx): WordprocessingML read directly, for python-docx knows neither tracked changes nor notes.

Left out: headers and footers, comments, deleted and hidden text, tables of contents, pictures, charts.
"""

import re
import zipfile

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.docx_text import TRANSPARENT, Inline, Note, cell_text, grid_of, number_of, texts_of
from indexes.readers.limits import MAX_NESTING, DamagedError, damaged, open_zip, parse_xml, read_entry
from indexes.readers.numbered import under_titles
from indexes.readers.ooxml import (
    attribute,
    below,
    child,
    descendants,
    main_part,
    name_of,
    optional_part,
    relationships,
)
from indexes.readers.tables import add_table, one_line

_HEADING_STYLE = re.compile(r"(?:heading|标题|標題|見出し|제목)\s*([1-9])", re.IGNORECASE)
_TITLE_STYLES = {"title", "标题", "標題", "文档标题"}
_CONTENTS_STYLE = re.compile(r"(?:toc|目录|目錄)\s*\d", re.IGNORECASE)
_MAX_CHAIN = 20
"""Styles, each based on the next, that are followed; Word allows eleven."""
_CONTENTS = 99
"""Stands for the level of a line of a table of contents."""


def read_docx(data: bytes) -> Extracted:
    """Paragraphs, lists as one block each with a line an item, tables; titles by style, outline level or number."""
    try:
        archive = open_zip(data)
        part = main_part(archive, "word/document.xml")
        body = child(parse_xml(read_entry(archive, part)), "body")
        if body is None:
            raise DamagedError("it has no body")
        walk = _Walk(archive, part)
        walk.container(body)
        walk.end_list()
        has_headings = any(level for level, _ in walk.titles)
        return walk.builder.extracted() if has_headings else under_titles(walk.builder.extracted())
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
        for element in below(parent):
            name = name_of(element)
            if name == "p":
                self.paragraph(element, depth)
            elif name == "tbl":
                self.table(element, depth)
            elif name in TRANSPARENT:
                self.container(element, depth + 1)

    def paragraph(self, element: etree._Element, depth: int) -> None:
        level, is_item = self.style_of(element)
        if level == _CONTENTS:
            return
        inside = Inline()
        inside.read(element)
        text = one_line(inside.text) if level is not None else _lines(inside.text)
        if level is not None and text:
            self.end_list()
            self.titles = [*(above for above in self.titles if above[0] < level), (level, text)]
            self.builder.add_title(*self.headings)
        elif is_item and text:
            indent = "  " * number_of(attribute(child(element, "pPr", "numPr", "ilvl"), "val", "0"), 8)
            self.items.append(f"{indent}- {one_line(text)}")
        elif text:
            self.end_list()
            self.builder.add_block(text.split("\n"), self.headings)
        self.texts_of_notes(inside.notes)
        for box in inside.boxes:
            self.end_list()
            self.container(box, depth + 1)

    def texts_of_notes(self, notes: list[Note]) -> None:
        if texts := [text for kind, number in notes if (text := _note_text(self.notes.get(kind, {}).get(number)))]:
            self.end_list()
            self.builder.add_block(texts, self.headings)

    def style_of(self, element: etree._Element) -> tuple[int | None, bool]:
        """Heading level (0 is the title of the document), or None; and whether the paragraph is an item of a list."""
        properties = child(element, "pPr")
        level, number = self.styles.get(attribute(child(properties, "pStyle"), "val"), (None, ""))
        own_level = attribute(child(properties, "outlineLvl"), "val")
        if own_level and level != _CONTENTS:
            level = number_of(own_level, 9) + 1 if number_of(own_level, 9) < 9 else None
        number = attribute(child(properties, "numPr", "numId"), "val", number)
        return level, number not in ("", "0")

    def end_list(self) -> None:
        if self.items:
            self.builder.add_block(self.items, self.headings)
            self.items = []

    def table(self, element: etree._Element, depth: int) -> None:
        """Rows with named cells; a table of a single column is a frame around ordinary contents."""
        self.end_list()
        grid = grid_of(element)
        if all(len(row.cells) == 1 for row in grid):
            for row in grid:
                for cell in row.cells:
                    self.container(cell, depth + 1)
            self.end_list()
            return
        is_header = next(descendants(element, "tblHeader"), None) is not None
        notes: list[Note] = []
        rows, merges = texts_of(grid, depth, notes)
        add_table(self.builder, rows, self.headings, True if is_header else None, merges=merges)
        self.texts_of_notes(notes)


def _note_text(note: etree._Element | None) -> str:
    return cell_text(note, 0, []) if note is not None else ""


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
    return number_of(outline, 9) + 1 if outline and number_of(outline, 9) < 9 else None


def _lines(text: str) -> str:
    """Lines without superfluous white space and without empty ones."""
    return "\n".join(filter(None, map(one_line, text.split("\n"))))
