"""Read Word (.docx, .docm, .dotx) directly as WordprocessingML: python-docx supports neither tracked changes nor notes.

Headers and footers, deleted text and tables of contents are left out; so are comments, struck-out and hidden text, and
pictures without an alternative text, which a warning counts.
"""

import zipfile

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, PageProgress, TextBuilder, no_progress
from indexes.readers.images.pictures import PicturesInside
from indexes.readers.limits import MAX_NESTING, DamagedError, damaged, open_zip, parse_xml, read_entry
from indexes.readers.numbered_sections import under_titles
from indexes.readers.office.docx_numbering import Numbering
from indexes.readers.office.docx_styles import CONTENTS, Styles
from indexes.readers.office.docx_text import (
    TRANSPARENT,
    Context,
    Inline,
    Note,
    cell_text,
    end_is_deleted,
    grid_of,
    is_bold,
    texts_of,
)
from indexes.readers.office.office_drawings import alternative_text, chart_rows, diagram_texts, part_bytes
from indexes.readers.omissions import left_out
from indexes.readers.ooxml import (
    attribute,
    below,
    child,
    descendants,
    hyperlinks,
    is_on,
    main_part,
    name_of,
    optional_part,
    relationships,
    whole_number,
)
from indexes.readers.tables.table_text import add_table, one_line


def read_docx(data: bytes, progress: PageProgress = no_progress) -> Extracted:
    """Blocks are paragraphs, lists with one line per item, and tables; titles by style, outline level or number."""
    try:
        archive = open_zip(data)
        part = main_part(archive, "word/document.xml")
        body = child(parse_xml(read_entry(archive, part)), "body")
        if body is None:
            raise DamagedError("its body is missing")
        walk = _Walk(archive, part, PicturesInside(progress))
        walk.container(body)
        document = walk.extracted()
        return document if any(level for level, _ in walk.titles) else under_titles(document)
    except DamagedError as error:
        raise damaged("Word document", error) from None


class _Walk:
    """One pass over the body; ``items`` collects the items of a list until something else follows."""

    def __init__(self, archive: zipfile.ZipFile, part: str, pictures: PicturesInside) -> None:
        self.archive = archive
        self.pictures = pictures
        self.links = relationships(archive, part)
        self.builder = TextBuilder()
        self.titles: list[tuple[int, str]] = []
        self.items: list[str] = []
        self.unfinished: Inline | None = None
        styles = Styles(optional_part(archive, self.links, "styles"))
        numbering = Numbering(optional_part(archive, self.links, "numbering"), styles.lists)
        self.context = Context(styles, numbering, hyperlinks(archive, part))
        comments = optional_part(archive, self.links, "comments")
        self.context.left_out["comments"] += len(comments) if comments is not None else 0
        self.notes = {
            kind: {attribute(note, "id"): note for note in notes}
            for kind in ("footnote", "endnote")
            if (notes := optional_part(archive, self.links, f"{kind}s")) is not None
        }

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.titles)

    def extracted(self) -> Extracted:
        self.end_list()
        return self.builder.extracted(left_out(self.context.left_out), self.pictures.without_engine)

    def container(self, parent: etree._Element, depth: int = 0) -> None:
        if depth > MAX_NESTING:
            raise IndexingError(f"has contents nested more than {MAX_NESTING} deep; simplify it")
        for element in below(parent):
            name = name_of(element)
            if name == "p":
                self.paragraph(element, depth)
            elif name == "tbl":
                self.table(element, depth)
            elif name in TRANSPARENT and not is_on(child(element, "sdtPr", "showingPlcHdr")):
                self.container(element, depth + 1)

    def paragraph(self, element: etree._Element, depth: int) -> None:
        level = self.level_of(element)
        if level == CONTENTS:
            return
        inside = self.unfinished or Inline(self.context)
        inside.paragraph(element)
        self.unfinished = inside if end_is_deleted(element) else None
        if self.unfinished:
            return
        number = self.context.number(element) if inside.text.strip() else None
        text = one_line(inside.text) if level is not None else _lines(inside.text)
        if number and text.startswith(number):  # some programs also write the number into the text
            text = text.removeprefix(number).lstrip()
        if level is not None and text:
            self.end_list()
            numbered = f"{number} {text}" if number else text
            self.titles = [*(above for above in self.titles if above[0] < level), (level, numbered)]
            self.builder.add_title(*self.headings)
        elif number is not None and text:
            self.items.append(f"{'  ' * self.context.list_level(element)}{number or '-'} {one_line(text)}")
        elif text:
            self.end_list()
            self.builder.add_block(text.split("\n"), self.headings)
        self.texts_of_notes(inside.notes)
        for box in inside.boxes:
            self.end_list()
            self.container(box, depth + 1)
        for drawing in inside.drawings:
            self.drawing(drawing)

    def texts_of_notes(self, notes: list[Note]) -> None:
        if texts := [text for kind, number in notes if (text := self.text_of(self.notes.get(kind, {}).get(number)))]:
            self.end_list()
            self.builder.add_block(texts, self.headings)

    def text_of(self, note: etree._Element | None) -> str:
        return cell_text(note, 0, self.context, []) if note is not None else ""

    def drawing(self, drawing: etree._Element) -> None:
        """Append the alternative text or OCR text of a picture, the values of a chart, the texts of SmartArt."""
        self.end_list()
        said = [text for properties in descendants(drawing, "docPr") if (text := alternative_text(properties))]
        for picture in drawing.iter("{*}pic", "{*}imagedata"):
            reference = next(descendants(picture, "blip"), picture)
            link = self.links.get(attribute(reference, "embed") or attribute(reference, "id"))
            seen = self.pictures.paragraphs(part_bytes(self.archive, link)) if link else []
            self.context.left_out["pictures"] += not (said or seen)
            said += seen
        for text in said:
            self.builder.add_block([text], self.headings)
        for reference in descendants(drawing, "chart"):
            caption, rows = chart_rows(self.archive, self.links, attribute(reference, "id"))
            if rows:
                add_table(self.builder, rows, self.headings, True, caption)
            elif attribute(reference, "id"):
                self.context.left_out["charts"] += 1
        for reference in descendants(drawing, "relIds"):
            texts = diagram_texts(self.archive, self.links, attribute(reference, "dm"))
            self.builder.add_block(texts, self.headings)

    def level_of(self, element: etree._Element) -> int | None:
        """Heading level (0 is the document's title), or None."""
        properties = child(element, "pPr")
        level = self.context.styles[attribute(child(properties, "pStyle"), "val")].level
        own = attribute(child(properties, "outlineLvl"), "val")
        if own and level != CONTENTS:
            return whole_number(own) + 1 if whole_number(own) < 9 else None
        return level

    def end_list(self) -> None:
        if self.items:
            self.builder.add_block(self.items, self.headings)
            self.items = []

    def table(self, element: etree._Element, depth: int) -> None:
        """Append a table; a table with a single column is a frame around ordinary content."""
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
        rows, merges = texts_of(grid, depth, self.context, notes)
        marked = [is_bold(row, self.context) for row in grid]
        add_table(self.builder, rows, self.headings, True if is_header else None, merges=merges, marked=marked)
        self.texts_of_notes(notes)


def _lines(text: str) -> str:
    """The lines with white space collapsed, without empty ones."""
    return "\n".join(filter(None, map(one_line, text.split("\n"))))
