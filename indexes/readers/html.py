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
from indexes.readers.left_out import left_out
from indexes.readers.merged_header import Merge
from indexes.readers.numerals import numeral
from indexes.readers.tables import add_table, repeated
from indexes.readers.visible import BLOCKS, HEADINGS, LINE_BREAK, only_visible

_NESTED = ("ul", "ol", "dl")
_MAX_COLUMNS = 1000
_FRAMED = ("p", "div", "ul", "ol", "pre", "blockquote")
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
_BOLD_STYLE = re.compile(r"font-weight\s*:\s*(?:bold|[6-9]00)", re.IGNORECASE)
_CJK_WRAP = re.compile(rf"(?<=[{CJK}])[^\S{LINE_BREAK}]*\n[^\S{LINE_BREAK}]*(?=[{CJK}])")


def read_html(data: bytes) -> Extracted:
    """Paragraphs, and lists and tables as one block each with a line an item; only ``<main>`` where there is one."""
    builder = TextBuilder()
    return builder.extracted(left_out(append_html(builder, data)))


def append_html(builder: TextBuilder, data: bytes, above: tuple[str, ...] = (), title: str = "") -> dict[str, int]:
    """Append a page under the headings ``above``; a page without ``<h1>`` bears ``title``, else its ``<title>``.

    Returned is what was left out, see ``left_out.py``.
    """
    source = decode(data, EncodingDetector.find_declared_encoding(data, is_html=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)  # XHTML is read well enough as HTML
        soup = BeautifulSoup(source, "lxml")
    if not title and not above and soup.title:
        title = _one_line(soup.title.get_text())
    not_read = only_visible(soup)
    titles = [(level - len(above), text) for level, text in enumerate(above)]
    walk = _Walk(builder, titles if soup.find("h1") else [*titles, (0, title)])
    mains = [main for main in soup.find_all("main") if main.get_text(strip=True)]
    walk.container(mains[0] if len(mains) == 1 else soup.body or soup)
    walk.end_paragraph()
    return not_read


def table_texts(source: str) -> list[list[str]]:
    """The rows of the first table in a piece of HTML."""
    soup = BeautifulSoup(source, "lxml")
    only_visible(soup)
    table = soup.find("table")
    return _texts(_own_rows(table))[0] if isinstance(table, Tag) else []


class _Walk:
    """One pass over the tree; inline text gathers in ``inline`` until a block element ends the paragraph."""

    def __init__(self, builder: TextBuilder, titles: list[tuple[int, str]]) -> None:
        self.builder = builder
        self.titles = titles
        self.inline: list[str] = []

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.titles if title)

    def container(self, parent: Tag) -> None:
        for child in parent.children:
            if isinstance(child, Tag):
                self.element(child)
            elif _is_text(child):
                self.inline.append(str(child))

    def element(self, element: Tag) -> None:
        if element.name in HEADINGS:
            self.end_paragraph()
            level, title = int(element.name[1]), _text(element)
            self.titles = [*(above for above in self.titles if above[0] < level), (level, title)]
            if title:
                self.builder.add_title(*self.headings)
        elif element.name == "pre":
            self.end_paragraph()
            self.block(element.get_text().replace(LINE_BREAK, "\n").strip("\n").rstrip().split("\n"))
        elif element.name == "table" and not _is_layout(element):
            self.end_paragraph()
            self.table(element)
        elif element.name in _NESTED and not element.find([*HEADINGS, "article", "section"]):
            self.end_paragraph()
            self.block(list(_items(element)))
        elif BLOCKS.fullmatch(element.name):
            self.end_paragraph()
            self.container(element)
            self.end_paragraph()
        else:
            self.container(element)

    def end_paragraph(self) -> None:
        lines = [_one_line(line) for line in _CJK_WRAP.sub("", "".join(self.inline)).split(LINE_BREAK)]
        self.inline.clear()
        self.block([line for line in lines if line])

    def table(self, element: Tag) -> None:
        caption = " ".join(_text(caption) for caption in element.find_all("caption", recursive=False))
        rows = _own_rows(element)
        has_header = bool(rows) and all(cell.name == "th" for cell in _cells(rows[0])) and len(rows) > 1
        has_header = has_header or (bool(rows) and rows[0].parent is not None and rows[0].parent.name == "thead")
        texts, merges = _texts(rows)
        marked = [all(map(_is_bold, _cells(row))) for row in rows]
        add_table(self.builder, texts, self.headings, True if has_header else None, caption, merges, marked)

    def block(self, lines: list[str]) -> None:
        if any(line.strip() for line in lines):
            self.builder.add_block(lines, self.headings)


def _items(parent: Tag, indent: str = "", mark: str = "") -> Iterator[str]:
    """A line an item: ``- text``, nested lists indented; a definition list as its terms, definitions indented."""
    inline: list[str] = []
    numbers = _numbers(parent) if parent.name == "ol" else iter(())
    for piece in [*_pieces(parent, (*_ITEM_MARKS, *_NESTED)), None]:
        if isinstance(piece, str):
            inline.append(piece)
            continue
        if text := _one_line("".join(inline)):
            yield indent + mark + text
            mark = " " * len(mark)  # what follows a list inside of an item
        inline.clear()
        if piece is not None:
            is_item = piece.name in _ITEM_MARKS
            own = next(numbers, "") if piece.name == "li" else ""
            yield from _items(piece, indent if is_item else indent + "  ", own or _ITEM_MARKS.get(piece.name, ""))


