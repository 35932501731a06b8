"""What an element of an HTML page says, in one line."""

import re
from collections.abc import Iterator

from bs4.element import CData, NavigableString, PageElement, PreformattedString, Tag

from indexes.language import CJK
from indexes.readers.web.visible import BLOCKS, LINE_BREAK

CJK_WRAP = re.compile(rf"(?<=[{CJK}])[^\S{LINE_BREAK}]*\n[^\S{LINE_BREAK}]*(?=[{CJK}])")
"""A line end between Chinese characters, which stands for no space."""


def pieces(parent: Tag, whole: tuple[str, ...] = ()) -> Iterator[str | Tag]:
    """What stands in an element, in order: its strings, apart where a block begins or ends, and the ``whole`` ones."""
    for child in parent.children:
        if isinstance(child, Tag):
            if child.name in whole:
                yield child
                continue
            apart = " " if BLOCKS.fullmatch(child.name) else ""
            yield apart
            yield from pieces(child, whole)
            yield apart
        elif is_text(child):
            yield str(child)


def text_of(element: Tag) -> str:
    """What an element says, in one line."""
    return one_line("".join(map(str, pieces(element))))


def tags(parent: Tag) -> list[Tag]:
    """The elements directly below; ``find_all`` takes ten times as long, which large tables show."""
    return [child for child in parent.children if isinstance(child, Tag)]


def is_text(child: PageElement) -> bool:
    """Comments, doctypes and processing instructions are PreformattedStrings; CDATA is text all the same."""
    return isinstance(child, NavigableString) and (
        not isinstance(child, PreformattedString) or isinstance(child, CData)
    )


def one_line(text: str) -> str:
    """White space as a browser shows it, but without the space that a line end leaves between Chinese characters."""
    return " ".join(CJK_WRAP.sub("", text).split())
