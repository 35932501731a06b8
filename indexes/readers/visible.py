"""The tree of an HTML page as a reader sees it: without hidden parts and navigation, powers and fractions in a line."""

import re

from bs4 import BeautifulSoup
from bs4.element import Tag

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
BLOCKS = re.compile(
    "address|article|aside|blockquote|body|caption|center|dd|details|div|dl|dt|fieldset|figcaption|figure|footer|form"
    "|h[1-6]|header|hr|html|legend|li|main|ol|p|pre|section|summary|table|tbody|td|tfoot|th|thead|tr|ul"
)
LINE_BREAK = "\u2028"
"""Stands for ``<br>``: Unicode's line separator, which is white space to everybody, but no line end of the source."""

_DROPPED = frozenset(["script", "style", "nav", "noscript", "template", "svg", "head", "select", "iframe", "rt", "rp"])
_NAVIGATION_ROLES = ("navigation", "doc-toc")
_NAVIGATION_CLASSES = frozenset(
    ["toc", "navheader", "navfooter", "docnav", "navbar", "pagination", "breadcrumb", "breadcrumbs"]
)
_NOT_SHOWN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_OPENING = ("aria-controls", "href", "data-target", "data-bs-target", "onclick")
"""Attributes that name a part of the page which a click opens."""
_NUMBER = re.compile(r"[-+\u2212\u2013]?\d{1,3}")
_AFTER_DIGIT = re.compile(r"[\d)\]}]$")
_AFTER_UNIT = re.compile(r"(?<![A-Za-z\u00c0-\u00ff])[A-Za-z\u00b5\u0370-\u03ff]{1,2}$")
_SQUARE_AND_CUBE = {"2": "²", "3": "³"}


def only_visible(soup: BeautifulSoup) -> None:
    """Change the tree so that its text is what a reader sees."""
    opened = {
        name
        for element in _elements(soup)
        for attribute in _OPENING
        if (value := str(element.get(attribute, ""))) and (attribute != "href" or value.startswith("#"))
        for name in re.findall(r"[\w-]+", value)
    }
    for element in [element for element in _elements(soup) if _is_dropped(element, opened)]:
        element.decompose()
    for line_break in soup.find_all("br"):
        line_break.replace_with(LINE_BREAK)
    for fraction in soup.find_all("mfrac"):
        parts = fraction.find_all(recursive=False)
        if len(parts) == 2:
            parts[1].insert_before("/")
    for superscript in soup.find_all(["sup", "msup"]):
        _write_power(superscript)


def _elements(soup: BeautifulSoup) -> list[Tag]:
    return [element for element in soup.descendants if isinstance(element, Tag)]


def _is_dropped(element: Tag, opened: set[str]) -> bool:
    """Whether it is no text for readers. A CSS selector says the same, but takes most of the time of a large page."""
    if element.name in _DROPPED or element.get("role") in _NAVIGATION_ROLES:
        return True
    if element.name in ("html", "body"):  # themes put the names of their parts there, and scripts show them at last
        return False
    if element.name == "button":  # of an accordion the questions are buttons
        return not element.find_parent([*HEADINGS, "summary", "dt"]) and not element.find(HEADINGS)
    if element.has_attr("hidden") or _NOT_SHOWN.search(str(element.get("style", ""))):
        return element.get("id") not in opened
    if element.name == "header" and element.parent is not None and element.parent.name == "body":
        return _is_menu(element)
    return not _NAVIGATION_CLASSES.isdisjoint(element.get_attribute_list("class"))


def _is_menu(header: Tag) -> bool:
    """Whether the header of a site has neither a title nor a paragraph, and mostly links and buttons."""
    if header.find([*HEADINGS, "p"]):
        return False
    clicked = [element for element in header.find_all(["a", "button", "nav"]) if not element.find_parent(["nav", "a"])]
    length = sum(len(element.get_text(strip=True)) for element in clicked)
    return bool(clicked) and 2 * length >= len(header.get_text(strip=True))


def _write_power(superscript: Tag) -> None:
    """``10^6`` for what would read as 106, and m² for m2; ordinals, charges and marks of notes stay as they are."""
    if superscript.name == "msup":
        parts = superscript.find_all(recursive=False)
        if len(parts) != 2:
            return
        superscript = parts[1]
    exponent = superscript.get_text().strip()
    before, after = superscript.find_previous(string=True), superscript.next_sibling
    link = superscript.find("a") or superscript.find_parent("a")
    if not _NUMBER.fullmatch(exponent) or before is None or (link and link.get_text(strip=True) == exponent):
        return
    if before.find_parent(_is_block) is not superscript.find_parent(_is_block):
        return
    if _AFTER_UNIT.search(before):
        superscript.string = _SQUARE_AND_CUBE.get(exponent, f"^{exponent}")
    elif isinstance(after, str) and after.startswith(("/", "\u2044")):  # five and a half: 5<sup>1</sup>/<sub>2</sub>
        superscript.string = f" {exponent}"
    elif _AFTER_DIGIT.search(before) or not exponent.isdigit():
        superscript.string = f"^{exponent}"


def _is_block(element: Tag) -> bool:
    return BLOCKS.fullmatch(element.name) is not None
