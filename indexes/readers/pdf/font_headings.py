"""Find headings in a PDF without bookmarks: separate lines with a larger font than the text."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

from indexes.readers.lines import After, joined
from indexes.readers.pdf.layout import PageText
from indexes.readers.pdf.outline import Start

_LARGER = 1.15
"""Minimum size of a heading, relative to the text."""
_LONGEST, _MOST_LINES = 100, 3
_FEWEST_LETTERS = 2
_SHARE = 5
"""Headings may contain at most one in this many letters; otherwise large type has another meaning."""
_VALUE = re.compile(
    r"[^\w]*\d[\d.,:/ %‰+\u2212-]*[^\W\d_]{0,4}(?:[/²³ ][^\W\d_]{0,4})?[^\w]*|[A-Z$€£¥]{1,4}\s?\d[\d.,]*"
)
"""A number with its unit, as dashboards print it in large type: 48.5 EUR."""
_NO_TITLE = re.compile(r"[.,;。，；、]$|[。；]| \| |\.{3}|(?: \.){3}")


@dataclass(frozen=True)
class _Paragraph:
    page: int
    first: int
    """Index of its first line."""
    last: int
    size: float
    text: str
    stands_alone: bool


def titles_by_size(pages: list[PageText]) -> list[list[Start]]:
    """The headings of each page, in the format of bookmarks; the lines of a heading are joined.

    A heading has text below it before the next heading of the same size. Larger headings are above smaller ones.
    """
    letters: Counter[float] = Counter()
    for page in pages:
        for line, size in zip(page.lines, page.sizes, strict=True):
            letters[size] += len(line)
    body = letters.most_common(1)[0][0] if letters else 0.0
    found = [paragraph for number, page in enumerate(pages) for paragraph in _paragraphs(number, page)]
    titles = [
        paragraph
        for paragraph, below in pairwise(found)
        if _is_title(paragraph, body) and not (_is_title(below, body) and below.size >= paragraph.size)
    ]
    starts: list[list[Start]] = [[] for _ in pages]
    if _SHARE * sum(len(title.text) for title in titles) > letters.total():
        return starts
    path: list[_Paragraph] = []
    for title in titles:
        path = [*(above for above in path if above.size > title.size), title]
        starts[title.page].append((title.first, tuple(above.text for above in path), True))
        lines = [title.text, *[""] * (title.last - title.first)]
        pages[title.page].lines[title.first : title.last + 1] = lines
    return starts


def _paragraphs(number: int, page: PageText) -> Iterator[_Paragraph]:
    begin, alone = 0, True
    for line, after in enumerate(page.after):
        if after is After.MORE:
            continue
        text = reduce(joined, page.lines[begin : min(line + 1, begin + _MOST_LINES)], "").strip()
        stands_alone = alone and after is After.PARAGRAPH and line - begin < _MOST_LINES
        if text:
            yield _Paragraph(number, begin, line, page.sizes[begin], text, stands_alone)
        begin, alone = line + 1, after is After.PARAGRAPH


def _is_title(paragraph: _Paragraph, body: float) -> bool:
    text = paragraph.text
    return (
        paragraph.stands_alone
        and paragraph.size > _LARGER * body
        and len(text) <= _LONGEST
        and sum(map(str.isalpha, text)) >= _FEWEST_LETTERS
        and not _VALUE.fullmatch(text)
        and not _NO_TITLE.search(text)
    )
