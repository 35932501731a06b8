"""Put the lines of a PDF page into reading order where the file draws them in another order.

Columns of prose may be drawn row by row, like the cells of a table; a title may be drawn last; vertical lines may be
drawn from left to right.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise

from indexes.language import CJK
from indexes.readers.pdf.table_rows import Cell

VERTICAL = 4
"""``Line.turned`` of vertical Chinese: upright characters under each other, lines from right to left."""
_FEWEST_ROWS = 2
"""Minimum rows to distinguish columns from a table, if each line continues below."""
_LEAST_LETTERS = 14
"""Minimum mean letters per line in a column of prose; a Chinese character counts as two. Chosen."""
_LEAST_GAP = 0.9
"""Minimum gap between columns, in ems. Chosen."""
_LARGER = 1.15
"""Minimum size of a title, relative to the text."""
_STARTS_CJK = re.compile(f"[{CJK}]")
_SENTENCE_END = re.compile(r"[.!?。！？][\"'”’」』）)]?$")
_SENTENCE = re.compile(r"[a-z\u4e00-\u9fff][.!?。！？]")


@dataclass(frozen=True)
class Line:
    """A line of text and its position, in points along and across the reading direction."""

    text: str
    words: list[str] = field(default_factory=list)
    """Words or runs of Chinese; empty if their positions are unknown or this is not a line."""
    places: list[tuple[float, float]] = field(default_factory=list)
    """Start and end of each word."""
    base: float = 0.0
    """The lower edge; larger values are further up, or further right if the line is vertical."""
    size: float = 0.0
    """Font size."""
    turned: int = 0
    """Rotation of the line in quarter turns, or ``VERTICAL``."""
    letter: float = 0.0
    """Width of the first letter."""
    is_row: bool = False
    cells: list[Cell] = field(default_factory=list)
    """The cells of a row."""

    @property
    def start(self) -> float:
        return self.places[0][0]

    @property
    def end(self) -> float:
        return self.places[-1][1]

    @property
    def least(self) -> float:
        """The room that the line above would have needed for the first word, or for two Chinese characters."""
        start, end = self.places[0]
        return min(2 * self.letter, end - start) if _STARTS_CJK.match(self.text) else end - start


def in_reading_order(lines: Sequence[Line]) -> list[tuple[int, Line]]:
    """The lines in reading order, each with its index in the file's order; rows of columns are split."""
    found: list[tuple[int, Line]] = []
    number = 0
    while number < len(lines):
        rows = _rows_of_columns(lines, number)
        if rows:
            columns = len(rows[0])
            found += [
                (number + at, row[column])
                for column in range(columns)
                for at, row in enumerate(rows)
                if row[column].text
            ]
            number += len(rows)
        else:
            found.append((number, lines[number]))
            number += 1
    return _with_title_first(_from_right_to_left(found))


def _from_right_to_left(lines: list[tuple[int, Line]]) -> list[tuple[int, Line]]:
    """Sort vertical lines, tier by tier; short labels keep their order."""
    found: list[tuple[int, Line]] = []
    for is_vertical, run in groupby(lines, key=lambda line: line[1].turned == VERTICAL):
        columns = list(run)
        if is_vertical and sum(len(line.text) for _, line in columns) >= _LEAST_LETTERS / 2 * len(columns):
            columns.sort(key=lambda line: line[1].start)
            end, tiers = -math.inf, [0]
            for _, line in columns:
                tiers.append(tiers[-1] + (line.start >= end))
                end = max(end, line.end)
            by_tier = sorted(zip(tiers[1:], columns, strict=True), key=lambda pair: (pair[0], -pair[1][1].base))
            columns = [line for _, line in by_tier]
        found += columns
    return found


def _rows_of_columns(lines: Sequence[Line], first: int) -> list[list[Line]]:
    """Consecutive rows from this line on that are prose in columns, each split; empty if they are not."""
    borders = _borders(lines, first)
    if not borders:
        return []
    rows: list[list[Line]] = []
    for line in lines[first:]:
        parts = _divided(line, borders)
        if not parts:
            break
        rows.append(parts)
    return rows if len(rows) >= _FEWEST_ROWS and _is_prose(rows) else []


