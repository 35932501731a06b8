"""Read EPUB 2 and 3: the chapters in spine order, each read as HTML, under the title of the book.

Pictures are read by OCR if an engine is installed, otherwise counted. Contents pages and covers are left out. Books
with digital rights management are refused.
"""

import posixpath
import zipfile
from collections import Counter
from functools import partial
from urllib.parse import unquote, urldefrag

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, PageProgress, TextBuilder, no_progress
from indexes.readers.images.pictures import PicturesInside
from indexes.readers.limits import DamagedError, damaged, open_zip, parse_xml, read_entry
from indexes.readers.omissions import left_out
from indexes.readers.ooxml import attribute, child, descendants, name_of
from indexes.readers.tables.table_text import one_line
from indexes.readers.web.html import append_html

_FONT_METHODS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Obfuscation of embedded fonts; the text is not encrypted."""
_PAGES = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document"}


def read_epub(data: bytes, progress: PageProgress = no_progress) -> Extracted:
    """Blocks are those of HTML; a chapter without a heading gets its title in the table of contents."""
    builder = TextBuilder()
    missing = 0
    pictures = PicturesInside(progress)
    try:
        archive = open_zip(data)
        _refuse_protected(archive)
        container = parse_xml(read_entry(archive, "META-INF/container.xml"))
        package_name = next((attribute(file, "full-path") for file in descendants(container, "rootfile")), "")
        package = parse_xml(read_entry(archive, package_name))
        folder = posixpath.dirname(package_name)
        title = next((one_line(entry.text or "") for entry in descendants(package, "title")), "")
        items = {attribute(item, "id"): item for item in descendants(package, "item")}
        contents = _contents(archive, folder, items)
        if title:
            builder.add(title)
        not_read: Counter[str] = Counter()
        read: set[str] = set()  # a chapter is read once, even if the spine repeats it
        for reference in descendants(package, "itemref"):
            item = items.get(attribute(reference, "idref"))
            if item is None or attribute(item, "media-type") not in _PAGES or _is_contents(item):
                continue
            name = _resolved(folder, attribute(item, "href"))
            if name in read:
                continue
            read.add(name)
            try:
                page = read_entry(archive, name)
            except DamagedError:
                missing += 1
                continue
            text_in = partial(_text_in, archive, posixpath.dirname(name), pictures)
            not_read.update(append_html(builder, page, (title,) if title else (), contents.get(name, ""), text_in))
    except DamagedError as error:
        raise damaged("EPUB book", error) from None
    if missing and missing == len(read):
        raise damaged("EPUB book", "all chapters are missing")
    told = f"lacks {missing} of its {len(read)} chapters" if missing else ""
    return builder.extracted("; ".join(filter(None, [told, left_out(not_read)])), pictures.without_engine)


def _text_in(archive: zipfile.ZipFile, folder: str, pictures: PicturesInside, source: str) -> list[str]:
    try:
        return pictures.paragraphs(read_entry(archive, _resolved(folder, source)))
    except DamagedError:
        return []


def _refuse_protected(archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    if "META-INF/rights.xml" in names:
        raise IndexingError("is protected by digital rights management (DRM); get a copy without DRM")
    if "META-INF/encryption.xml" in names:
        for method in descendants(parse_xml(read_entry(archive, "META-INF/encryption.xml")), "EncryptionMethod"):
            data = method.getparent()
            if name_of(data) == "EncryptedData" and attribute(method, "Algorithm") not in _FONT_METHODS:
                raise IndexingError("is protected by digital rights management (DRM); get a copy without DRM")


def _is_contents(item: etree._Element) -> bool:
    return "nav" in attribute(item, "properties").split()


def _contents(archive: zipfile.ZipFile, folder: str, items: dict[str, etree._Element]) -> dict[str, str]:
    """Titles by file, from the EPUB 3 navigation page or the EPUB 2 NCX; empty if both are unreadable."""
    titles: dict[str, str] = {}
    for item in items.values():
        is_ncx = attribute(item, "media-type") == "application/x-dtbncx+xml"
        if not is_ncx and not _is_contents(item):
            continue
        listing = _resolved(folder, attribute(item, "href"))
        try:
            root = parse_xml(read_entry(archive, listing))
        except DamagedError:
            continue
        for entry in descendants(root, "navPoint" if is_ncx else "a"):
            label = child(entry, "navLabel") if is_ncx else entry
            target = attribute(child(entry, "content"), "src") if is_ncx else attribute(entry, "href")
            text = one_line("".join(label.itertext())) if label is not None else ""
            if text:
                titles.setdefault(_resolved(posixpath.dirname(listing), target), text)
    return titles


def _resolved(folder: str, reference: str) -> str:
    """The archive entry that a reference in a file of ``folder`` refers to; never a path on disk."""
    return posixpath.normpath(posixpath.join("/", folder, unquote(urldefrag(reference)[0]))).lstrip("/")
