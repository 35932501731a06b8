"""What stands in the paragraphs and tables of a Word document."""

from typing import NamedTuple

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.header_rows import Merge
from indexes.readers.limits import MAX_NESTING
from indexes.readers.ooxml import attribute, below, child, name_of, raised
from indexes.readers.tables import one_line, repeated, row_lines

TRANSPARENT = {"sdt", "sdtContent", "customXml", "smartTag", "ins", "moveTo", "body", "hyperlink", "fldSimple"}
_SKIPPED = {"del", "moveFrom", "rPr", "pPr", "instrText", "delText", "rt", "delInstrText", "sdtPr"}

Note = tuple[str, str]
"""Kind and number of a footnote or endnote."""


class Row(NamedTuple):
    """A row of a table."""

    before: int
    """Columns that are left free before its first cell."""
    cells: list[etree._Element]


class Inline:
    """What stands in a paragraph: its text, references to notes, and text boxes that are anchored in it."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.notes: list[Note] = []
        self.boxes: list[etree._Element] = []

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def read(self, parent: etree._Element) -> None:
        for element in below(parent):
            name = name_of(element)
            if name == "t":
                self.parts += [element.text] if element.text else []
            elif name == "tab":
                self.parts.append(" ")
            elif name in ("br", "cr"):
                self.parts.append("\n")
            elif name == "noBreakHyphen":
                self.parts.append("-")
            elif name in ("footnoteReference", "endnoteReference"):
                self.notes.append((name.removesuffix("Reference"), attribute(element, "id")))
            elif name == "txbxContent":
                self.boxes.append(element)
            elif name == "r":
                self.run(element)
            elif name and name not in _SKIPPED:
                self.read(element)

    def run(self, element: etree._Element) -> None:
        """Text in one format; hidden text is passed over."""
        if _is_on(child(element, "rPr", "vanish")):
            return
        first = len(self.parts)
        self.read(element)
        if attribute(child(element, "rPr", "vertAlign"), "val") == "superscript":
            self.parts[first:] = [raised("".join(self.parts[first:]), self.parts[first - 1] if first else "")]


def grid_of(table: etree._Element) -> list[Row]:
    """The rows, without deleted ones."""
    rows = []
    for row in _through(table, "tr"):
        if child(row, "trPr", "del") is None:
            before = number_of(attribute(child(row, "trPr", "gridBefore"), "val"), 64)
            rows.append(Row(before, _through(row, "tc")))
    return rows


def _through(parent: etree._Element, wanted: str) -> list[etree._Element]:
    """Children of a name, also those wrapped in content controls or tracked insertions."""
    found = []
    for element in below(parent):
        if name_of(element) == wanted:
            found.append(element)
        elif name_of(element) in TRANSPARENT:
            found += _through(element, wanted)
    return found


def texts_of(grid: list[Row], depth: int, notes: list[Note]) -> tuple[list[list[str]], list[Merge]]:
    """The table as texts: a cell over several columns once, one over several rows where it is short in each.

    References to notes are added to ``notes``.
    """
    rows: list[list[str]] = []
    above: dict[int, tuple[str, Merge]] = {}
    merges = []
    for number, (before, cells) in enumerate(grid):
        row = [""] * before
        for cell in cells:
            column, span = len(row), number_of(attribute(child(cell, "tcPr", "gridSpan"), "val", "1"), 64)
            merged = child(cell, "tcPr", "vMerge")
            if column in above and merged is not None and attribute(merged, "val", "continue") == "continue":
                text, merge = above[column]
                above[column] = text, merge._replace(bottom=number)
                text = repeated(text)
            else:
                text = cell_text(cell, depth, notes)
                merges += [above[column][1]] if column in above else []
                above[column] = text, Merge(number, column, number, column + max(span, 1) - 1)
            row += [text, *[""] * (span - 1)]
        rows.append(row)
    merges += [merge for _, merge in above.values()]
    return rows, [merge for merge in merges if merge.bottom > merge.top or merge.right > merge.left]


def cell_text(cell: etree._Element, depth: int, notes: list[Note]) -> str:
    """Paragraphs and the rows of nested tables in one line; references to notes are added to ``notes``."""
    if depth > MAX_NESTING:
        raise IndexingError(f"has tables nested more than {MAX_NESTING} deep; simplify it")
    parts = []
    for element in below(cell):
        if name_of(element) == "p":
            inside = Inline()
            inside.read(element)
            parts.append(inside.text)
            notes += inside.notes
            parts += [cell_text(box, depth + 1, notes) for box in inside.boxes]
        elif name_of(element) == "tbl":
            parts += row_lines(texts_of(grid_of(element), depth + 1, notes)[0])
        elif name_of(element) in TRANSPARENT:
            parts.append(cell_text(element, depth + 1, notes))
    return one_line(" ".join(parts))


def _is_on(switch: etree._Element | None) -> bool:
    return switch is not None and attribute(switch, "val", "1") not in ("0", "false", "off")


def number_of(text: str, most: int) -> int:
    """A small number that a file states; 0 for nonsense."""
    return min(int(text), most) if text.isascii() and text.isdigit() else 0
