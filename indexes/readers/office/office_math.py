"""Write formulas of Word and PowerPoint (Office Math) on one line: ``3/14``, ``10^6``, ``√(2h)``, ``∑_(i=1)^n x_i``."""

import re

from lxml import etree

from indexes.readers.ooxml import attribute, child, is_on, name_of

_SIMPLE = re.compile(r"[^\W\d_]?\d*(?:[.,]\d+)?|\w|[^\W\d_]+|[\[(].*[\])]")
_ROOTS = {"": "√", "2": "√", "3": "∛", "4": "∜"}
_MAX_DEPTH = 50


def formula_text(element: etree._Element, depth: int = 0) -> str:
    """A formula or a part of one as text."""
    if depth > _MAX_DEPTH:
        return "".join(map(str, element.itertext()))

    def part(name: str) -> str:
        found = child(element, name)
        return formula_text(found, depth + 1).strip() if found is not None else ""

    def together(text: str) -> str:
        return text if _SIMPLE.fullmatch(text) else f"({text})"

    def scripts() -> str:
        below, above = part("sub"), part("sup")
        return (f"_{together(below)}" if below else "") + (f"^{together(above)}" if above else "")

    match name_of(element):
        case "t":
            return element.text or ""
        case "f":
            kind = attribute(child(element, "fPr", "type"), "val")
            numerator, denominator = together(part("num")), together(part("den"))
            return f"({numerator} over {denominator})" if kind == "noBar" else f"{numerator}/{denominator}"
        case "sSup" | "sSub" | "sSubSup":
            return together(part("e")) + scripts()
        case "sPre":
            return scripts() + together(part("e"))
        case "rad":
            degree, inside = part("deg"), part("e")
            root = _ROOTS.get(degree, f"root {degree} of ")
            return f"{root}{inside if len(inside) == 1 else f'({inside})'}"
        case "nary":
            sign = attribute(child(element, "naryPr", "chr"), "val", "∫")
            return f"{sign}{scripts()} {part('e')}"
        case "d":
            marks = child(element, "dPr")
            begin, separator, end = (
                attribute(child(marks, name), "val", usual)
                for name, usual in (("begChr", "("), ("sepChr", "|"), ("endChr", ")"))
            )
            enclosed = [formula_text(one, depth + 1).strip() for one in element.iterchildren("{*}e")]
            return begin + separator.join(enclosed) + end
        case "func":
            return f"{part('fName')} {together(part('e'))}"
        case "limLow":
            return f"{part('e')}_{together(part('lim'))}"
        case "limUpp":
            return f"{part('e')}^{together(part('lim'))}"
        case "m":
            rows = [
                ", ".join(formula_text(one, depth + 1).strip() for one in row.iterchildren("{*}e"))
                for row in element.iterchildren("{*}mr")
            ]
            return f"[{'; '.join(rows)}]"
        case "eqArr":
            return "; ".join(formula_text(one, depth + 1).strip() for one in element.iterchildren("{*}e"))
        case "acc":
            return part("e") + attribute(child(element, "accPr", "chr"), "val", "\u0302")
        case "del" | "moveFrom" | "rPr" | "ctrlPr":
            return ""
        case "phant" if child(element, "phantPr", "show") is not None and not is_on(child(element, "phantPr", "show")):
            return ""
        case _:
            return "".join(formula_text(one, depth + 1) for one in element)
