"""Read the styles of an OpenDocument text: hidden, struck-out, raised or bold text; numbers of lists and titles."""

import re
from dataclasses import dataclass, field, replace

from lxml import etree

from indexes.readers.numerals import numeral
from indexes.readers.ooxml import attribute, child, descendants, name_of, whole_number

_KINDS = {"1": "1", "a": "a", "A": "A", "i": "i", "I": "I", "①, ②, ③, ...": "①", "01, 02, 03, ...": "01"} | {
    "一, 二, 三, ...": "一",
    "壹, 貳, 參, ...": "壹",
    "壹, 贰, 叁, ...": "壹",
    "甲, 乙, 丙, ...": "甲",
    "子, 丑, 寅, ...": "子",
    "1st": "1st",
}
_MAX_CHAIN = 20
_RAISED = re.compile(r"super|[1-9]\d*%")


@dataclass(frozen=True)
class Look:
    """The look of a text; None means not set."""

    hidden: bool | None = None
    struck: bool | None = None
    raised: bool | None = None
    bold: bool | None = None
    list_style: str = ""

    def over(self, other: "Look") -> "Look":
        """This look applied on top of another one."""
        stated = {name: value for name, value in vars(self).items() if value not in (None, "")}
        return replace(other, **stated)


@dataclass
class Level:
    """A level of a list style."""

    kind: str = ""
    """See :func:`numerals.numeral`; empty for bullets and unnumbered levels."""
    prefix: str = ""
    suffix: str = ""
    start: int = 1
    shown: int = 1
    """Number of levels to show: 4.2 shows two."""


@dataclass
class Styles:
    """All styles of a document, from both style parts."""

    looks: dict[str, Look] = field(default_factory=dict)
    lists: dict[str, dict[int, Level]] = field(default_factory=dict)
    outline: dict[int, Level] = field(default_factory=dict)

    def number(self, levels: dict[int, Level], counts: dict[int, int], level: int) -> str:
        """The number of an item at this level, from the current counts; empty for bullets."""
        own = levels.get(level)
        if own is None or not own.kind:
            return ""
        shown = range(max(1, level - own.shown + 1), level + 1)
        numbers = [
            numeral(counts.get(one, levels[one].start), levels[one].kind)
            for one in shown
            if one in levels and levels[one].kind
        ]
        return f"{own.prefix}{'.'.join(numbers)}{own.suffix}".strip()


def styles_of(*parts: etree._Element | None) -> Styles:
    """Read the styles of the content and of the common styles."""
    found = Styles()
    elements = {
        (attribute(style, "family"), attribute(style, "name")): style
        for part in parts
        if part is not None
        for style in descendants(part, "style")
    }
    for family, name in elements:
        look = Look()
        style: etree._Element | None = elements[family, name]
        for _ in range(_MAX_CHAIN):
            if style is None:
                break
            look = look.over(_look(style))
            style = elements.get((family, attribute(style, "parent-style-name")))
        found.looks[name] = look
    for part in parts:
        for element in part.iter("{*}list-style", "{*}outline-style") if part is not None else ():
            levels = {
                number: level
                for one in element
                if (level := _level(one)) and (number := whole_number(attribute(one, "level")))
            }
            if name_of(element) == "outline-style":
                found.outline = levels
            else:
                found.lists[attribute(element, "name")] = levels
    return found


def _look(style: etree._Element) -> Look:
    properties = child(style, "text-properties")
    struck = attribute(properties, "text-line-through-style") or attribute(properties, "text-line-through-type")
    display, position = attribute(properties, "display"), attribute(properties, "text-position")
    weight = attribute(properties, "font-weight")
    return Look(
        display == "none" if display else None,
        struck != "none" if struck else None,
        _RAISED.match(position) is not None if position else None,
        weight == "bold" or weight.startswith(("6", "7", "8", "9")) if weight else None,
        attribute(style, "list-style-name"),
    )


def _level(element: etree._Element) -> Level | None:
    if not name_of(element).endswith(("level-style-number", "outline-level-style", "level-style-bullet")):
        return None
    stated = attribute(element, "num-format")
    return Level(
        _KINDS.get(stated, "1") if stated else "",
        attribute(element, "num-prefix"),
        attribute(element, "num-suffix"),
        whole_number(attribute(element, "start-value"), 1),
        whole_number(attribute(element, "display-levels"), 1),
    )
