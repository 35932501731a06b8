"""Use the positions of the lines of a PDF page to find rows of tables and ends of paragraphs."""

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from indexes.readers.lines import SENTENCE_END, After, is_divided
from indexes.readers.pdf.characters import font, place, runs_down
from indexes.readers.pdf.columns import Line, in_reading_order
from indexes.readers.pdf.raised_text import is_raised, with_raised_lines, with_superscripts
from indexes.readers.pdf.table_rows import Cell

_NEARBY = 8
"""Lines before and after a line from which the width and line spacing of its column are measured."""
_MANY = 20
_WIDE, _VERY_WIDE = 1.0, 3.0
"""Gaps between the cells of a row, in ems; with the wider gap, the cells of adjacent rows need not align."""
_CELL = " | "
_LARGER = 1.08
"""Minimum ratio of two font sizes that differ."""
_TITLE = 1.15
"""Minimum size of a title, relative to most letters of a page; its lines may be as wide as the text below."""
_GAP = 1.25
"""Minimum ratio to the line spacing at which a distance separates paragraphs."""
_SHORT = 4.0
"""A line that ends this many ems before the right edge of its column is not part of a paragraph."""
_FEWEST = 3
"""Minimum lines of a column whose last sentence may continue in the next column."""

_WORD_OR_SPACE = re.compile(r"\S+|\s+")
_LABEL = re.compile(r"\d{1,2}(?:\.\d{1,2})*[.)]?|[a-zA-Z][.)]|[（(]?\w{1,3}[)）、]|[^\w\s]")
_BULLET = re.compile(r"[•●▪◦‣■□◆➢]")


@dataclass(frozen=True)
class PageText:
    """The lines of a page, what follows each line, and the font sizes, 0 if unknown."""

    lines: list[str]
    after: list[After]
    sizes: list[float]
    drawn: list[int]
    """For each line in the file's order, its index in reading order."""
    cells: list[list[Cell]]
    """The cells of each line that is a row of a table."""
    hidden: int = 0
    """Number of invisible words, which are left out."""
    filled: list[str] = field(default_factory=list)
    """Text typed into form fields and onto the page, one line each."""
    notes: int = 0
    """Number of notes on the page, which are not read."""


def page_text(textpage: pdfium.PdfTextPage, text: str, is_visible: Callable[[int], bool]) -> PageText:
    """The lines of a page; ``text`` is pdfium's, with "-\\n" for a hyphen at the end of a line. Rows have ``" | "``.

    ``is_visible`` is called with the index of the first character of each word.
    """
    drawn, joined = _page_lines(textpage, text, is_visible)
    order = in_reading_order(drawn)
    lines = [line for _, line in order]
    first: dict[int, int] = {}
    for at, (number, _) in enumerate(order):
        first.setdefault(number, at)
    return PageText(
        [line.text for line in lines],
        _what_follows(lines),
        [round(line.size, 1) for line in lines],
        [first.get(number, len(lines)) for number in joined],
        [line.cells for line in lines],
    )


def _page_lines(
    textpage: pdfium.PdfTextPage, text: str, is_visible: Callable[[int], bool]
) -> tuple[list[Line], list[int]]:
    """The lines in the file's order, and for each line of ``text`` the index of the one that holds it."""
    pieces = text.splitlines(keepends=True)
    # "-\n" is one character in pdfium's text, U+FFFE; an emoji is two
    lengths = [_units(piece) - piece.endswith("-\n") for piece in pieces]
    starts = accumulate(lengths, initial=0)
    lines, joined = with_raised_lines([_line(textpage, *at, is_visible) for at in zip(pieces, starts, strict=False)])
    gaps = [_gaps(line, _WIDE) for line in lines]
    return [_with_cells(lines, gaps, number) for number in range(len(lines))], joined


