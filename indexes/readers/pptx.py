"""PowerPoint (.pptx, .pptm, .ppsx): each slide's title is a heading, its shapes are blocks in reading order.

Speaker notes follow the slide under the same title. Left out: hidden slides (a warning names them), dates, footers and
slide numbers, charts and pictures.
"""

import re
import zipfile
from collections.abc import Iterable, Iterator

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.header_rows import Merge
from indexes.readers.limits import MAX_NESTING, DamagedError, damaged, open_zip, parse_xml, read_entry
from indexes.readers.ooxml import (
    Relationship,
    attribute,
    below,
    child,
    descendants,
    main_part,
    name_of,
    raised,
    relationships,
)
from indexes.readers.tables import add_table, one_line, repeated

_FURNITURE = {"dt", "ftr", "hdr", "sldNum", "sldImg"}
_TITLES = {"title", "ctrTitle"}
_SAME_ROW = 250_000
"""Shapes whose tops differ by less, in English Metric Units (about 7 mm), are read from left to right."""

Position = tuple[int, int]


def read_pptx(data: bytes) -> Extracted:
    """Blocks know their slide; a text frame is one block with a line a paragraph."""
    builder = TextBuilder()
    hidden = []
    try:
        archive = open_zip(data)
        part = main_part(archive, "ppt/presentation.xml")
        links = relationships(archive, part)
        slides = child(parse_xml(read_entry(archive, part)), "sldIdLst")
        read: set[str] = set()  # a part is read once, however often it is named
        for number, entry in enumerate(slides if slides is not None else [], start=1):
            link = next((links[value] for value in entry.attrib.values() if value in links), None)
            if link is None or link.target in read:
                continue
            read.add(link.target)
            slide = parse_xml(read_entry(archive, link.target))
            if attribute(slide, "show") in ("0", "false"):
                hidden.append(str(number))
            else:
                _Slide(archive, link.target, number, builder, read).read(slide)
    except DamagedError as error:
        raise damaged("PowerPoint presentation", error) from None
    return builder.extracted(f"has hidden slides, which were left out: {', '.join(hidden[:50])}" if hidden else "")


class _Slide:
    """One slide on its way into the builder."""

    def __init__(self, archive: zipfile.ZipFile, part: str, number: int, builder: TextBuilder, seen: set[str]) -> None:
        self.archive = archive
        self.seen = seen
        self.number = number
        self.builder = builder
        self.links = relationships(archive, part)
        self.layout = self.layout_positions()
        self.headings: tuple[str, ...] = ()
        self.title: etree._Element | None = None

    def read(self, slide: etree._Element) -> None:
        tree = child(slide, "cSld", "spTree")
        shapes = _in_reading_order(tree, self.layout) if tree is not None else []
        title = self.title = next((shape for shape in _inside(shapes) if _placeholder(shape)[0] in _TITLES), None)
        if title is not None and (text := one_line(" ".join(_paragraphs(title)))):
            self.headings = (text,)
            self.builder.add_title(text, slide=self.number)
        for shape in shapes:
            self.shape(shape)
        for link in self.links_of("notesSlide"):
            for shape in self.related(link, "sp"):
                if _placeholder(shape)[0] not in _FURNITURE:
                    self.block(_paragraphs(shape))

    def shape(self, shape: etree._Element, depth: int = 0) -> None:
        if depth > MAX_NESTING:
            raise IndexingError(f"has groups nested more than {MAX_NESTING} deep; simplify it")
        name = name_of(shape)
        if name == "grpSp":
            for inner in _in_reading_order(shape, self.layout):
                self.shape(inner, depth + 1)
        elif name == "graphicFrame":
            for table in descendants(shape, "tbl"):
                header, merges = _has_header(table), list(_merges(table))
                add_table(self.builder, _rows(table), self.headings, header, merges=merges, slide=self.number)
            for ids in descendants(shape, "relIds"):  # SmartArt keeps its texts in a part of its own
                self.diagram(attribute(ids, "dm"))
        elif shape is not self.title and name in ("sp", "cxnSp") and _placeholder(shape)[0] not in _FURNITURE:
            self.block(_paragraphs(shape))

    def diagram(self, identity: str) -> None:
        if identity in self.links:
            points = self.related(self.links[identity], "pt")
            self.block([text for point in points if (text := one_line(" ".join(_paragraphs(point))))])

    def block(self, lines: list[str]) -> None:
        if lines:
            self.builder.add_block(lines, self.headings, slide=self.number)

    def related(self, link: Relationship, name: str) -> Iterator[etree._Element]:
        """Elements of another part, the first time that it is asked for."""
        if link.target not in self.seen:
            self.seen.add(link.target)
            yield from descendants(parse_xml(read_entry(self.archive, link.target)), name)

    def links_of(self, kind: str) -> list[Relationship]:
        return [link for link in self.links.values() if link.kind == kind][:1]

    def layout_positions(self) -> dict[str, Position]:
        """Where the layout puts its placeholders, by index and by type: a slide names only those that it moved."""
        positions: dict[str, Position] = {}
        for link in self.links_of("slideLayout"):
            try:
                layout = parse_xml(read_entry(self.archive, link.target))
            except DamagedError:
                continue
            for shape in descendants(layout, "sp"):
                kind, index = _placeholder(shape)
                if position := _own_position(shape):
                    positions.setdefault(f"index {index}", position)
                    positions.setdefault(f"type {kind}", position)
        return positions


