"""HTML: the visible text of a page in blocks under its headings, without what only serves navigation."""

import re
import warnings
from collections.abc import Iterator

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from bs4.dammit import EncodingDetector
from bs4.element import CData, NavigableString, PageElement, PreformattedString, Tag

from indexes.language import CJK
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.encodings import decode

_DROPPED = ["script", "style", "nav", "noscript", "template", "svg", "head", "button", "select", "iframe"]
_NAVIGATION = "[role=navigation], [role=doc-toc], [hidden], .toc, .navheader, .navfooter, .breadcrumb, .breadcrumbs"
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_NESTED = ("ul", "ol", "dl")
_LISTS = (*_NESTED, "table")
_CONTAINERS = re.compile(
    "address|article|aside|blockquote|body|caption|center|dd|details|div|dt|fieldset|figcaption|figure|footer|form|header"
    "|hr|html|legend|li|main|p|section|summary|tbody|td|tfoot|th|thead|tr"
)
_CJK_WRAP = re.compile(rf"(?<=[{CJK}])\s*\n\s*(?=[{CJK}])")


def read_html(data: bytes) -> Extracted:
    """Paragraphs, and lists and tables as one block each with a line an item; only ``<main>`` where there is one."""
    source = decode(data, EncodingDetector.find_declared_encoding(data, is_html=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)  # XHTML is read well enough as HTML
        soup = BeautifulSoup(source, "lxml")
    title = _one_line(soup.title.get_text()) if soup.title else ""
    for element in [*soup.find_all(_DROPPED), *soup.select(_NAVIGATION)]:
        element.decompose()
    walk = _Walk([] if soup.find("h1") else [(0, title)])
    mains = soup.find_all("main")
    walk.container(mains[0] if len(mains) == 1 else soup.body or soup)
    walk.end_paragraph()
    return walk.builder.extracted()


class _Walk:
    """One pass over the tree; inline text gathers in ``inline`` until a block element ends the paragraph."""

    def __init__(self, titles: list[tuple[int, str]]) -> None:
        self.builder = TextBuilder()
        self.titles = titles
        self.inline: list[str] = []

    def container(self, parent: Tag) -> None:
        for child in parent.children:
            if isinstance(child, Tag):
                self.element(child)
            elif _is_text(child):
                self.inline.append(str(child))

    def element(self, element: Tag) -> None:
        if element.name in _HEADINGS:
            self.end_paragraph()
            level, title = int(element.name[1]), _one_line(element.get_text())
            self.titles = [*(above for above in self.titles if above[0] < level), (level, title)]
            if title:
                self.builder.add(title)
        elif element.name == "pre":
            self.end_paragraph()
            self.block(element.get_text().strip("\n").rstrip().split("\n"))
        elif element.name in _LISTS and not element.find([*_HEADINGS, "article", "section"]):
            self.end_paragraph()
            self.block(list(_rows(element) if element.name == "table" else _items(element)))
        elif element.name in _LISTS or _CONTAINERS.fullmatch(element.name):
            self.end_paragraph()
            self.container(element)
            self.end_paragraph()
        elif element.name == "br":
            self.inline.append("\n")
        else:
            self.container(element)

    def end_paragraph(self) -> None:
        text = _one_line("".join(self.inline))
        self.inline.clear()
        self.block([text])

    def block(self, lines: list[str]) -> None:
        if any(line.strip() for line in lines):
            self.builder.add_block(lines, tuple(title for _, title in self.titles if title))


def _items(element: Tag, indent: str = "") -> Iterator[str]:
    """A line an item: ``- text``, nested lists indented; a definition list as its terms, definitions indented."""
    for item in element.find_all(["li", "dt", "dd", "div", *_NESTED], recursive=False):
        if item.name in ("div", *_NESTED):  # groups of a definition list; a list in a list without an item around it
            yield from _items(item, indent if item.name == "div" else indent + "  ")
            continue
        nested = [child for child in item.find_all(_NESTED) if child.find_parent(["li", "dd"]) is item]
        for child in nested:
            child.extract()
        mark = {"li": "- ", "dt": "", "dd": "  "}[item.name]
        if text := _one_line(item.get_text(" ") if item.find(["p", "div", "pre", "br"]) else item.get_text()):
            yield indent + mark + text
        for child in nested:
            yield from _items(child, indent + "  ")


def _rows(table: Tag) -> Iterator[str]:
    """A line for the caption and one for each row, cells divided by ``|``."""
    for caption in table.find_all("caption", recursive=False):
        yield _one_line(caption.get_text())
    for row in table.find_all("tr"):
        if row.find_parent("table") is table:
            cells = [_one_line(cell.get_text(" ")) for cell in row.find_all(["td", "th"], recursive=False)]
            if any(cells):
                yield " | ".join(cells)


def _is_text(child: PageElement) -> bool:
    """Comments, doctypes and processing instructions are PreformattedStrings; CDATA is text all the same."""
    return isinstance(child, NavigableString) and (
        not isinstance(child, PreformattedString) or isinstance(child, CData)
    )


def _one_line(text: str) -> str:
    """White space as a browser shows it, but without the space that a line end leaves between Chinese characters."""
    return " ".join(_CJK_WRAP.sub("", text).split())
