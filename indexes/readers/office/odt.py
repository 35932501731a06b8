"""Read OpenDocument text (.odt), as LibreOffice writes it.

Deleted text and contents pages are left out; so are comments, struck-out and hidden text, and pictures without an
alternative text, which a warning counts.
"""

import posixpath
import zipfile
from collections import Counter
from collections.abc import Iterator

from bs4 import BeautifulSoup
from bs4.element import Tag
from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.limits import DamagedError, damaged, open_zip, parse_xml, read_entry
from indexes.readers.links import with_target
from indexes.readers.mathml import mathml_text
from indexes.readers.office.odt_styles import Level, Look, Styles, styles_of
from indexes.readers.omissions import left_out
from indexes.readers.ooxml import attribute, child, descendants, name_of, raised, whole_number
from indexes.readers.tables.table_text import add_table, one_line, row_lines

_SKIPPED = {"tracked-changes", "sequence-decls", "table-of-content", "forms", "note-citation", "ruby-text", "number"}
_SKIPPED |= {"annotation", "annotation-end", "hidden-text", "user-index", "alphabetical-index", "illustration-index"}
_MAX_REPEATED = 64


def read_odt(data: bytes) -> Extracted:
    """Blocks are paragraphs, whole lists, and tables, under their headings."""
    try:
        archive = open_zip(data)
        if b"encryption-data" in read_entry(archive, "META-INF/manifest.xml"):
            raise IndexingError("is password-protected; save a copy without a password")
        contents = parse_xml(read_entry(archive, "content.xml"))
        common = parse_xml(read_entry(archive, "styles.xml")) if "styles.xml" in archive.namelist() else None
        walk = _Walk(archive, styles_of(common, contents))
        body = child(contents, "body", "text")
        walk.container(body if body is not None else [])
    except DamagedError as error:
        raise damaged("OpenDocument text", error) from None
    return walk.builder.extracted(left_out(walk.left_out))


