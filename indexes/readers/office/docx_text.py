"""Extract the text of the paragraphs and tables of a Word document."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from lxml import etree

from indexes.errors import IndexingError
from indexes.readers.limits import MAX_NESTING
from indexes.readers.links import with_target
from indexes.readers.office.docx_numbering import Numbering
from indexes.readers.office.docx_styles import Styles
from indexes.readers.office.office_math import formula_text
from indexes.readers.office.symbols import symbol, without_codes
from indexes.readers.ooxml import attribute, below, child, descendants, is_on, name_of, raised, whole_number
from indexes.readers.tables.merged_header import Merge
from indexes.readers.tables.table_text import one_line, repeated, row_lines

TRANSPARENT = {"sdt", "sdtContent", "customXml", "smartTag", "ins", "moveTo", "body", "hyperlink", "fldSimple"}
_SKIPPED = {"del", "moveFrom", "rPr", "pPr", "instrText", "delText", "rt", "delInstrText", "sdtPr"}
_FORMULAS = {"oMath", "oMathPara"}

Note = tuple[str, str]
"""Kind and number of a footnote or endnote."""


@dataclass
class Context:
    """What paragraphs refer to, and the counts of what was left out so far."""

    styles: Styles
    numbering: Numbering
    addresses: dict[str, str]
    """Targets of hyperlinks, by id."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Counts by kind: see ``docx.py``."""

    def number(self, paragraph: etree._Element) -> str | None:
        """The number of a paragraph in a list, empty for a bullet; None outside lists."""
        properties = child(paragraph, "pPr")
        style = attribute(child(properties, "pStyle"), "val")
        identity = attribute(child(properties, "numPr", "numId"), "val", self.styles[style].number)
        if identity in ("", "0"):
            return None
        return self.numbering.next(identity, self.list_level(paragraph))

    def list_level(self, paragraph: etree._Element) -> int:
        """The list level of a paragraph, from 0."""
        properties = child(paragraph, "pPr")
        style = attribute(child(properties, "pStyle"), "val")
        if stated := attribute(child(properties, "numPr", "ilvl"), "val"):
            return min(whole_number(stated), 8)
        known = self.styles[style]
        return self.numbering.level_of_style(known.number, style) if known.list_level is None else known.list_level


class Row(NamedTuple):
    before: int
    """Empty columns before the first cell."""
    cells: list[etree._Element]


class Inline:
    """The content of a paragraph: its text, references to notes, text boxes, and anchored drawings."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.style = ""
        self.parts: list[str] = []
        self.notes: list[Note] = []
        self.boxes: list[etree._Element] = []
        self.drawings: list[etree._Element] = []

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def paragraph(self, paragraph: etree._Element) -> None:
        """Read a paragraph; if its end was deleted, the next one continues it."""
        self.style = attribute(child(paragraph, "pPr", "pStyle"), "val")
        self.read(paragraph)

    def read(self, parent: etree._Element, font: str = "") -> None:
        for element in below(parent):
            name = name_of(element)
            if name == "t":
                self.parts += [without_codes(element.text, font)] if element.text else []
            elif name == "tab":
                self.parts.append(" ")
            elif name in ("br", "cr"):
                self.parts.append("\n")
            elif name == "noBreakHyphen":
                self.parts.append("-")
            elif name == "sym":
                code = attribute(element, "char")
                known = re.fullmatch("[0-9A-Fa-f]{2,4}", code) is not None
                self.parts.append(symbol(int(code, 16), attribute(element, "font")) if known else "")
            elif name in _FORMULAS:
                self.parts.append(formula_text(element))
            elif name == "ffData":
                self.parts.append(_form_field(element))
            elif name in ("footnoteReference", "endnoteReference"):
                self.notes.append((name.removesuffix("Reference"), attribute(element, "id")))
            elif name == "txbxContent":
                self.boxes.append(element)
            elif name == "r":
                self.run(element)
            elif name == "hyperlink":
                first = len(self.parts)
                self.read(element)
                target = self.context.addresses.get(attribute(element, "id"), "")
                self.parts[first:] = [with_target("".join(self.parts[first:]), target)]
            elif name == "sdt" and is_on(child(element, "sdtPr", "showingPlcHdr")):
                continue  # "Choose an item."
            elif name and name not in _SKIPPED:
                if name in ("drawing", "pict", "object"):
                    self.drawings.append(element)
                self.read(element, font)

    def run(self, element: etree._Element) -> None:
        """Read text with one format; hidden and struck-out text is left out."""
        properties = child(element, "rPr")
        if self.context.styles.is_on(properties, self.style, "vanish"):
            self.context.left_out["hidden"] += 1
            return
        first = len(self.parts)
        self.read(element, attribute(child(properties, "rFonts"), "ascii"))
        if self.context.styles.is_on(properties, self.style, "strike", "dstrike"):
            if "".join(self.parts[first:]).strip():
                self.context.left_out["struck"] += 1
            del self.parts[first:]
        elif attribute(child(properties, "vertAlign"), "val") == "superscript":
            self.parts[first:] = [raised("".join(self.parts[first:]), self.parts[first - 1] if first else "")]


def _form_field(field_data: etree._Element) -> str:
    """The state of a form's check box, or the selected entry of its list."""
    if (box := child(field_data, "checkBox")) is not None:
        state = child(box, "checked")
        return "☑ " if is_on(state if state is not None else child(box, "default")) else "☐ "
    if (entries := child(field_data, "ddList")) is not None:
        texts = [attribute(entry, "val") for entry in entries.iterchildren("{*}listEntry")]
        chosen = child(entries, "result")
        number = whole_number(attribute(chosen if chosen is not None else child(entries, "default"), "val", "0"))
        return texts[number] if number < len(texts) else ""
    return ""