def _in_reading_order(tree: etree._Element, layout: dict[str, Position]) -> list[etree._Element]:
    """Shapes from top to bottom, and from left to right where their tops are about level."""
    placed = []
    for order, shape in enumerate(below(tree)):
        if name_of(shape) in ("sp", "cxnSp", "grpSp", "graphicFrame"):
            kind, index = _placeholder(shape)
            place = layout.get(f"index {index}") or layout.get(f"type {kind}") or (0, 0)
            left, top = _own_position(shape) or place
            placed.append((top, left, order, shape))
    placed.sort(key=lambda item: item[:3])
    rows: list[list[tuple[int, int, int, etree._Element]]] = []
    for item in placed:
        if rows and item[0] - rows[-1][0][0] < _SAME_ROW:
            rows[-1].append(item)
        else:
            rows.append([item])
    return [item[3] for row in rows for item in sorted(row, key=lambda item: item[1:3])]


def _inside(shapes: Iterable[etree._Element]) -> Iterator[etree._Element]:
    """Shapes, and behind them those in groups among them."""
    shapes = list(shapes)
    yield from shapes
    for group in shapes:
        if name_of(group) == "grpSp":
            yield from descendants(group, "sp")


def _own_position(shape: etree._Element) -> Position | None:
    """Left and top, in English Metric Units."""
    frame = child(shape, "xfrm")
    for properties in ("spPr", "grpSpPr"):
        frame = child(shape, properties, "xfrm") if frame is None else frame
    offset = child(frame, "off")
    try:
        return (int(attribute(offset, "x")), int(attribute(offset, "y"))) if offset is not None else None
    except ValueError:
        return None


def _placeholder(shape: etree._Element) -> tuple[str, str]:
    """Type and index; a body without a stated type is ``("", "1")``, a shape of its own ``("none", "none")``."""
    mark = child(shape, "nvSpPr", "nvPr", "ph")
    return (attribute(mark, "type"), attribute(mark, "idx")) if mark is not None else ("none", "none")


def _paragraphs(shape: etree._Element) -> list[str]:
    """The lines of a text frame; deeper levels are indented."""
    lines = []
    for paragraph in descendants(shape, "p"):
        level = attribute(child(paragraph, "pPr"), "lvl", "0")
        text = one_line("".join(_runs(paragraph)))
        if text:
            lines.append("  " * (int(level) if level in set("12345678") else 0) + text)
    return lines


def _runs(paragraph: etree._Element) -> list[str]:
    parts: list[str] = []
    for element in paragraph.iter("{*}t", "{*}br", "{*}tab"):
        text = (element.text or "") if name_of(element) == "t" else " "
        if re.fullmatch(r"[1-9]\d*%?", attribute(child(element.getparent(), "rPr"), "baseline")):
            text = raised(text, parts[-1] if parts else "")
        parts += [text] if text else []
    return parts


def _has_header(table: etree._Element) -> bool | None:
    """PowerPoint marks the first row of every new table, so that only the missing mark says something."""
    return None if attribute(child(table, "tblPr"), "firstRow") in ("1", "true") else False


def _rows(table: etree._Element) -> list[list[str]]:
    """Cells as texts; what a merged cell covers is empty, or the cell's own short text in the rows below its first."""
    rows: list[list[str]] = []
    for row in descendants(table, "tr"):
        texts: list[str] = []
        for cell in descendants(row, "tc"):
            column = len(texts)
            if attribute(cell, "hMerge") in ("1", "true"):
                texts.append("")
            elif attribute(cell, "vMerge") in ("1", "true"):
                texts.append(repeated(rows[-1][column]) if rows and column < len(rows[-1]) else "")
            else:
                texts.append(one_line(" ".join(_paragraphs(cell))))
        rows.append(texts)
    return rows


def _merges(table: etree._Element) -> Iterator[Merge]:
    for top, row in enumerate(descendants(table, "tr")):
        for left, cell in enumerate(descendants(row, "tc")):
            height, width = (attribute(cell, name, "1") for name in ("rowSpan", "gridSpan"))
            if (height, width) != ("1", "1") and re.fullmatch(r"[1-9]\d{0,3} [1-9]\d{0,3}", f"{height} {width}"):
                yield Merge(top, left, top + int(height) - 1, left + int(width) - 1)
