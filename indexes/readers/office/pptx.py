"""Read PowerPoint (.pptx, .pptm, .ppsx): a slide's title is a heading, its shapes are blocks in reading order.

Speaker notes follow the slide under the same title. Dates, footers and slide numbers are left out; so are hidden slides
and shapes, struck-out text, comments, and pictures without an alternative text, which a warning reports.
"""

import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, PageProgress, TextBuilder, no_progress
from indexes.readers.images.pictures import PicturesInside
from indexes.readers.limits import MAX_NESTING, DamagedError, damaged, open_zip, parse_xml, read_entry
from indexes.readers.office.office_drawings import alternative_text, chart_rows, diagram_texts, part_bytes
from indexes.readers.office.pptx_text import paragraphs
from indexes.readers.omissions import left_out
from indexes.readers.ooxml import (
    Relationship,
    attribute,
    below,
    child,
    descendants,
    hyperlinks,
    main_part,
    name_of,
    optional_part,
    relationships,
)
from indexes.readers.tables.merged_header import Merge
from indexes.readers.tables.table_text import add_table, fill_down, one_line

_FURNITURE = {"dt", "ftr", "hdr", "sldNum", "sldImg"}
_TITLES = {"title", "ctrTitle"}
_SAME_ROW = 250_000
"""Shapes whose tops differ by less are read from left to right; in English Metric Units, about 7 mm."""

Position = tuple[int, int]


def read_pptx(data: bytes, progress: PageProgress = no_progress) -> Extracted:
    """Blocks have a slide number; a text frame is one block with one line per paragraph."""
    builder = TextBuilder()
    hidden = []
    not_read: Counter[str] = Counter()
    pictures = PicturesInside(progress)
    try:
        archive = open_zip(data)
        part = main_part(archive, "ppt/presentation.xml")
        links = relationships(archive, part)
        slides = child(parse_xml(read_entry(archive, part)), "sldIdLst")
        read: set[str] = set()  # a part is read once, even if it is referenced again
        for number, entry in enumerate(slides if slides is not None else [], start=1):
            link = next((links[value] for value in entry.attrib.values() if value in links), None)
            if link is None or link.target in read:
                continue
            read.add(link.target)
            slide = parse_xml(read_entry(archive, link.target))
            if attribute(slide, "show") in ("0", "false"):
                hidden.append(str(number))
            else:
                _Slide(archive, link.target, number, builder, read, not_read, pictures).read(slide)
    except DamagedError as error:
        raise damaged("PowerPoint presentation", error) from None
    told = [f"has hidden slides, which were left out: {', '.join(hidden[:50])}"] if hidden else []
    return builder.extracted("; ".join(filter(None, [*told, left_out(not_read)])), pictures.without_engine)