def _units(text: str) -> int:
    """Length as pdfium counts it, in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _line(textpage: pdfium.PdfTextPage, piece: str, offset: int, is_visible: Callable[[int], bool]) -> Line:
    parts = [(match[0], _units(match[0])) for match in _WORD_OR_SPACE.finditer(piece)]
    begins = accumulate((length for _, length in parts), initial=0)
    spans, shown = [], []
    for (part, length), begin in zip(parts, begins, strict=False):
        if part.isspace():
            shown.append(part)
        elif is_visible(raw.FPDFText_GetCharIndexFromTextIndex(textpage, offset + begin)):
            spans.append((len(shown), begin, length))
            shown.append(part)
    text = "".join(shown).strip()
    if not spans:
        return Line(text)
    first = raw.FPDFText_GetCharIndexFromTextIndex(textpage, offset)
    last = raw.FPDFText_GetCharIndexFromTextIndex(textpage, offset + spans[-1][1])
    is_vertical = runs_down(textpage, first + spans[0][1], last + spans[-1][2] - 1)
    fonts = [font(textpage, first + spans[number][1], is_vertical) for number in (0, len(spans) // 2, -1)]
    base, size, turned = (sorted(values)[1] for values in zip(*fonts, strict=True))
    if (
        last - first != spans[-1][1]
        or not 0 < size < math.inf
        or any(abs(other - base) > size or t != turned for other, _, t in fonts)
    ):
        return Line(text)
    letters = [
        (place(textpage, first + begin, turned), place(textpage, first + begin + length - 1, turned))
        for _, begin, length in spans
    ]
    places = [(min(a[0], b[0]), max(a[1], b[1])) for a, b in letters]
    if letters[0][0] > letters[-1][1]:  # written from right to left
        places = [(-end, -start) for start, end in places]
    width = letters[0][0][1] - letters[0][0][0]

    def marked(word: str, begin: int) -> str:
        def is_superscript(at: int) -> bool:
            return is_raised(*font(textpage, first + begin + at, is_vertical)[:2], base, size)

        return with_superscripts(word, is_superscript)

    for number, begin, length in spans:
        if len(shown[number]) == length:  # every character has one index
            shown[number] = marked(shown[number], begin)
    words = [shown[number] for number, _, _ in spans]
    return Line("".join(shown).strip(), words, places, base, size, turned, width)


def _gaps(line: Line, ems: float) -> list[int]:
    """The indexes of words after a gap of at least ``ems``; empty for a justified line."""
    gaps = [start - end for (_, end), (start, _) in pairwise(line.places)]
    widths = [end - start for start, end in line.places]
    if len(gaps) > 1 and _differ(widths, 0.5 * line.size) and not _differ(gaps, 0.1 * line.size):
        return []
    return [number for number, gap in enumerate(gaps, 1) if gap >= ems * line.size]


def _differ(lengths: list[float], least: float) -> bool:
    return max(lengths) - min(lengths) > least


def _with_cells(lines: list[Line], gaps: list[list[int]], number: int) -> Line:
    """Make a line a row if its gaps are very wide, or if its cells align with those of a neighbour."""
    line, at = lines[number], gaps[number]
    if not at:
        return line
    neighbours = [other for other in (number - 1, number + 1) if 0 <= other < len(lines)]
    cells = _cells(line, at)
    if not any(_in_columns(cells, _cells(lines[other], gaps[other]), line.size) for other in neighbours):
        at = _gaps(line, _VERY_WIDE)
    spans = list(pairwise([0, *at, len(line.words)]))
    texts = [" ".join(line.words[first:last]) for first, last in spans]
    placed = [
        (line.places[first][0], line.places[last - 1][1], text)
        for (first, last), text in zip(spans, texts, strict=True)
    ]
    is_label = len(texts) == 2 and _LABEL.fullmatch(texts[0]) and not texts[1][0].isdigit()  # label of a title or item
    return line if is_label or not at else replace(line, text=_CELL.join(texts), is_row=True, cells=placed)


def _cells(line: Line, gaps: list[int]) -> list[tuple[float, float]]:
    """Start and end of the cells after the first."""
    ranges = pairwise([*gaps, len(line.words)])
    return [(line.places[first][0], line.places[last - 1][1]) for first, last in ranges]


def _in_columns(cells: list[tuple[float, float]], others: list[tuple[float, float]], size: float) -> bool:
    """Whether a cell has the same start, end or centre as one of the other line."""
    return any(
        min(abs(start - other_start), abs(end - other_end), abs(start + end - other_start - other_end) / 2) < 0.3 * size
        for start, end in cells
        for other_start, other_end in others
    )


@dataclass(frozen=True)
class _Page:
    body: float
    """The size of most letters."""
    edge: float
    """On a page with many lines the furthest right edge that two of them share, to ignore an outlier; else infinity."""

    @classmethod
    def of(cls, lines: list[Line]) -> "_Page":
        letters: Counter[float] = Counter()
        for line in lines:
            letters[line.size] += len(line.text)
        body = letters.most_common(1)[0][0] if letters else 0.0
        ends = sorted((line.end for line in lines), reverse=True)
        agreed = (end for end, next_end in pairwise(ends) if end - next_end < body)
        return cls(body, next(agreed, math.inf) if len(ends) >= _MANY else math.inf)


def _what_follows(lines: list[Line]) -> list[After]:
    """What follows each line, as far as the positions of the lines show it."""
    columns = [0]
    for line, below in pairwise(lines):
        columns.append(columns[-1] + _begins_column(line, below))
    page = _Page.of([line for line in lines if line.words])
    found: list[After] = []
    for number, line in enumerate(lines[:-1]):
        near = range(max(0, number - _NEARBY), min(len(lines), number + _NEARBY + 1))
        column = [lines[other] for other in near if columns[other] == columns[number]]
        is_whole = not found or found[-1] in (After.LINE, After.PARAGRAPH)
        found.append(_after(line, lines[number + 1], column, page, is_whole))
    return [*found, After.PARAGRAPH] if lines else []


def _begins_column(line: Line, below: Line) -> bool:
    """Whether the next line is further up, or otherwise not below this one."""
    if not line.words or not below.words or line.turned != below.turned:
        return True
    return below.base > line.base + 0.5 * line.size


def _after(line: Line, below: Line, column: list[Line], page: _Page, is_whole: bool) -> After:
    """What follows a line; ``column`` are the lines around it, ``is_whole`` means that it starts a paragraph."""
    if not line.words or not below.words:
        return After.UNKNOWN
    jumps = _begins_column(line, below)
    if line.is_row and below.is_row and not jumps:
        return After.LINE
    if line.is_row or below.is_row or not _alike(line, below) or line.turned != below.turned:
        return After.PARAGRAPH
    is_title = line.size > _TITLE * page.body
    of_its_width = [
        other
        for other in column
        if not other.is_row and (_alike(line, other) or (is_title and other.size > page.body / _LARGER))
    ]
    edge = min(page.edge, max(other.end for other in of_its_width))
    ends_sentence = SENTENCE_END.search(line.text) is not None
    room = max(below.least + 0.3 * line.size, 0.0 if ends_sentence else _SHORT * line.size)
    is_short = line.end + room < edge and not is_divided(line.text, below.text)
    if jumps:
        return After.PARAGRAPH if is_short or len(column) < _FEWEST else After.UNKNOWN
    is_over = line.start < below.end and below.start < line.end
    if not is_over or line.base - below.base > _GAP * _pitch(column, line):
        return After.PARAGRAPH
    if _BULLET.match(below.text):
        return After.LINE
    if ends_sentence and (is_short or below.start > line.start + 0.8 * line.size):
        return After.PARAGRAPH
    if is_short:
        return After.LINE if is_whole and not is_title and below.end + _SHORT * below.size < edge else After.PARAGRAPH
    return After.MORE


def _alike(line: Line, other: Line) -> bool:
    return bool(other.words) and line.size < _LARGER * other.size and other.size < _LARGER * line.size


def _pitch(column: list[Line], line: Line) -> float:
    """The line spacing: the smallest one nearby, preferably one that occurs twice."""
    found = sorted(
        above.base - below.base
        for above, below in pairwise(column)
        if _alike(line, above) and _alike(line, below) and above.base - below.base > 0.8 * line.size
    )
    agreed = (pitch for pitch, next_pitch in pairwise(found) if next_pitch < 1.03 * pitch)
    return next(agreed, found[0] if len(found) > 1 else 2 * line.size)
