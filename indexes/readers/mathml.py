"""Write MathML formulas of web pages and OpenDocument on one line: ``3/14``, ``10^6``, ``√(2h)``."""

import re
from collections.abc import Sequence

from bs4.element import NavigableString, PreformattedString, Tag

_SIMPLE = re.compile(r"[^\W\d_]?\d*(?:[.,]\d+)?|\w|[^\W\d_]+|[\[(][^()\[\]]*[\])]")
_INVISIBLE = re.compile("[\u2061-\u2064]")
_SQUARE_AND_CUBE = {"2": "²", "3": "³"}
_MAX_DEPTH = 50


def mathml_text(element: Tag, depth: int = 0) -> str:
    """A formula or a part of one as text."""
    parts = [child for child in element.children if isinstance(child, Tag)]
    name = element.name.rpartition(":")[2]
    if depth > _MAX_DEPTH:
        return element.get_text()
    if not parts:
        texts = [
            str(child)
            for child in element.children
            if isinstance(child, NavigableString) and not isinstance(child, PreformattedString)
        ]
        return _INVISIBLE.sub("", "".join(texts)).strip() if name not in ("annotation", "mspace") else ""
    if name in ("annotation", "annotation-xml"):
        return ""
    said = [mathml_text(part, depth + 1) for part in parts]
    match name, len(said):
        case "semantics", _:
            return said[0]
        case "mfrac", 2:
            return "/".join(map(_together, said))
        case "msup" | "mover", 2:
            return _power(said[0], said[1])
        case "msub" | "munder", 2:
            return f"{_together(said[0])}_{_together(said[1])}"
        case "msubsup" | "munderover", 3:
            return f"{_together(said[0])}_{_together(said[1])}^{_together(said[2])}"
        case "msqrt", _:
            return _root("√", said)
        case "mroot", 2:
            return _root({"3": "∛", "4": "∜"}.get(said[1], f"root {said[1]} of "), said[:1])
        case "mtr" | "mlabeledtr", _:
            return ", ".join(said)
        case "mtable", _:
            return f"[{'; '.join(said)}]"
        case "mfenced", _:
            return f"{element.get('open', '(')}{', '.join(said)}{element.get('close', ')')}"
        case _:
            return "".join(said)


def _together(text: str) -> str:
    return text if _SIMPLE.fullmatch(text) else f"({text})"


def _power(base: str, exponent: str) -> str:
    if base.isalpha() and exponent in _SQUARE_AND_CUBE:
        return f"{base}{_SQUARE_AND_CUBE[exponent]}"
    return f"{_together(base)}^{_together(exponent)}"


def _root(sign: str, said: Sequence[str]) -> str:
    inside = "".join(said)
    return f"{sign}{inside if len(inside) == 1 else f'({inside})'}"
