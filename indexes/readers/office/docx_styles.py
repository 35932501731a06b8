"""Read the styles of a Word document: headings, lists, and hidden, struck-out or bold text."""

import re
from dataclasses import dataclass, field, replace

from lxml import etree

from indexes.readers.ooxml import attribute, child, is_on, whole_number

CONTENTS = 99
"""Level of a line of a table of contents."""
_HEADING_STYLE = re.compile(r"(?:heading|标题|標題|見出し|제목)\s*([1-9])", re.IGNORECASE)
_TITLE_STYLES = {"title", "标题", "標題", "文档标题"}
_CONTENTS_STYLE = re.compile(r"(?:toc|目录|目錄)\s*\d", re.IGNORECASE)
_MAX_CHAIN = 20
"""Maximum chain of base styles; Word allows eleven."""
_SWITCHES = ("vanish", "strike", "dstrike", "b")


@dataclass(frozen=True)
class Style:
    """A style, including what it inherits from its base style."""

    level: int | None = None
    """Heading level; 0 is the document's title."""
    number: str = ""
    """The list of its paragraphs."""
    list_level: int | None = None
    switches: dict[str, bool] = field(default_factory=dict)
    """The switches that it sets: ``vanish``, ``strike``, ``dstrike``, ``b``."""


class Styles:
    """All styles by id."""

    def __init__(self, root: etree._Element | None) -> None:
        parts = {
            attribute(part, "styleId"): part for part in (root.iterchildren("{*}style") if root is not None else [])
        }
        self._styles = {identity: _with_bases(part, parts) for identity, part in parts.items()}
        self._usual = next(
            (
                identity
                for identity, part in parts.items()
                if attribute(part, "type") == "paragraph" and attribute(part, "default") in ("1", "true", "on")
            ),
            "",
        )

    def __getitem__(self, identity: str) -> Style:
        return self._styles.get(identity or self._usual, Style())

    @property
    def lists(self) -> dict[str, str]:
        """The list of each style that has one."""
        return {identity: style.number for identity, style in self._styles.items() if style.number}

    def is_on(self, run: etree._Element | None, paragraph_style: str, *names: str) -> bool:
        """Whether one of the switches is on for a run with these properties (``rPr``)."""
        own = self._styles.get(attribute(child(run, "rStyle"), "val"), Style()).switches
        usual = self[paragraph_style].switches
        for name in names:
            stated = child(run, name)
            if is_on(stated) if stated is not None else own.get(name, usual.get(name, False)):
                return True
        return False


def _with_bases(part: etree._Element | None, parts: dict[str, etree._Element]) -> Style:
    found = Style()
    for _ in range(_MAX_CHAIN):
        if part is None:
            break
        properties = child(part, "pPr", "numPr")
        list_level = attribute(child(properties, "ilvl"), "val")
        switches = {name: is_on(child(part, "rPr", name)) for name in _SWITCHES if child(part, "rPr", name) is not None}
        found = replace(
            found,
            level=_level(part) if found.level is None else found.level,
            number=found.number or attribute(child(properties, "numId"), "val"),
            list_level=min(whole_number(list_level), 8)
            if found.list_level is None and list_level
            else found.list_level,
            switches={**switches, **found.switches},
        )
        part = parts.get(attribute(child(part, "basedOn"), "val"))
    return found


def _level(style: etree._Element) -> int | None:
    name = attribute(child(style, "name"), "val")
    if _CONTENTS_STYLE.fullmatch(name):
        return CONTENTS
    if name.lower() in _TITLE_STYLES:
        return 0
    if match := _HEADING_STYLE.fullmatch(name):
        return int(match[1])
    outline = attribute(child(style, "pPr", "outlineLvl"), "val")
    return whole_number(outline) + 1 if outline and whole_number(outline) < 9 else None
