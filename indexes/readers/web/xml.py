"""Read XML: the entries of a feed (RSS, Atom) under their titles, other XML by its element names.

An element with child elements is read like a JSON object, one with text between elements as a paragraph.
"""

from collections import Counter
from typing import Any

from bs4 import BeautifulSoup
from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.limits import MAX_NESTING, DamagedError, damaged, parse_xml
from indexes.readers.omissions import left_out
from indexes.readers.ooxml import attribute, name_of
from indexes.readers.tables.table_text import one_line
from indexes.readers.text.json_records import add_value
from indexes.readers.web.html import append_html

_ENTRIES = ("item", "entry")
_CONTENTS = ("encoded", "content", "description", "summary")
_SHOWN = {"pubDate": "Date", "published": "Date", "updated": "Updated", "creator": "Author", "author": "Author"} | {
    "category": "Category",
    "link": "Link",
}
"""Metadata of an entry and its label, shown above the text."""


def read_xml(data: bytes) -> Extracted:
    """Blocks are entries or records; numbers and names stay as written."""
    try:
        root = parse_xml(data)
    except DamagedError as error:
        raise damaged("XML file", error) from None
    builder = TextBuilder()
    not_read: Counter[str] = Counter()
    if name_of(root) in ("rss", "feed", "RDF"):
        not_read = _add_feed(builder, root)
    else:
        value = _value(root)
        add_value(builder, {name_of(root): value} if isinstance(value, str) else value)
    return builder.extracted(left_out(not_read))


def _add_feed(builder: TextBuilder, feed: etree._Element) -> Counter[str]:
    """Append the entries; return what was left out of them."""
    not_read: Counter[str] = Counter()
    channel = next(feed.iter("{*}channel"), feed)
    title = _plain(_text(channel, "title"))
    if title:
        builder.add_title(title)
    builder.add_block([_plain(_text(channel, "description") or _text(channel, "subtitle"))], (title,) if title else ())
    for entry in feed.iter(*(f"{{*}}{name}" for name in _ENTRIES)):
        headings = tuple(filter(None, (title, _plain(_text(entry, "title")))))
        if headings:
            builder.add_title(*headings)
        said = []
        for part in entry:
            label, value = _SHOWN.get(name_of(part)), one_line("".join(map(str, part.itertext())))
            value = value or attribute(part, "term") or (attribute(part, "href") if name_of(part) == "link" else "")
            said += [f"{label}: {value}"] if label and value else []
        builder.add_block(list(dict.fromkeys(said)), headings)
        contents = next((text for name in _CONTENTS if (text := _text(entry, name))), "")
        not_read.update(append_html(builder, f"<body>{contents}</body>".encode(), headings))
    return not_read


def _text(parent: etree._Element, name: str) -> str:
    found = next(parent.iterchildren(f"{{*}}{name}"), None)
    return "".join(map(str, found.itertext())).strip() if found is not None else ""


def _plain(markup: str) -> str:
    return one_line(BeautifulSoup(markup, "lxml").get_text(" ")) if markup else ""


def _value(element: etree._Element, depth: int = 0) -> Any:
    """An element as a JSON value; one with only text becomes that text."""
    if depth > MAX_NESTING:
        raise IndexingError(f"is nested more than {MAX_NESTING} deep; flatten it")
    below = [part for part in element if name_of(part)]
    attributes = {key.rpartition("}")[2]: str(value) for key, value in element.attrib.items()}
    own = [element.text or "", *(part.tail or "" for part in element)]
    text = one_line("".join(map(str, element.itertext())) if below else "".join(own))
    if not below:
        return {**attributes, name_of(element): text} if attributes and text else attributes or text
    if any(map(str.strip, own)):
        return {**attributes, name_of(element): text} if attributes else text
    if len({name_of(part) for part in below}) == 1 and len(below) > 1 and not attributes:
        values = [_value(part, depth + 1) for part in below]
        return {name_of(below[0]): values}
    found: dict[str, Any] = dict(attributes)
    for part in below:
        value = _value(part, depth + 1)
        name = name_of(part)
        if name in found:
            before = found[name] if isinstance(found[name], list) else [found[name]]
            found[name] = [*before, value]
        else:
            found[name] = value
    return found
