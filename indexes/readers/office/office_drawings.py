"""Read drawings in Office documents: charts as tables, texts of SmartArt, alternative texts."""

import re
import zipfile

from lxml import etree

from indexes.readers.limits import DamagedError, parse_xml, read_entry
from indexes.readers.ooxml import Relationship, attribute, child, descendants, whole_number
from indexes.readers.tables.table_text import one_line

_MAX_POINTS = 10_000
_FILE_NAME = re.compile(r"\S+\.(?:png|jpe?g|gif|bmp|tiff?|webp|emf|wmf|svg)", re.IGNORECASE)
_NAMELESS = ("picture ", "image ", "图片 ", "grafik ", "chart ", "图表 ")


def chart_rows(archive: zipfile.ZipFile, links: dict[str, Relationship], identity: str) -> tuple[str, list[list[str]]]:
    """The title of a chart and its cached values: one row per category, one column per series."""
    chart = _related_part(archive, links, identity)
    if chart is None:
        return "", []
    title = child(chart, "chart", "title")
    caption = one_line("".join(text.text or "" for text in descendants(title, "t"))) if title is not None else ""
    categories: dict[int, str] = {}
    series: list[tuple[str, dict[int, str]]] = []
    for one in descendants(chart, "ser"):
        names = _points(child(one, "tx"))
        for kind in ("cat", "xVal"):
            categories |= _points(child(one, kind))
        values = _points(child(one, "val")) or _points(child(one, "yVal"))
        if values:
            series.append((" ".join(names.values()), values))
    numbers = sorted({number for _, values in series for number in values})[:_MAX_POINTS]
    rows = [
        [categories.get(number, str(number + 1)), *(values.get(number, "") for _, values in series)]
        for number in numbers
    ]
    return caption, [["", *(name for name, _ in series)], *rows] if rows else []


def _points(parent: etree._Element | None) -> dict[int, str]:
    """The cached cell values of a chart, by position; a text in the chart itself is the first."""
    if parent is None:
        return {}
    points = {
        number: one_line(value.text or "")
        for point in descendants(parent, "pt")
        if (number := whole_number(attribute(point, "idx"), -1)) >= 0 and (value := child(point, "v")) is not None
    }
    if points:
        return points
    text = one_line("".join(text.text or "" for text in [*descendants(parent, "v"), *descendants(parent, "t")]))
    return {0: text} if text else {}


def _related_part(archive: zipfile.ZipFile, links: dict[str, Relationship], identity: str) -> etree._Element | None:
    """The part that a drawing refers to; None if it is missing or damaged."""
    if identity not in links:
        return None
    try:
        return parse_xml(read_entry(archive, links[identity].target))
    except DamagedError:
        return None


def part_bytes(archive: zipfile.ZipFile, link: Relationship) -> bytes:
    """The file of a picture; empty if it is missing."""
    try:
        return read_entry(archive, link.target)
    except DamagedError:
        return b""


def diagram_texts(archive: zipfile.ZipFile, links: dict[str, Relationship], identity: str) -> list[str]:
    """The texts of SmartArt in the order of its points."""
    diagram = _related_part(archive, links, identity)
    points = descendants(diagram, "pt") if diagram is not None else ()
    texts = (one_line(" ".join(text.text or "" for text in descendants(point, "t"))) for point in points)
    return list(filter(None, texts))


def alternative_text(properties: etree._Element | None) -> str:
    """The alternative text that an author wrote for a picture; empty for a generated one."""
    text = one_line(attribute(properties, "descr"))
    is_made = _FILE_NAME.fullmatch(text) or (text.lower().startswith(_NAMELESS) and len(text) < 15)
    return "" if is_made else text
