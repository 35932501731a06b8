"""Classify a table cell: a number, a date, a code such as ``KX 41``, or words."""

import re
from collections import Counter
from collections.abc import Sequence

_NUMBER = r"[-+\u2212±~<>≤≥≈]?\s?[€$£¥￥]?\s?(?:\d{1,3}(?:[,\u00a0\u202f' ]\d{3})+|\d+)(?:[.,]\d+)?(?:[eE][-+]?\d+)?"
_KINDS = {
    "date": re.compile(
        r"\d{4}[-/.年]\s?\d{1,2}(?:[-/.月]\s?\d{1,2}日?|月)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{1,2}月\d{1,2}[日号]"
        r"|\d{1,2}\.?\s[A-Za-z]{3,9}\.?,?\s\d{4}|[A-Z][a-z]{2,8}\.?\s\d{1,2},?\s\d{4}"
    ),
    "time": re.compile(r"\d{1,2}[:：]\d{2}(?:[:：]\d{2})?(?:\s?[ap]\.?m\.?)?", re.IGNORECASE),
    "percent": re.compile(rf"{_NUMBER}\s?[%％‰]"),
    "number": re.compile(_NUMBER),
    "quantity": re.compile(
        rf"{_NUMBER}\s?[^\W\d_]{{1,4}}[²³]?(?:/[^\W\d_]{{1,3}}[²³]?)?|{_NUMBER}\s?[°€$£¥￥]\s?[CF]?"
    ),
}
ORDERED = frozenset({"date", "time", "percent", "number", "quantity"})
"""Kinds with an order; only these can be both column names and values."""
_NOTHING = re.compile(r"[-–—/.?*]{0,3}|n\.?\s?/?\s?a\.?|none|无|暂无|未知|待定|tbd", re.IGNORECASE)
_MOST = 0.8
"""Minimum share of a column's cells that decides its kind. Chosen."""
_VALUE = re.compile(r"\d+(?:[.,]\d+)?")
_LONGEST_CODE = 30


def kind_of(cell: str) -> str:
    """``""`` for an empty cell, one of :data:`ORDERED`, ``code a-9`` with its pattern, or ``words``."""
    if _NOTHING.fullmatch(cell):
        return ""
    if len(cell) > _LONGEST_CODE:
        return "words"
    for kind, pattern in _KINDS.items():
        if pattern.fullmatch(cell):
            return "code 9" if kind == "number" and re.match(r"0\d", cell) else kind
    if any(character.isdigit() for character in cell):
        return "code " + re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", cell))
    return "words"


def common_kind(kinds: Sequence[str]) -> str:
    """The kind of nearly all of a column's cells, without empty ones; empty if there is none."""
    counted = Counter(filter(None, kinds))
    if not counted:
        return ""
    kind, count = counted.most_common(1)[0]
    return kind if count >= _MOST * counted.total() else ""


def value_of(cell: str) -> float:
    """The numeric value of a cell of an ordered kind, for comparison within that kind."""
    numbers = [float(number.replace(",", ".")) for number in _VALUE.findall(re.sub(r"(?<=\d)[, '](?=\d{3})", "", cell))]
    return numbers[0] * 1e4 + sum(number / 100**place for place, number in enumerate(numbers[1:])) if numbers else 0.0


def shape_of(cell: str) -> str:
    """The cell with each run of digits replaced by 9: ``9.9`` for 0.50."""
    return re.sub(r"\d+", "9", cell)