class _Slide:
    """Appends one slide to the builder."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        part: str,
        number: int,
        builder: TextBuilder,
        seen: set[str],
        not_read: Counter[str],
        pictures: PicturesInside,
    ) -> None:
        self.archive = archive
        self.not_read = not_read
        self.pictures = pictures
        self.seen = seen
        self.number = number
        self.builder = builder
        self.links = relationships(archive, part)
        self.addresses = hyperlinks(archive, part)
        self.layout = self.layout_positions()
        self.headings: tuple[str, ...] = ()
        self.title: etree._Element | None = None

    def read(self, slide: etree._Element) -> None:
        tree = child(slide, "cSld", "spTree")
        shapes = _in_reading_order(tree, self.layout) if tree is not None else []
        title = self.title = next((shape for shape in _inside(shapes) if _placeholder(shape)[0] in _TITLES), None)
        if title is not None and (text := one_line(" ".join(self.lines(title)))):
            self.headings = (text,)
            self.builder.add_title(text, slide=self.number)
        for shape in shapes:
            self.shape(shape)
        for link in self.links_of("comments"):
            self.not_read["comments"] += sum(1 for _ in self.related(link, "cm"))
        for link in self.links_of("notesSlide"):
            for shape in self.related(link, "sp"):
                if _placeholder(shape)[0] not in _FURNITURE:
                    self.block(self.lines(shape))

    def shape(self, shape: etree._Element, depth: int = 0) -> None:
        if depth > MAX_NESTING:
            raise IndexingError(f"has groups nested more than {MAX_NESTING} deep; simplify it")
        name = name_of(shape)
        if attribute(next(shape.iter("{*}cNvPr"), None), "hidden") in ("1", "true"):
            self.not_read["hidden"] += 1
            return
        if name == "grpSp":
            for inner in _in_reading_order(shape, self.layout):
                self.shape(inner, depth + 1)
        elif name == "graphicFrame":
            for table in descendants(shape, "tbl"):
                header, merges = _has_header(table), list(_merges(table))
                rows = [
                    [one_line(" ".join(self.lines(cell))) if isinstance(cell, etree._Element) else cell for cell in row]
                    for row in _cells(table)
                ]
                by_number = dict(enumerate(rows))
                for merge in merges:
                    fill_down(by_number, merge)
                add_table(
                    self.builder,
                    rows,
                    self.headings,
                    header,
                    merges=merges,
                    marked=[_is_bold(row) for row in descendants(table, "tr")],
                    slide=self.number,
                )
            for reference in descendants(shape, "chart"):
                self.chart(attribute(reference, "id"))
            for ids in descendants(shape, "relIds"):  # SmartArt keeps its texts in a separate part
                self.block(diagram_texts(self.archive, self.links, attribute(ids, "dm")))
        elif shape is not self.title and name in ("sp", "cxnSp") and _placeholder(shape)[0] not in _FURNITURE:
            self.block(self.lines(shape))
        elif name == "pic":
            text = alternative_text(child(shape, "nvPicPr", "cNvPr"))
            link = self.links.get(attribute(child(shape, "blipFill", "blip"), "embed"))
            seen = self.pictures.paragraphs(part_bytes(self.archive, link)) if link else []
            self.block([*([text] if text else []), *seen])
            self.not_read["pictures"] += not (text or seen)

    def lines(self, shape: etree._Element) -> list[str]:
        return paragraphs(shape, self.addresses, self.not_read)

    def chart(self, identity: str) -> None:
        caption, rows = chart_rows(self.archive, self.links, identity)
        if rows:
            add_table(self.builder, rows, self.headings, True, caption, slide=self.number)
        else:
            self.not_read["charts"] += 1

    def block(self, lines: list[str]) -> None:
        if lines:
            self.builder.add_block(lines, self.headings, slide=self.number)

    def related(self, link: Relationship, name: str) -> Iterator[etree._Element]:
        """Elements of another part; empty if the part was read before."""
        if link.target not in self.seen:
            self.seen.add(link.target)
            yield from descendants(parse_xml(read_entry(self.archive, link.target)), name)

    def links_of(self, kind: str) -> list[Relationship]:
        return [link for link in self.links.values() if link.kind == kind][:1]

    def layout_positions(self) -> dict[str, Position]:
        """Positions of the layout's placeholders, by index and by type: a slide only stores those that it moved.

        A layout only stores those that it moved from the title and the body of the master.
        """
        positions: dict[str, Position] = {}
        for link in self.links_of("slideLayout"):
            try:
                layout = parse_xml(read_entry(self.archive, link.target))
                master = optional_part(self.archive, relationships(self.archive, link.target), "slideMaster")
            except DamagedError:
                continue
            of_master = {
                _placeholder(shape)[0]: _own_position(shape)
                for shape in (descendants(master, "sp") if master is not None else ())
            }
            for shape in descendants(layout, "sp"):
                kind, index = _placeholder(shape)
                if position := _own_position(shape) or of_master.get("title" if kind in _TITLES else "body"):
                    positions.setdefault(f"index {index}", position)
                    positions.setdefault(f"type {kind}", position)
        return positions


def _in_reading_order(tree: etree._Element, layout: dict[str, Position]) -> list[etree._Element]:
    """Shapes from top to bottom, and from left to right if their tops are about level."""
    placed = []
    for order, shape in enumerate(below(tree)):
        if name_of(shape) in ("sp", "cxnSp", "grpSp", "graphicFrame", "pic"):
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
    """The shapes, followed by those in their groups."""
    shapes = list(shapes)
    yield from shapes
    for group in shapes:
        if name_of(group) == "grpSp":
            yield from descendants(group, "sp")


def _own_position(shape: etree._Element) -> Position | None:
    """Left and top in English Metric Units."""
    frame = child(shape, "xfrm")
    for properties in ("spPr", "grpSpPr"):
        frame = child(shape, properties, "xfrm") if frame is None else frame
    offset = child(frame, "off")
    try:
        return (int(attribute(offset, "x")), int(attribute(offset, "y"))) if offset is not None else None
    except ValueError:
        return None


def _placeholder(shape: etree._Element) -> tuple[str, str]:
    """Type and index; a body without a type is ``("", "1")``, any other shape ``("none", "none")``."""
    mark = child(shape, "nvSpPr", "nvPr", "ph")
    return (attribute(mark, "type"), attribute(mark, "idx")) if mark is not None else ("none", "none")


def _has_header(table: etree._Element) -> bool | None:
    """PowerPoint marks the first row of every new table, so that only a missing mark is informative."""
    return None if attribute(child(table, "tblPr"), "firstRow") in ("1", "true") else False


def _cells(table: etree._Element) -> Iterator[list[etree._Element | str]]:
    """The cells of a table; those that a merged cell covers are empty."""
    for row in descendants(table, "tr"):
        yield [
            "" if any(attribute(cell, name) in ("1", "true") for name in ("hMerge", "vMerge")) else cell
            for cell in descendants(row, "tc")
        ]


def _is_bold(row: etree._Element) -> bool:
    """Whether all text of a row is bold."""
    runs = [run for run in descendants(row, "r") if any((text.text or "").strip() for text in descendants(run, "t"))]
    return bool(runs) and all(attribute(child(run, "rPr"), "b") in ("1", "true") for run in runs)


def _merges(table: etree._Element) -> Iterator[Merge]:
    for top, row in enumerate(descendants(table, "tr")):
        for left, cell in enumerate(descendants(row, "tc")):
            height, width = (attribute(cell, name, "1") for name in ("rowSpan", "gridSpan"))
            if (height, width) != ("1", "1") and re.fullmatch(r"[1-9]\d{0,3} [1-9]\d{0,3}", f"{height} {width}"):
                yield Merge(top, left, top + int(height) - 1, left + int(width) - 1)
