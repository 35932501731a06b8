"""Reduce an HTML tree to the visible text: without hidden parts and navigation, with powers and fractions inline."""

import re

from bs4 import BeautifulSoup
from bs4.element import Tag

from indexes.readers.links import with_target
from indexes.readers.mathml import mathml_text
from indexes.readers.superscripts import AFTER_DIGIT, AFTER_UNIT, SQUARE_AND_CUBE

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
BLOCKS = re.compile(
    "address|article|aside|blockquote|body|caption|center|dd|details|div|dl|dt|fieldset|figcaption|figure|footer|form"
    "|h[1-6]|header|hr|html|legend|li|main|ol|p|pre|section|summary|table|tbody|td|tfoot|th|thead|tr|ul"
)
LINE_BREAK = "\u2028"
"""Replaces ``<br>``: Unicode's line separator counts as white space, but is not a line end of the source."""

_DROPPED = frozenset(["script", "style", "nav", "noscript", "template", "svg", "head", "select", "iframe", "rt", "rp"])
_NAVIGATION_ROLES = ("navigation", "doc-toc")
_NAVIGATION_CLASSES = frozenset(
    [
        "toc",
        "navheader",
        "navfooter",
        "docnav",
        "navbar",
        "pagination",
        "breadcrumb",
        "breadcrumbs",
        "catlinks",
        "mw-editsection",
        "mw-portlet",
        "interlanguage-links",
        "vector-menu",
        "navbox",
        "noprint",
    ]
)
_NAVIGATION_IDS = frozenset(["catlinks", "p-lang", "p-lang-btn", "mw-navigation", "mw-panel", "siteSub", "jump-to-nav"])
_LANGUAGE_LINKS = 5
"""Minimum number of links to translations of the page that makes a list navigation."""
_STRUCK = frozenset(["del", "s", "strike"])
_STRUCK_STYLE = re.compile(r"text-decoration(?:-line)?\s*:[^;]*\bline-through\b", re.IGNORECASE)
_SHOWING = re.compile(
    r"(?:display|visibility|text-decoration(?:-line)?|font-weight|font-size|list-style(?:-type)?)\s*:[^;]+"
)
_CLICK = re.compile(r"click|toggle|\.show\(|classList|slideDown|display", re.IGNORECASE)
"""Script code that opens a part of the page."""
_ALTERNATIVE = re.compile(r"(?:\S+\s+){2}\S|[\u4e00-\u9fff].{5}")
"""An alternative text worth keeping: at least three words, or six Chinese characters."""
_NOT_SHOWN = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]))\b", re.IGNORECASE
)
_OPENING = ("aria-controls", "href", "data-target", "data-bs-target", "onclick")
"""Attributes that name the part of the page that a click opens."""
_NUMBER = re.compile(r"[-+\u2212\u2013]?\d{1,3}")


def only_visible(soup: BeautifulSoup) -> dict[str, int]:
    """Remove what is not visible from the tree; return the number of struck-out parts."""
    opened = {
        name
        for element in _elements(soup)
        for attribute in _OPENING
        if (value := str(element.get(attribute, ""))) and (attribute != "href" or value.startswith("#"))
        for name in re.findall(r"[\w-]+", value)
    }
    _write_out_styles(soup)
    scripts = "\n".join(script.get_text() for script in soup.find_all("script"))
    clicked = set(re.findall(r"[.#]([\w-]+)", scripts)) if _CLICK.search(scripts) else set()
    struck = 0
    unfolded = {id(element) for element in _elements(soup) if _is_unfolded(element, clicked)}
    for element in _elements(soup):
        if element.decomposed:
            continue
        if _is_struck(element):
            struck += bool(element.get_text(strip=True))
            element.decompose()
        elif id(element) not in unfolded and _is_dropped(element, opened):
            element.decompose()
    for line_break in soup.find_all("br"):
        line_break.replace_with(LINE_BREAK)
    for formula in soup.find_all("math"):
        formula.replace_with(mathml_text(formula))
    for superscript in soup.find_all("sup"):
        _write_power(superscript)
    for picture in soup.find_all("img"):
        if _ALTERNATIVE.match(text := str(picture.get("alt", "")).strip()):
            picture.replace_with(f" {text} ")
    for link in soup.find_all("a", href=True):
        text = link.get_text()
        if (whole := with_target(text, str(link["href"]))) != text:
            link.append(whole[len(text.rstrip()) :].rstrip())
    return {"struck": struck}


