"""OpenDocument text (.odt), as LibreOffice writes it, without deleted text, comments and contents pages."""

from collections.abc import Iterator

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.limits import DamagedError, damaged, open_zip, parse_xml, read_entry
from indexes.readers.ooxml import attribute, child, name_of
from indexes.readers.tables import add_table, one_line, row_lines

_SKIPPED = {
    "tracked-changes",
    "annotation",
    "sequence-decls",
    "table-of-content",
    "forms",
    "note-citation",
    "ruby-text",
}
_MAX_REPEATED = 64


def read_odt(data: bytes) -> Extracted:
    """Headings, paragraphs, lists as one block each, and tables."""
    builder = TextBuilder()
    try:
        archive = open_zip(data)
        if b"encryption-data" in read_entry(archive, "META-INF/manifest.xml"):
            raise IndexingError("is protected by a password; save a copy without one")
        body = child(parse_xml(read_entry(archive, "content.xml")), "body", "text")
    except DamagedError as error:
        raise damaged("OpenDocument text", error) from None
    _add(builder, body if body is not None else [], [])
    return builder.extracted()


def _add(builder: TextBuilder, parent: "etree._Element | list[etree._Element]", titles: list[tuple[int, str]]) -> None:
    """Append what stands below an element; ``titles`` are the headings so far, by level."""
    for element in parent:
        name, headings = name_of(element), tuple(title for _, title in titles)
        if name == "h":
            stated = attribute(element, "outline-level")
            level = int(stated) if stated in set("123456789") else 1
            if text := _text(element):
                titles[:] = [*(above for above in titles if above[0] < level), (level, text)]
                builder.add_title(*(title for _, title in titles))
        elif name == "p":
            builder.add_block([_text(element)], headings)
        elif name == "list" and next(element.iter("{*}h"), None) is None:  # Word numbers headings as lists
            builder.add_block(list(_items(element)), headings)
        elif name == "table":
            add_table(builder, list(_rows(element)), headings)
        elif name not in _SKIPPED:
            _add(builder, element, titles)


def _rows(table: etree._Element) -> Iterator[list[str]]:
    """The cells of a table, not those of tables inside."""
    for part in table:
        if name_of(part) == "table-row":
            row: list[str] = []
            for cell in part.iterchildren("{*}table-cell", "{*}covered-table-cell"):
                stated = attribute(cell, "number-columns-repeated", "1")
                row += [_text(cell)] * (
                    min(int(stated), _MAX_REPEATED) if stated.isdecimal() and len(stated) < 9 else 1
                )
            yield row
        elif name_of(part) in ("table-header-rows", "table-rows", "table-row-group"):
            yield from _rows(part)


def _text(element: etree._Element) -> str:
    """What an element says, in one line."""
    if name_of(element) == "table":
        return f" {' '.join(row_lines(list(_rows(element))))} "
    parts = [element.text or ""]
    for inner in element:
        apart = " " if name_of(inner) in ("s", "tab", "line-break", "p", "note") else ""
        parts += [apart, "" if name_of(inner) in _SKIPPED else _text(inner), inner.tail or ""]
    return one_line("".join(parts)) if name_of(element) in ("h", "p", "table-cell") else "".join(parts)


def _items(element: etree._Element, indent: str = "") -> Iterator[str]:
    for part in (part for item in element for part in item):
        yield from _items(part, indent + "  ") if name_of(part) == "list" else [f"{indent}- {_text(part)}"]
