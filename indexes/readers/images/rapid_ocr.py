"""OCR with RapidOCR: the PP-OCR models for Chinese and English in its wheel, run by ONNX Runtime.

RapidOCR returns lines with their boxes. Recursive X-Y cuts (Nagy and Seth 1984) group them into paragraphs: the page is
divided at horizontal gaps, then into columns, until no gap is left.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import dist
from statistics import mean, median
from typing import Any

import numpy as np
from PIL import Image

from indexes.readers.lines import joined

_LINE_SCORE = 0.6
"""Minimum confidence of a line. Chosen; the lines of two of the tests' scans have 0.99 and more."""
_PARAGRAPH_GAP = 0.8
"""Height of the white space that ends a paragraph, in lines. Chosen."""
_COLUMN_GAP = 1.0
"""Width of the white space between columns, in line heights. Chosen."""
_PROSE_WIDTH = 8
"""Minimum mean line width of a column of prose, in line heights; narrower columns are table cells. Chosen."""
_SHORT_LINE = 0.8
"""Largest share of the paragraph's width at which a line is the last one. Chosen."""


@dataclass(frozen=True)
class Line:
    """A line of text and its box, in pixels from the upper left corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        return self.bottom - self.top


class RapidOcr:
    """The engine; its models are loaded once per process, with the first picture."""

    name = "rapidocr"

    def paragraphs(self, image: Image.Image) -> list[str]:
        """See :class:`indexes.readers.images.ocr.Engine`."""
        found = _model()(np.asarray(image.convert("RGB")))
        if found.boxes is None:
            return []
        boxes = zip(found.txts, found.scores, found.boxes.tolist(), strict=True)
        return paragraphs_of([_line(text, box) for text, score, box in boxes if score >= _LINE_SCORE and text.strip()])


@cache
def _model() -> Any:
    from rapidocr import RapidOCR

    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    # Its classifier of upside-down lines is off: on two coarse pages (benchmarks/ocr.py) it lost a line of each.
    return RapidOCR(params={**threads, "Global.log_level": "critical", "Global.use_cls": False})


def _line(text: str, corners: Sequence[Sequence[float]]) -> Line:
    """A line from the corners of its box, clockwise from the upper left. The height is that of the box itself: on a
    slightly rotated page, upright boxes around long lines would overlap."""
    across, down = zip(*corners, strict=True)
    upper_left, upper_right, lower_right, lower_left = corners
    height = (dist(upper_left, lower_left) + dist(upper_right, lower_right)) / 2
    middle = mean(down)
    return Line(text.strip(), min(across), middle - height / 2, max(across), middle + height / 2)


def paragraphs_of(lines: Sequence[Line]) -> list[str]:
    """Group lines in any order into paragraphs in reading order."""
    return [text for block in _blocks(list(lines)) for text in _paragraphs(block)] if lines else []


def _blocks(lines: list[Line]) -> Iterator[list[Line]]:
    height = median(line.height for line in lines)
    parts = _cut(lines, lambda line: (line.top, line.bottom), _PARAGRAPH_GAP * height)
    if len(parts) == 1:
        columns = _cut(lines, lambda line: (line.left, line.right), _COLUMN_GAP * height)
        if all(len(column) > 1 and _is_prose(column) for column in columns):
            parts = columns
    if len(parts) == 1:
        yield lines
        return
    for part in parts:
        yield from _blocks(part)


def _cut(lines: list[Line], extent: Callable[[Line], tuple[float, float]], gap: float) -> list[list[Line]]:
    """Divide lines along one axis at white space of at least ``gap`` across all of them."""
    parts: list[list[Line]] = []
    end = float("-inf")
    for line in sorted(lines, key=extent):
        start, line_end = extent(line)
        if not parts or start - end >= gap:
            parts.append([])
        parts[-1].append(line)
        end = max(end, line_end)
    return parts


def _is_prose(lines: list[Line]) -> bool:
    return mean((line.right - line.left) / line.height for line in lines) >= _PROSE_WIDTH


def _paragraphs(lines: list[Line]) -> Iterator[str]:
    """The paragraphs of a block without gaps: each ends with a line clearly shorter than the block."""
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    text = ""
    for row in _rows(lines):
        text = joined(text, "  ".join(line.text for line in row))
        if row[-1].right - left <= _SHORT_LINE * (right - left):
            yield text
            text = ""
    if text:
        yield text


def _rows(lines: list[Line]) -> list[list[Line]]:
    """Lines at the same height, from left to right: the cells of a row, or the parts of a spaced line."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.top + line.bottom):
        if rows and (line.top + line.bottom) / 2 < rows[-1][0].bottom:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.left) for row in rows]
