"""Convert a workbook cell to its displayed text, and read its style: format, bold, struck out."""

from collections import Counter
from datetime import datetime
from typing import NamedTuple

from lxml import etree

from indexes.readers.office.number_formats import number_text, text_text
from indexes.readers.ooxml import attribute, child, descendants, is_on, name_of, whole_number
from indexes.readers.tables.table_text import one_line

_DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_BUILT_IN = {1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 12: "# ?/?", 13: "# ??/??"}
_BUILT_IN |= {
    18: "h:mm",
    19: "h:mm",
    20: "h:mm",
    21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm",
    32: "h:mm",
    33: "h:mm:ss",
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss",
}


class CellStyle(NamedTuple):
    """The display style of a cell."""

    format: str = ""
    bold: bool = False
    struck: bool = False


def styles_of(styles: etree._Element | None) -> list[CellStyle]:
    """The cell styles, in the order in which cells refer to them."""
    custom = {}
    for entry in _below(styles, "numFmts"):
        custom[attribute(entry, "numFmtId")] = attribute(entry, "formatCode")
    fonts = [(is_on(child(font, "b")), is_on(child(font, "strike"))) for font in _below(styles, "fonts")]
    found = []
    for entry in _below(styles, "cellXfs"):
        identity, font = attribute(entry, "numFmtId", "0"), whole_number(attribute(entry, "fontId", "0"), len(fonts))
        number = whole_number(identity)
        code = custom.get(identity) or _BUILT_IN.get(number) or ("yyyy-mm-dd" if number in _DATE_FORMATS else "")
        found.append(CellStyle(code, *(fonts[font] if font < len(fonts) else (False, False))))
    return found


class Cells:
    """The shared strings and styles of all sheets, and the conversion of a cell to its displayed text."""

    def __init__(self, strings: list[etree._Element], styles: list[CellStyle], epoch: datetime) -> None:
        self.left_out: Counter[str] = Counter()
        self.strings = [self.string(item) for item in strings]
        self.styles = styles
        self.epoch = epoch
        self.unknown = 0
        """Number of formulas whose value was never computed."""

    def style(self, cell: etree._Element) -> CellStyle:
        number = whole_number(cell.get("s", "0"), len(self.styles))
        return self.styles[number] if number < len(self.styles) else CellStyle()

    def text(self, cell: etree._Element) -> str:
        kind, style = cell.get("t", "n"), self.style(cell)
        if style.struck:
            self.left_out["struck"] += child(cell, "v") is not None or child(cell, "is") is not None
            return ""
        if kind == "inlineStr":
            return one_line(self.string(cell))
        value = next((below.text or "" for below in cell if name_of(below) == "v"), "")
        if not value and kind != "str" and child(cell, "f") is not None:
            self.unknown += 1
        if kind == "s":
            number = whole_number(value, len(self.strings))
            return text_text(self.strings[number], style.format) if number < len(self.strings) else ""
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value, value)
        if kind == "n" and value:
            return number_text(value, style.format, self.epoch)
        return "" if kind == "e" else one_line(value)

    def string(self, item: etree._Element) -> str:
        """A text of one or more runs, without struck-out runs and Japanese phonetic guides."""
        texts = []
        for text in descendants(item, "t"):
            run = text.getparent()
            if name_of(run) == "rPh":
                continue
            if is_on(child(run, "rPr", "strike")):
                self.left_out["struck"] += 1
            else:
                texts.append(text.text or "")
        return one_line("".join(texts))


def _below(parent: etree._Element | None, name: str) -> list[etree._Element]:
    element = child(parent, name)
    return list(element) if element is not None else []