def end_is_deleted(paragraph: etree._Element) -> bool:
    """Whether a tracked change deletes the paragraph mark, so that the next paragraph continues this one."""
    return child(paragraph, "pPr", "rPr", "del") is not None


def is_bold(row: "Row", context: Context) -> bool:
    """Whether all text of a table row is bold."""
    runs = [
        (run, attribute(child(paragraph, "pPr", "pStyle"), "val"))
        for cell in row.cells
        for paragraph in descendants(cell, "p")
        for run in descendants(paragraph, "r")
        if any((text.text or "").strip() for text in descendants(run, "t"))
    ]
    return bool(runs) and all(context.styles.is_on(child(run, "rPr"), style, "b") for run, style in runs)


def grid_of(table: etree._Element) -> list[Row]:
    """The rows of a table, without deleted ones."""
    rows = []
    for row in _through(table, "tr"):
        if child(row, "trPr", "del") is None:
            before = min(whole_number(attribute(child(row, "trPr", "gridBefore"), "val")), 64)
            rows.append(Row(before, _through(row, "tc")))
    return rows


def _through(parent: etree._Element, wanted: str) -> list[etree._Element]:
    """Children with a name, including those in content controls or tracked insertions."""
    found = []
    for element in below(parent):
        if name_of(element) == wanted:
            found.append(element)
        elif name_of(element) in TRANSPARENT:
            found += _through(element, wanted)
    return found


def texts_of(grid: list[Row], depth: int, context: Context, notes: list[Note]) -> tuple[list[list[str]], list[Merge]]:
    """The texts of a table: a cell over several columns appears once, a short one over several rows in each row.

    References to notes are added to ``notes``.
    """
    rows: list[list[str]] = []
    above: dict[int, tuple[str, Merge]] = {}
    merges = []
    for number, (before, cells) in enumerate(grid):
        row = [""] * before
        for cell in cells:
            column, span = len(row), min(whole_number(attribute(child(cell, "tcPr", "gridSpan"), "val", "1")), 64)
            merged = child(cell, "tcPr", "vMerge")
            if column in above and merged is not None and attribute(merged, "val", "continue") == "continue":
                text, merge = above[column]
                above[column] = text, merge._replace(bottom=number)
                text = repeated(text)
            else:
                text = cell_text(cell, depth, context, notes)
                merges += [above[column][1]] if column in above else []
                above[column] = text, Merge(number, column, number, column + max(span, 1) - 1)
            row += [text, *[""] * (span - 1)]
        rows.append(row)
    merges += [merge for _, merge in above.values()]
    return rows, [merge for merge in merges if merge.bottom > merge.top or merge.right > merge.left]


def cell_text(cell: etree._Element, depth: int, context: Context, notes: list[Note]) -> str:
    """Paragraphs and the rows of nested tables as one line; references to notes are added to ``notes``."""
    if depth > MAX_NESTING:
        raise IndexingError(f"has tables nested more than {MAX_NESTING} deep; simplify it")
    parts = []
    for element in below(cell):
        if name_of(element) == "p":
            parts.append(context.number(element) or "")
            inside = Inline(context)
            inside.paragraph(element)
            parts.append(inside.text)
            notes += inside.notes
            parts += [cell_text(box, depth + 1, context, notes) for box in inside.boxes]
        elif name_of(element) == "tbl":
            parts += row_lines(texts_of(grid_of(element), depth + 1, context, notes)[0])
        elif name_of(element) in TRANSPARENT:
            parts.append(cell_text(element, depth + 1, context, notes))
    return one_line(" ".join(parts))