def _write_out_styles(soup: BeautifulSoup) -> None:
    """Copy the visibility and font rules of the page's style sheet to the elements of each class."""
    sheet = re.sub(r"/\*.*?\*/", "", "\n".join(style.get_text() for style in soup.find_all("style")), flags=re.DOTALL)
    sheet = re.sub(r"@(?!import)[^{;]+\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", sheet)
    said: dict[str, str] = {}
    shown: set[str] = set()
    for selectors, declarations in re.findall(r"([^{}]+)\{([^{}]*)\}", sheet):
        kept = ";".join(_SHOWING.findall(declarations))
        for selector in selectors.split(",") if kept else ():
            if match := re.fullmatch(r"\s*\w*[.#]([\w-]+)\s*", selector):
                said[match[1]] = f"{said.get(match[1], '')};{kept}"
            elif not _NOT_SHOWN.search(kept):  # the state of an open or clicked part
                shown.update(re.findall(r"[.#]([\w-]+)", selector))
    for element in _elements(soup) if said else []:
        for name in _names(element):
            if name in said and not (name in shown and _NOT_SHOWN.search(said[name])):
                element["style"] = f"{said[name]};{element.get('style', '')}"


def _is_struck(element: Tag) -> bool:
    return element.name in _STRUCK or _STRUCK_STYLE.search(str(element.get("style", ""))) is not None


def _is_unfolded(element: Tag, clicked: set[str]) -> bool:
    """Whether a hidden part follows its toggle: a script names one of them, or the page repeats the pair."""
    if not (element.has_attr("hidden") or _NOT_SHOWN.search(str(element.get("style", "")))):
        return False
    above = element.find_previous_sibling()
    if above is None or not above.get_text(strip=True) or _NOT_SHOWN.search(str(above.get("style", ""))):
        return False
    names = {*_names(element), *_names(above)}
    if names & clicked:
        return True
    pair = (above.name, _names(above), element.name, _names(element))
    return any(
        (before := other.find_previous_sibling()) is not None
        and (before.name, _names(before), other.name, _names(other)) == pair
        and (other.has_attr("hidden") or _NOT_SHOWN.search(str(other.get("style", ""))))
        for other in (element.parent.find_all(element.name, recursive=False) if element.parent else ())
        if other is not element
    )


def _names(element: Tag) -> tuple[str, ...]:
    return tuple(filter(None, [*element.get_attribute_list("class"), str(element.get("id", ""))]))


def _elements(soup: BeautifulSoup) -> list[Tag]:
    return [element for element in soup.descendants if isinstance(element, Tag)]


def _is_dropped(element: Tag, opened: set[str]) -> bool:
    """Whether an element is not text for readers. A CSS selector takes most of the time on a large page."""
    if element.name in _DROPPED or element.get("role") in _NAVIGATION_ROLES:
        return True
    if element.name in ("html", "body"):  # themes set such classes here, and scripts show the page at last
        return False
    if element.name == "button":  # the questions of an accordion are buttons
        return not element.find_parent([*HEADINGS, "summary", "dt"]) and not element.find(HEADINGS)
    if element.has_attr("hidden") or _NOT_SHOWN.search(str(element.get("style", ""))):
        return element.get("id") not in opened
    if element.name == "header" and element.parent is not None and element.parent.name == "body":
        return _is_menu(element)
    if element.name in ("ul", "ol") and _leads_to_languages(element):
        return True
    if str(element.get("id", "")) in _NAVIGATION_IDS:
        return True
    return not _NAVIGATION_CLASSES.isdisjoint(element.get_attribute_list("class"))


def _leads_to_languages(items: Tag) -> bool:
    """Whether a list has only links to the page in other languages."""
    links = items.find_all("a")
    foreign = sum(link.has_attr("hreflang") or link.has_attr("lang") for link in links)
    return foreign >= _LANGUAGE_LINKS and foreign == len(links) and foreign >= len(items.find_all("li"))


def _is_menu(header: Tag) -> bool:
    """Whether a site header has neither a title nor a paragraph, and mostly links and buttons."""
    if header.find([*HEADINGS, "p"]):
        return False
    clicked = [element for element in header.find_all(["a", "button", "nav"]) if not element.find_parent(["nav", "a"])]
    length = sum(len(element.get_text(strip=True)) for element in clicked)
    return bool(clicked) and 2 * length >= len(header.get_text(strip=True))


def _write_power(superscript: Tag) -> None:
    """Write ``10^6`` instead of 106 and m² instead of m2; ordinals, charges and note marks stay."""
    exponent = superscript.get_text().strip()
    before, after = superscript.find_previous(string=True), superscript.next_sibling
    link = superscript.find("a") or superscript.find_parent("a")
    if not _NUMBER.fullmatch(exponent) or before is None or (link and link.get_text(strip=True) == exponent):
        return
    if before.find_parent(_is_block) is not superscript.find_parent(_is_block):
        return
    if AFTER_UNIT.search(before):
        superscript.string = SQUARE_AND_CUBE.get(exponent, f"^{exponent}")
    elif isinstance(after, str) and after.startswith(("/", "\u2044")):  # five and a half: 5<sup>1</sup>/<sub>2</sub>
        superscript.string = f" {exponent}"
    elif AFTER_DIGIT.search(before) or not exponent.isdigit():
        superscript.string = f"^{exponent}"


def _is_block(element: Tag) -> bool:
    return BLOCKS.fullmatch(element.name) is not None
