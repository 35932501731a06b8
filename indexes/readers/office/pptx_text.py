"""Read the paragraphs of a PowerPoint text frame, with computed numbers and without struck-out text."""

import re
from collections import Counter
from collections.abc import Mapping

from lxml import etree

from indexes.readers.links import with_target
from indexes.readers.numerals import numeral
from indexes.readers.office.office_math import formula_text
from indexes.readers.office.symbols import without_codes
from indexes.readers.ooxml import attribute, below, child, descendants, name_of, raised, whole_number
from indexes.readers.tables.table_text import one_line

_KINDS = {
    "alphaLc": "a",
    "alphaUc": "A",
    "arabic": "1",
    "arabicDb": "1",
    "circleNumDb": "①",
    "circleNumWdBlack": "①",
    "circleNumWdWhite": "①",
    "ea1Chs": "一",
    "ea1Cht": "一",
    "ea1JpnChsDb": "一",
    "ea1JpnKor": "一",
    "romanLc": "i",
    "romanUc": "I",
}
_AROUND = {"Period": ("", "."), "ParenR": ("", ")"), "ParenBoth": ("(", ")"), "Minus": ("- ", " -"), "Plain": ("", "")}
_KIND = re.compile(r"(\w+?)(Period|ParenR|ParenBoth|Minus|Plain)")


def paragraphs(shape: etree._Element, links: Mapping[str, str], left_out: Counter[str]) -> list[str]:
    """The lines of a text frame; deeper levels are indented, numbered ones start with their number."""
    lines = []
    counts: dict[int, tuple[str, int]] = {}
    styles = {name_of(level): level for body in descendants(shape, "lstStyle") for level in body}
    for paragraph in descendants(shape, "p"):
        properties = child(paragraph, "pPr")
        stated = attribute(properties, "lvl", "0")
        level = int(stated) if stated in set("012345678") else 0
        text = one_line("".join(_runs(paragraph, links, left_out)))
        if not text:
            continue
        counts = {one: count for one, count in counts.items() if one <= level}
        number = _number(properties, styles.get(f"lvl{level + 1}pPr"), counts, level)
        lines.append("  " * level + (f"{number} {text}" if number else text))
    return lines


def _number(
    properties: etree._Element | None, style: etree._Element | None, counts: dict[int, tuple[str, int]], level: int
) -> str:
    """The automatic number of a paragraph, such as ``3.``, which continues the previous one; empty without a number."""
    other = any(child(properties, name) is not None for name in ("buNone", "buChar", "buBlip"))
    numbered = child(properties, "buAutoNum")
    numbered = child(style, "buAutoNum") if numbered is None and not other else numbered
    if numbered is None:
        counts.pop(level, None)
        return ""
    kind = attribute(numbered, "type", "arabicPeriod")
    start = attribute(numbered, "startAt", "1")
    before, number = counts.get(level, ("", 0))
    number = number + 1 if before == kind + start else whole_number(start, 1)
    counts[level] = kind + start, number
    match = _KIND.fullmatch(kind)
    opening, closing = _AROUND[match[2]] if match else ("", ".")
    return f"{opening}{numeral(number, _KINDS.get(match[1], '1') if match else '1')}{closing}"


def _runs(paragraph: etree._Element, links: Mapping[str, str], left_out: Counter[str]) -> list[str]:
    parts: list[str] = []
    for element in below(paragraph):
        name = name_of(element)
        if name in ("br", "tab"):
            parts.append(" ")
        elif name in ("oMath", "oMathPara"):
            parts.append(formula_text(element))
        elif name == "m":  # a container of formulas; inside a formula this name is a matrix
            parts += map(formula_text, element)
        elif name in ("r", "fld"):
            text = "".join(text.text or "" for text in descendants(element, "t"))
            properties = child(element, "rPr")
            font = attribute(child(properties, "sym"), "typeface") or attribute(child(properties, "latin"), "typeface")
            text = without_codes(text, font)
            if attribute(properties, "strike", "noStrike") != "noStrike":
                left_out["struck"] += bool(text.strip())
                continue
            if re.fullmatch(r"[1-9]\d*%?", attribute(properties, "baseline")):
                text = raised(text, parts[-1] if parts else "")
            target = links.get(attribute(child(properties, "hlinkClick"), "id"), "")
            parts += [with_target(text, target)] if text else []
    return parts