def _numbers(ordered: Tag) -> Iterator[str]:
    """``3. ``, ``c. `` for each item of an ordered list, as a browser counts; none where the page shows none."""
    style = str(ordered.get("style", ""))
    stated = _LIST_STYLE.search(style)
    kind = _LIST_KINDS.get(stated[1].lower(), "1") if stated else str(ordered.get("type", "1"))
    items = [item for item in _tags(ordered) if item.name == "li"]
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


def _is_bold(cell: Tag) -> bool:
    """Whether a cell is a header, or all that it says is in bold type; so is one that says nothing."""
    bold = "".join(part.get_text() for part in cell.find_all(["b", "strong"]))
    styles = (str(element.get("style", "")) for element in (cell, cell.parent or cell))
    return (
        cell.name == "th" or any(map(_BOLD_STYLE.search, styles)) or len(bold.split()) == len(cell.get_text().split())
    )


def _pieces(parent: Tag, whole: tuple[str, ...] = ()) -> Iterator[str | Tag]:
    """What stands in an element, in order: its strings, apart where a block begins or ends, and the ``whole`` ones."""
    for child in parent.children:
        if isinstance(child, Tag):
            if child.name in whole:
                yield child
                continue
            apart = " " if BLOCKS.fullmatch(child.name) else ""
            yield apart
            yield from _pieces(child, whole)
            yield apart
        elif _is_text(child):
            yield str(child)


def _text(element: Tag) -> str:
    """What an element says, in one line."""
    return _one_line("".join(map(str, _pieces(element))))


def _is_layout(table: Tag) -> bool:
    """Whether a table only arranges a page: it says so, has one column, or its cells hold what does not fit a line."""
    inside = {element.name for element in table.descendants if isinstance(element, Tag)}
    if table.get("role") in ("presentation", "none") or inside & {*HEADINGS, "article", "section"}:
        return True
    rows = _own_rows(table)
    if all(len(_cells(row)) < 2 for row in rows):
        return "caption" not in inside
    if "th" in inside or not inside & {*_FRAMED, "table"}:
        return False
    return any(
        sum(below.name in _FRAMED for below in _tags(cell)) > 1 or cell.find("table") is not None
        for row in rows
        for cell in _cells(row)
    )


def _own_rows(table: Tag) -> list[Tag]:
    """Rows from head to foot, but not those of tables inside."""
    groups = [table, *(group for group in _tags(table) if group.name in ("thead", "tbody", "tfoot"))]
    rows = [row for group in groups for row in _tags(group) if row.name == "tr"]
    order = {"thead": 0, "tfoot": 2}
    return sorted(rows, key=lambda row: order.get(row.parent.name if row.parent else "", 1))


def _cells(row: Tag) -> list[Tag]:
    return [cell for cell in _tags(row) if cell.name in ("td", "th")]


def _tags(parent: Tag) -> list[Tag]:
    """The elements directly below; ``find_all`` takes ten times as long, which large tables show."""
    return [child for child in parent.children if isinstance(child, Tag)]


def _texts(rows: list[Tag]) -> tuple[list[list[str]], list[Merge]]:
    """The cells as texts: one over several columns once, one over several rows where it is short in each."""
    texts: list[list[str]] = []
    merges: list[Merge] = []
    below: dict[int, tuple[int, str]] = {}  # column: rows still to come, and the text that they repeat
    for number, row in enumerate(rows):
        line: list[str] = []
        for cell in [*_cells(row), None]:
            while len(line) < _MAX_COLUMNS and below.get(len(line), (0, ""))[0]:
                left, text = below[len(line)]
                below[len(line)] = (left - 1, text)
                line.append(text)
            if cell is None:
                break
            text, column = _text(cell), len(line)
            width, height = _span(cell, "colspan", 64), _span(cell, "rowspan", 1000)
            if column + width > _MAX_COLUMNS:
                break
            for offset in range(width):
                below[column + offset] = (height - 1, "" if offset else repeated(text))
            if width > 1 or height > 1:
                merges.append(Merge(number, column, number + height - 1, column + width - 1))
            line += [text, *[""] * (width - 1)]
        texts.append(line)
    return texts, merges


def _span(cell: Tag, name: str, most: int) -> int:
    stated = str(cell.get(name, "1"))
    return max(1, min(int(stated), most)) if stated.isdecimal() and len(stated) < 6 else 1


def _is_text(child: PageElement) -> bool:
    """Comments, doctypes and processing instructions are PreformattedStrings; CDATA is text all the same."""
    return isinstance(child, NavigableString) and (
        not isinstance(child, PreformattedString) or isinstance(child, CData)
    )


def _one_line(text: str) -> str:
    """White space as a browser shows it, but without the space that a line end leaves between Chinese characters."""
    return " ".join(_CJK_WRAP.sub("", text).split())
