"""Shared by docx, pptx and xlsx: parts in a ZIP archive, linked by relationships (ECMA-376, part 2).

Elements are matched by local name, so that files in the strict variant of the standard, which has other namespaces, are
read too.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

from lxml import etree

from indexes.readers.limits import DamagedError, parse_xml, read_entry
from indexes.readers.superscripts import marked

_NUMBER = re.compile(r"[-+\u2212\u2013]?\d+(?:[.,/]\d+)?")
_POWER = re.compile(rf"\^{_NUMBER.pattern}")


class Relationship(NamedTuple):
    kind: str
    """Last part of the type's URI: ``"slide"``, ``"notesSlide"``."""
    target: str
    """Name of the part in the archive."""


def name_of(element: etree._Element) -> str:
    """The local name; empty for anything but an element, such as an unexpanded entity."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def attribute(element: etree._Element | None, name: str, default: str = "") -> str:
    """An attribute by its local name."""
    for key, value in element.attrib.items() if element is not None else ():
        if key.rpartition("}")[2] == name:
            return str(value)
    return default


def child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """The first descendant along a path of local names."""
    for name in path:
        element = next(element.iterchildren(f"{{*}}{name}"), None) if element is not None else None
    return element


def descendants(element: etree._Element, name: str) -> Iterator[etree._Element]:
    yield from element.iter(f"{{*}}{name}")


def below(parent: etree._Element) -> Iterator[etree._Element]:
    """The children; where there are alternatives for newer and older programs, those of the first one."""
    for element in parent:
        if name_of(element) != "AlternateContent":
            yield element
        else:
            for choice in element[:1]:
                yield from below(choice)


def whole_number(text: str, otherwise: int = 0) -> int:
    """Parse a number of at most seven digits; return ``otherwise`` for any other text."""
    return int(text) if text.isdecimal() and len(text) <= 7 else otherwise


def is_on(switch: etree._Element | None) -> bool:
    """Whether a switch element exists and is not set to false."""
    return switch is not None and attribute(switch, "val", "1") not in ("0", "false", "off")


def raised(text: str, before: str) -> str:
    """Format a superscript after ``before``: ``10`` and ``6`` are ``10^6``, ``1`` and ``st`` are ``1st``."""
    is_continued = _POWER.fullmatch(before)  # a superscript of two runs
    return marked(text, before) if _NUMBER.fullmatch(text) and before and not is_continued else text


def main_part(archive: zipfile.ZipFile, usual: str) -> str:
    """Name of the part that holds the document itself."""
    for relationship in relationships(archive, "").values():
        if relationship.kind == "officeDocument":
            return relationship.target
    return usual


def hyperlinks(archive: zipfile.ZipFile, part: str) -> dict[str, str]:
    """External hyperlinks of a part, by id."""
    return {
        attribute(element, "Id"): attribute(element, "Target")
        for element in _listed(archive, part)
        if attribute(element, "TargetMode") == "External" and attribute(element, "Type").endswith("/hyperlink")
    }


def relationships(archive: zipfile.ZipFile, part: str) -> dict[str, Relationship]:
    """Relationships to parts inside the archive, by id; empty if the part has no relationships."""
    folder = posixpath.dirname(part)
    found = {}
    for element in _listed(archive, part):
        target = attribute(element, "Target")
        if attribute(element, "TargetMode") != "External":
            inside = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[attribute(element, "Id")] = Relationship(attribute(element, "Type").rpartition("/")[2], inside)
    return found


def _listed(archive: zipfile.ZipFile, part: str) -> Iterator[etree._Element]:
    folder, name = posixpath.split(part)
    listing = posixpath.join(folder, "_rels", f"{name}.rels")
    if listing in archive.namelist():
        yield from (one for one in parse_xml(read_entry(archive, listing)) if name_of(one) == "Relationship")


def optional_part(archive: zipfile.ZipFile, links: dict[str, Relationship], kind: str) -> etree._Element | None:
    """The first related part of a kind (styles, notes); None if there is none or it cannot be read."""
    for link in links.values():
        if link.kind == kind:
            try:
                return parse_xml(read_entry(archive, link.target))
            except DamagedError:
                return None
    return None
