"""Read the rows of HTML tables as texts, and detect tables that only arrange a page."""

import re

from bs4 import BeautifulSoup
from bs4.element import Tag

from indexes.readers.tables.merged_header import Merge
from indexes.readers.tables.table_text import repeated
from indexes.readers.web.html_text import tags, text_of
from indexes.readers.web.visible import HEADINGS, only_visible

_MAX_COLUMNS = 1000
_FRAMED = ("p", "div", "ul", "ol", "pre", "blockquote")
_BOLD_STYLE = re.compile(r"font-weight\s*:\s*(?:bold|[6-9]00)", re.IGNORECASE)


def table_texts(source: str) -> list[list[str]]:
    """The rows of the first table in a piece of HTML."""
    soup = BeautifulSoup(source, "lxml")
    only_visible(soup)
    table = soup.find("table")
    return cell_texts(own_rows(table))[0] if isinstance(table, Tag) else []


def is_bold(cell: Tag) -> bool:
    """Whether a cell is a header or all its text is bold; true for an empty cell."""
    bold = "".join(part.get_text() for part in cell.find_all(["b", "strong"]))
    styles = (str(element.get("style", "")) for element in (cell, cell.parent or cell))
    return (
        cell.name == "th" or any(map(_BOLD_STYLE.search, styles)) or len(bold.split()) == len(cell.get_text().split())
    )


def is_layout(table: Tag) -> bool:
    """Whether a table only arranges a page: by its role, its single column, or cells that do not fit on a line."""
    inside = {element.name for element in table.descendants if isinstance(element, Tag)}
    if table.get("role") in ("presentation", "none") or inside & {*HEADINGS, "article", "section"}:
        return True
    rows = own_rows(table)
    if all(len(cells_of(row)) < 2 for row in rows):
        return "caption" not in inside
    if "th" in inside or not inside & {*_FRAMED, "table"}:
        return False
    return any(
        sum(below.name in _FRAMED for below in tags(cell)) > 1 or cell.find("table") is not None
        for row in rows
        for cell in cells_of(row)
    )


def own_rows(table: Tag) -> list[Tag]:
    """Rows from head to foot, without those of nested tables."""
    groups = [table, *(group for group in tags(table) if group.name in ("thead", "tbody", "tfoot"))]
    rows = [row for group in groups for row in tags(group) if row.name == "tr"]
    order = {"thead": 0, "tfoot": 2}
    return sorted(rows, key=lambda row: order.get(row.parent.name if row.parent else "", 1))


def cells_of(row: Tag) -> list[Tag]:
    return [cell for cell in tags(row) if cell.name in ("td", "th")]


def cell_texts(rows: list[Tag]) -> tuple[list[list[str]], list[Merge]]:
    """The texts of the cells: a cell over several columns appears once, a short one over several rows in each row."""
    texts: list[list[str]] = []
    merges: list[Merge] = []
    below: dict[int, tuple[int, str]] = {}  # column: remaining rows, and the text to repeat
    for number, row in enumerate(rows):
        line: list[str] = []
        for cell in [*cells_of(row), None]:
            while len(line) < _MAX_COLUMNS and below.get(len(line), (0, ""))[0]:
                left, text = below[len(line)]
                below[len(line)] = (left - 1, text)
                line.append(text)
            if cell is None:
                break
            text, column = text_of(cell), len(line)
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
