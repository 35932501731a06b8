"""Compute the numbers that Word shows before paragraphs: 第三条, 4.2, (b). Only ``numbering.xml`` defines them.

A paragraph belongs to a list (``num``) and a level of it. A list takes its levels from a definition (``abstractNum``);
lists that share a definition also share the count (ECMA-376, part 1, 17.9).
"""

import re
from dataclasses import dataclass, field

from lxml import etree

from indexes.readers.numerals import numeral
from indexes.readers.ooxml import attribute, child, is_on, whole_number

_KINDS = {
    "decimal": "1",
    "decimalZero": "01",
    "lowerLetter": "a",
    "upperLetter": "A",
    "lowerRoman": "i",
    "upperRoman": "I",
    "ordinal": "1st",
    "chineseCounting": "一",
    "chineseCountingThousand": "一",
    "taiwaneseCounting": "一",
    "taiwaneseCountingThousand": "一",
    "japaneseCounting": "一",
    "ideographDigital": "一",
    "taiwaneseDigital": "一",
    "chineseLegalSimplified": "壹",
    "ideographLegalTraditional": "壹",
    "ideographTraditional": "甲",
    "ideographZodiac": "子",
    "decimalEnclosedCircle": "①",
    "decimalEnclosedCircleChinese": "①",
}
_MAX_LEVELS = 9
_MAX_CHAIN = 5
"""Maximum chain of definitions that refer to each other."""


@dataclass
class _Level:
    start: int = 1
    kind: str = "1"
    is_bullet: bool = False
    text: str = ""
    restart: int | None = None
    """The level, from 1, whose next number restarts this one; None for any level above it, 0 for never."""
    is_legal: bool = False
    """Show the numbers of the levels above as digits."""
    style: str = ""


@dataclass
class _List:
    """A list: its levels, the definition that holds its count, and the levels that it restarts."""

    levels: dict[int, _Level]
    definition: str
    starts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """All lists of a document, and their current counts."""

    def __init__(self, root: etree._Element | None, list_of_style: dict[str, str]) -> None:
        parts = list(root) if root is not None else []
        definitions = {attribute(part, "abstractNumId"): part for part in parts if part.tag.endswith("}abstractNum")}
        lists = {attribute(part, "numId"): part for part in parts if part.tag.endswith("}num")}
        definition_of = {identity: attribute(child(part, "abstractNumId"), "val") for identity, part in lists.items()}
        self._lists: dict[str, _List] = {}
        self._counts: dict[str, dict[int, int]] = {}
        for identity, part in lists.items():
            definition = definition_of[identity]
            for _ in range(_MAX_CHAIN):  # a definition may only name the style of a list with levels
                style = attribute(child(definitions.get(definition), "numStyleLink"), "val")
                if not style:
                    break
                definition = definition_of.get(list_of_style.get(style, ""), definition)
            levels = _levels(definitions.get(definition))
            found = self._lists[identity] = _List(levels, definition)
            for override in part.iterchildren("{*}lvlOverride"):
                level = whole_number(attribute(override, "ilvl"))
                start = attribute(child(override, "startOverride"), "val")
                if start:
                    found.starts[level] = whole_number(start, 1)
                if (own := child(override, "lvl")) is not None:
                    found.levels = {**found.levels, level: _level(own)}

    def level_of_style(self, identity: str, style: str) -> int:
        """The level of a list that belongs to a paragraph style; the outermost if none does."""
        levels = self._lists[identity].levels if identity in self._lists else {}
        return next((number for number, level in levels.items() if style and level.style == style), 0)

    def next(self, identity: str, level: int) -> str:
        """Count a paragraph and return its number, such as ``4.2``; empty for a bullet or an unknown list."""
        numbered = self._lists.get(identity)
        if numbered is None or level not in numbered.levels:
            return ""
        counts = self._counts.setdefault(numbered.definition, {})
        if level in numbered.starts:
            counts[level] = numbered.starts.pop(level)
        else:
            counts[level] = counts[level] + 1 if level in counts else numbered.levels[level].start
        for deeper in [number for number in counts if number > level]:
            restart = numbered.levels[deeper].restart if deeper in numbered.levels else None
            if restart is None or level < restart:
                del counts[deeper]
        own = numbered.levels[level]
        if own.is_bullet:
            return ""

        def shown(match: re.Match[str]) -> str:
            number = int(match[1]) - 1
            definition = numbered.levels.get(number, _Level())
            count = counts.setdefault(number, definition.start) if number <= level else definition.start
            return numeral(count, "1" if own.is_legal and definition.kind != "01" else definition.kind)

        return re.sub(r"%([1-9])", shown, own.text).strip()


def _levels(definition: etree._Element | None) -> dict[int, _Level]:
    parts = definition.iterchildren("{*}lvl") if definition is not None else ()
    return {number: _level(part) for part in parts if (number := whole_number(attribute(part, "ilvl"))) < _MAX_LEVELS}


def _level(part: etree._Element) -> _Level:
    kind = attribute(child(part, "numFmt"), "val", "decimal")
    restart = attribute(child(part, "lvlRestart"), "val")
    return _Level(
        whole_number(attribute(child(part, "start"), "val"), 1 if child(part, "start") is None else 0),
        _KINDS.get(kind, "1"),
        kind == "bullet",
        attribute(child(part, "lvlText"), "val"),
        whole_number(restart) if restart else None,
        is_on(child(part, "isLgl")),
        attribute(child(part, "pStyle"), "val"),
    )
