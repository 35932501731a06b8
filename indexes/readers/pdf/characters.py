"""Positions and sizes of single characters on a PDF page."""

import ctypes
import math

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from indexes.readers.pdf.columns import VERTICAL

_FEWEST_DOWN = 3
"""Minimum characters of a vertical line; a fraction has two under each other."""


def runs_down(textpage: pdfium.PdfTextPage, first: int, last: int) -> bool:
    """Whether upright characters stand under each other, as in vertical Chinese."""
    if last - first < _FEWEST_DOWN - 1:
        return False
    y, size, turned = font(textpage, first)
    last_y = font(textpage, last)[0]
    across = abs(font(textpage, first, True)[0] - font(textpage, last, True)[0])
    return not turned and across < 0.5 * size and y - last_y >= 0.5 * size * (last - first) > 0


def font(textpage: pdfium.PdfTextPage, index: int, runs_down: bool = False) -> tuple[float, float, int]:
    """The height of a character on the page, its font size, and its rotation in quarter turns, or ``VERTICAL``.

    The size is 0 for oblique text, and if it is unknown.
    """
    x, y, matrix = ctypes.c_double(), ctypes.c_double(), raw.FS_MATRIX()
    angle = raw.FPDFText_GetCharAngle(textpage, index) / (math.pi / 2)
    turned = VERTICAL if runs_down else round(angle) % 4
    known = raw.FPDFText_GetCharOrigin(textpage, index, x, y) and raw.FPDFText_GetMatrix(textpage, index, matrix)
    size = raw.FPDFText_GetFontSize(textpage, index) * math.hypot(matrix.c, matrix.d) if known else 0.0
    base = (y.value, x.value, -y.value, -x.value, x.value)[turned]
    return base, size if abs(angle - round(angle)) < 0.05 else 0.0, turned


def place(textpage: pdfium.PdfTextPage, index: int, turned: int) -> tuple[float, float]:
    """Start and end of a character along the line."""
    box = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(textpage, index, box)
    across, down = (box.left, box.right), (-box.top, -box.bottom)
    return (across, down, (-box.right, -box.left), (box.bottom, box.top), down)[turned]