def _borders(lines: Sequence[Line], first: int) -> list[float]:
    """Positions of the gaps that a line and the lines below it share, from the left."""
    line = lines[first]
    if not line.is_row or not line.words:
        return []
    gaps = [(end, start) for (_, end), (start, _) in pairwise(line.places) if start - end >= _LEAST_GAP * line.size]
    for other in lines[first + 1 : first + _FEWEST_ROWS]:
        if not other.words or other.turned != line.turned:
            return []
        free = [
            (end, start) for (_, end), (start, _) in pairwise(other.places) if start - end >= _LEAST_GAP * other.size
        ]
        gaps = [
            (max(gap[0], one[0]), min(gap[1], one[1]))
            for gap in gaps
            for one in free
            if min(gap[1], one[1]) - max(gap[0], one[0]) > 0.3 * line.size
        ]
    return [(end + start) / 2 for end, start in gaps]


def _divided(line: Line, borders: Sequence[float]) -> list[Line]:
    """The parts of a line between the borders; empty if a word crosses a border or the line is of another kind."""
    if not line.words or any(start < border < end for start, end in line.places for border in borders):
        return []
    parts: list[tuple[list[str], list[tuple[float, float]]]] = [([], []) for _ in range(len(borders) + 1)]
    for word, place in zip(line.words, line.places, strict=True):
        words, places = parts[sum(place[0] >= border for border in borders)]
        words.append(word)
        places.append(place)
    if sum(bool(words) for words, _ in parts) < 2 and not parts[0][0] and not line.is_row:
        return []
    return [
        replace(line, text=" ".join(words), words=words, places=places, is_row=False, cells=[]) if words else Line("")
        for words, places in parts
    ]


def _is_prose(rows: Sequence[Sequence[Line]]) -> bool:
    """Whether the texts continue from row to row: lines are long, few end a sentence, and some sentence ends at all.

    Table cells are short or complete.
    """
    ends = False
    for column in zip(*rows, strict=True):
        texts = [line.text for line in column if line.text]
        if len(texts) < _FEWEST_ROWS or sum(map(_letters, texts)) < _LEAST_LETTERS * len(texts):
            return False
        has_end = any(map(_SENTENCE.search, texts))
        goes_on = sum(_goes_on(text, below) for text, below in pairwise(texts))
        if 2 * goes_on < len(texts) - 1 or (len(rows) > _FEWEST_ROWS and not has_end):
            return False
        ends |= has_end
    return ends


def _goes_on(text: str, below: str) -> bool:
    """Whether a line may be in the middle of a sentence that continues below it."""
    begins = below[0].islower() or below[0].isdigit() or _STARTS_CJK.match(below) is not None
    return not _SENTENCE_END.search(text) and (begins or text.endswith((",", "，", "、", "-")) or text[-1].islower())


def _letters(text: str) -> int:
    return len(text) + len(_STARTS_CJK.findall(text))


def _with_title_first(lines: list[tuple[int, Line]]) -> list[tuple[int, Line]]:
    """Move lines to the front that the file draws last but that are above all others and larger."""
    placed = [line for _, line in lines if line.words and not line.turned]
    if len(placed) < 3:
        return lines
    sizes = sorted(line.size for line in placed)
    last = list(_titles_at_the_end(lines, sizes[len(sizes) // 2]))
    rest = lines[: len(lines) - len(last)]
    highest = max((line.base for _, line in rest if line.words), default=0.0)
    return [*last, *rest] if last and rest and all(line.base > highest for _, line in last) else lines


def _titles_at_the_end(lines: list[tuple[int, Line]], size: float) -> Iterator[tuple[int, Line]]:
    count = 0
    while count < min(3, len(lines) - 1) and lines[-1 - count][1].words and lines[-1 - count][1].size > _LARGER * size:
        count += 1
    yield from lines[len(lines) - count :]