class _Walk:
    def __init__(self, archive: zipfile.ZipFile, styles: Styles) -> None:
        self.archive = archive
        self.styles = styles
        self.builder = TextBuilder()
        self.titles: list[tuple[int, str]] = []
        self.left_out: Counter[str] = Counter()
        self.outline: dict[int, int] = {}
        self.counts: dict[str, dict[int, int]] = {}
        self.drawn: list[etree._Element] = []
        """Frames of the current paragraph."""

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.titles)

    def container(self, parent: "etree._Element | list[etree._Element]") -> None:
        for element in parent:
            name = name_of(element)
            if name == "h":
                self.heading(element)
            elif name == "p":
                text = self.text(element)
                self.builder.add_block([text], self.headings)
                self.drawings()
            elif name == "list" and next(element.iter("{*}h"), None) is None:  # Word numbers headings as lists
                items = [f"{indent}{number or '-'} {text}" for indent, number, text in self.items(element, "", 1)]
                self.builder.add_block(items, self.headings)
                self.drawings()
            elif name == "list":
                self.container([inner for item in element for inner in item])
            elif name == "table":
                is_header = child(element, "table-header-rows") is not None
                rows = list(self.rows(element))
                marked = [self.is_bold(row) for row in _table_rows(element)]
                add_table(self.builder, rows, self.headings, True if is_header else None, marked=marked)
                self.drawings()
            elif attribute(element, "display") == "none":
                self.left_out["hidden"] += 1
            elif name not in _SKIPPED:
                self.container(element)

    def heading(self, element: etree._Element) -> None:
        stated = attribute(element, "outline-level")
        level = int(stated) if stated in set("123456789") else 1
        text = self.text(element)
        if text:
            _count(self.outline, level, self.styles.outline, attribute(element, "start-value"))
            number = self.styles.number(self.styles.outline, self.outline, level)
            number = "" if attribute(element, "is-list-header") == "true" else number
            self.titles[:] = [
                *(above for above in self.titles if above[0] < level),
                (level, f"{number} {text}".strip()),
            ]
            self.builder.add_title(*self.headings)
        self.drawings()

    def items(self, element: etree._Element, style: str, depth: int) -> Iterator[tuple[str, str, str]]:
        """Indent, number (empty for a bullet) and text of each item."""
        style = attribute(element, "style-name") or style or self.style_of_items(element)
        levels = self.styles.lists.get(style, {})
        counts = self.counts.setdefault(style, {})
        if (
            depth == 1
            and not attribute(element, "continue-list")
            and attribute(element, "continue-numbering") != "true"
        ):
            counts.clear()
        for item in element:
            first = True
            if name_of(item) == "list-item":
                _count(counts, depth, levels, attribute(item, "start-value"))
            for part in item:
                if name_of(part) == "list":
                    yield from self.items(part, style, depth + 1)
                elif text := self.text(part):
                    is_numbered = first and name_of(item) == "list-item"
                    yield "  " * (depth - 1), self.styles.number(levels, counts, depth) if is_numbered else "", text
                    first = False

    def style_of_items(self, element: etree._Element) -> str:
        paragraph = next(element.iter("{*}p"), None)
        return self.styles.looks.get(attribute(paragraph, "style-name"), Look()).list_style

    def rows(self, table: etree._Element) -> Iterator[list[str]]:
        """The cells of a table, without those of nested tables."""
        for part in _table_rows(table):
            row: list[str] = []
            for cell in part.iterchildren("{*}table-cell", "{*}covered-table-cell"):
                count = whole_number(attribute(cell, "number-columns-repeated"), 1)
                row += [self.text(cell)] * min(count, _MAX_REPEATED)
            yield row

    def is_bold(self, row: etree._Element) -> bool:
        """Whether all text of a row is bold."""
        texts = [text for text in row.iter("{*}p", "{*}span") if (text.text or "").strip()]
        return bool(texts) and all(
            any(
                self.styles.looks.get(attribute(one, "style-name"), Look()).bold
                for one in (text, *text.iterancestors("{*}p", "{*}table-cell"))
            )
            for text in texts
        )

    def text(self, element: etree._Element, around: Look = Look()) -> str:  # noqa: B008 (it is frozen)
        """The text of an element as one line; its drawings are left to :meth:`drawings`."""
        name = name_of(element)
        if name == "table":
            return f" {' '.join(row_lines(list(self.rows(element))))} "
        look = self.styles.looks.get(attribute(element, "style-name"), Look()).over(around)
        parts = [self.shown(element.text or "", look)]
        for inner in element:
            kind = name_of(inner)
            if kind == "annotation":
                self.left_out["comments"] += 1
            elif kind == "frame" and child(inner, "text-box") is None:
                self.drawn.append(inner)
                parts.append(self.formula(inner))
            elif kind == "a":
                parts.append(with_target(self.text(inner, look), attribute(inner, "href")))
            elif kind not in _SKIPPED:
                apart = " " if kind in ("s", "tab", "line-break", "p", "note") else ""
                text = self.text(inner, look)
                is_raised = self.styles.looks.get(attribute(inner, "style-name"), Look()).raised
                parts += [apart, raised(text, "".join(parts)) if is_raised and kind == "span" else text]
            parts.append(self.shown(inner.tail or "", look))
        return one_line("".join(parts)) if name in ("h", "p", "table-cell") else "".join(parts)

    def shown(self, text: str, look: Look) -> str:
        if text.strip() and (look.hidden or look.struck):
            self.left_out["hidden" if look.hidden else "struck"] += 1
        if look.hidden or look.struck:
            return ""
        return text

    def formula(self, frame: etree._Element) -> str:
        """The formula in a frame; empty for anything else."""
        if (math := next(frame.iter("{*}math"), None)) is not None:
            return _formula(etree.tostring(math))
        contents = self.object(frame)
        return _formula(contents) if b"MathML" in contents[:2000] else ""

    def object(self, frame: etree._Element) -> bytes:
        """The content of an embedded object, such as a formula or a chart."""
        part = child(frame, "object")
        name = posixpath.normpath(attribute(part, "href")) + "/content.xml" if part is not None else ""
        return read_entry(self.archive, name) if name in self.archive.namelist() else b""

    def drawings(self) -> None:
        """Append the content of the paragraph's frames as blocks below it."""
        for frame in self.drawn:
            texts = [one_line(one.text or "") for one in frame.iter("{*}desc", "{*}title")]
            contents = self.object(frame)
            if contents and b"<chart:" in contents[:20_000]:
                tables = [list(self.rows(table)) for table in descendants(parse_xml(contents), "table")]
                for rows in tables:
                    add_table(self.builder, rows, self.headings, True)
                self.left_out["charts"] += not tables
            elif child(frame, "image") is not None and child(frame, "object") is None:
                self.builder.add_block(list(filter(None, texts)), self.headings)
                self.left_out["pictures"] += not any(texts)
        self.drawn.clear()


def _table_rows(table: etree._Element) -> Iterator[etree._Element]:
    for part in table:
        if name_of(part) == "table-row":
            yield part
        elif name_of(part) in ("table-header-rows", "table-rows", "table-row-group"):
            yield from _table_rows(part)


def _count(counts: dict[int, int], level: int, levels: dict[int, Level], stated: str) -> None:
    """Count up a level and restart the levels below it."""
    start = levels[level].start if level in levels else 1
    counts[level] = whole_number(stated, counts.get(level, start - 1) + 1)
    for deeper in [one for one in counts if one > level]:
        del counts[deeper]


def _formula(source: bytes) -> str:
    math = BeautifulSoup(source, "xml").find("math")
    return mathml_text(math) if isinstance(math, Tag) else ""
