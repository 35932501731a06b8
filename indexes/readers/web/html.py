"""Read HTML: the visible text of a page in blocks under its headings, without navigation."""

import re
import warnings
from collections.abc import Callable, Iterator

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from bs4.dammit import EncodingDetector
from bs4.element import Tag

from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.encodings import decode
from indexes.readers.numerals import numeral
from indexes.readers.omissions import left_out
from indexes.readers.tables.table_text import add_table
from indexes.readers.web.html_tables import cell_texts, cells_of, is_bold, is_layout, own_rows
from indexes.readers.web.html_text import CJK_WRAP, is_text, one_line, pieces, tags, text_of
from indexes.readers.web.visible import BLOCKS, HEADINGS, LINE_BREAK, only_visible

_NESTED = ("ul", "ol", "dl")
_ITEM_MARKS = {"li": "- ", "dt": "", "dd": "  "}
_LIST_STYLE = re.compile(r"list-style(?:-type)?\s*:\s*([\w-]+)", re.IGNORECASE)
_LIST_KINDS = {
    "lower-alpha": "a",
    "lower-latin": "a",
    "upper-alpha": "A",
    "upper-latin": "A",
    "lower-roman": "i",
    "upper-roman": "I",
    "decimal-leading-zero": "01",
    "cjk-ideographic": "一",
    "simp-chinese-informal": "一",
    "trad-chinese-informal": "一",
    "cjk-heavenly-stem": "甲",
    "cjk-earthly-branch": "子",
}


def read_html(data: bytes) -> Extracted:
    """Blocks are paragraphs, lists and tables, with one line per item or row; only ``<main>`` if there is one."""
    builder = TextBuilder()
    return builder.extracted(left_out(append_html(builder, data)))


def append_html(
    builder: TextBuilder,
    data: bytes,
    above: tuple[str, ...] = (),
    title: str = "",
    text_in: Callable[[str], list[str]] | None = None,
) -> dict[str, int]:
    """Append a page under the headings ``above``; a page without ``<h1>`` is headed by ``title``, else its ``<title>``.

    ``text_in`` returns the paragraphs that OCR reads in the picture of a ``src``. Return the counts of what was left
    out (see ``omissions.py``).
    """
    source = decode(data, EncodingDetector.find_declared_encoding(data, is_html=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)  # XHTML parses well enough as HTML
        soup = BeautifulSoup(source, "lxml")
    if not title and not above and soup.title:
        title = one_line(soup.title.get_text())
    not_read = only_visible(soup)
    titles = [(level - len(above), text) for level, text in enumerate(above)]
    walk = _Walk(builder, titles if soup.find("h1") else [*titles, (0, title)], text_in)
    mains = [main for main in soup.find_all("main") if main.get_text(strip=True)]
    walk.container(mains[0] if len(mains) == 1 else soup.body or soup)
    walk.end_paragraph()
    return {**not_read, "pictures": walk.unread_pictures}


class _Walk:
    """One pass over the tree; ``inline`` collects inline text until a block element ends the paragraph."""

    def __init__(
        self, builder: TextBuilder, titles: list[tuple[int, str]], text_in: Callable[[str], list[str]] | None
    ) -> None:
        self.builder = builder
        self.titles = titles
        self.text_in = text_in
        self.unread_pictures = 0
        self.inline: list[str] = []

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.titles if title)

    def container(self, parent: Tag) -> None:
        for child in parent.children:
            if isinstance(child, Tag):
                self.element(child)
            elif is_text(child):
                self.inline.append(str(child))

    def element(self, element: Tag) -> None:
        if element.name in HEADINGS:
            self.end_paragraph()
            level, title = int(element.name[1]), text_of(element)
            self.titles = [*(above for above in self.titles if above[0] < level), (level, title)]
            if title:
                self.builder.add_title(*self.headings)
        elif element.name == "pre":
            self.end_paragraph()
            self.block(element.get_text().replace(LINE_BREAK, "\n").strip("\n").rstrip().split("\n"))
        elif element.name == "table" and not is_layout(element):
            self.end_paragraph()
            self.table(element)
            self.pictures(element)
        elif element.name in _NESTED and not element.find([*HEADINGS, "article", "section"]):
            self.end_paragraph()
            self.block(list(_items(element)))
            self.pictures(element)
        elif element.name == "img":
            self.pictures(element)
        elif BLOCKS.fullmatch(element.name):
            self.end_paragraph()
            self.container(element)
            self.end_paragraph()
        else:
            self.container(element)

    def end_paragraph(self) -> None:
        lines = [one_line(line) for line in CJK_WRAP.sub("", "".join(self.inline)).split(LINE_BREAK)]
        self.inline.clear()
        self.block([line for line in lines if line])

    def pictures(self, element: Tag) -> None:
        """Append OCR text of a picture, or of those in a list or table; alternative texts are in the text already."""
        for picture in [element] if element.name == "img" else element.find_all("img"):
            if self.text_in and (source := str(picture.get("src", ""))):
                self.end_paragraph()
                paragraphs = self.text_in(source)
                self.unread_pictures += not paragraphs
                for paragraph in paragraphs:
                    self.block([paragraph])

    def table(self, element: Tag) -> None:
        caption = " ".join(text_of(caption) for caption in element.find_all("caption", recursive=False))
        rows = own_rows(element)
        has_header = bool(rows) and all(cell.name == "th" for cell in cells_of(rows[0])) and len(rows) > 1
        has_header = has_header or (bool(rows) and rows[0].parent is not None and rows[0].parent.name == "thead")
        texts, merges = cell_texts(rows)
        marked = [all(map(is_bold, cells_of(row))) for row in rows]
        add_table(self.builder, texts, self.headings, True if has_header else None, caption, merges, marked)

    def block(self, lines: list[str]) -> None:
        if any(line.strip() for line in lines):
            self.builder.add_block(lines, self.headings)


def _items(parent: Tag, indent: str = "", mark: str = "") -> Iterator[str]:
    """One line per item: ``- text``, nested lists indented; a definition list as terms with indented definitions."""
    inline: list[str] = []
    numbers = _numbers(parent) if parent.name == "ol" else iter(())
    for piece in [*pieces(parent, (*_ITEM_MARKS, *_NESTED)), None]:
        if isinstance(piece, str):
            inline.append(piece)
            continue
        if text := one_line("".join(inline)):
            yield indent + mark + text
            mark = " " * len(mark)  # text of the item after a nested list
        inline.clear()
        if piece is not None:
            is_item = piece.name in _ITEM_MARKS
            own = next(numbers, "") if piece.name == "li" else ""
            yield from _items(piece, indent if is_item else indent + "  ", own or _ITEM_MARKS.get(piece.name, ""))


def _numbers(ordered: Tag) -> Iterator[str]:
    """``3. ``, ``c. `` for each item of an ordered list, counted as a browser does; nothing if the page hides them."""
    style = str(ordered.get("style", ""))
    stated = _LIST_STYLE.search(style)
    kind = _LIST_KINDS.get(stated[1].lower(), "1") if stated else str(ordered.get("type", "1"))
    items = [item for item in tags(ordered) if item.name == "li"]
    if stated and stated[1].lower() == "none":
        return
    step = -1 if ordered.has_attr("reversed") else 1
    number = _whole(ordered.get("start"), len(items) if step < 0 else 1)
    for item in items:
        number = _whole(item.get("value"), number)
        yield f"{numeral(number, kind)}. "
        number += step


def _whole(stated: object, otherwise: int) -> int:
    return int(str(stated)) if re.fullmatch(r"-?\d{1,6}", str(stated)) else otherwise
