"""Decide which letters of a PDF page are visible: inside the crop box, drawn, and not white on white."""

import ctypes
from itertools import islice

import pypdfium2 as pdfium
import pypdfium2.raw as raw

Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in points."""

_WHITE = 245
"""A colour whose three components reach this value (of 255) looks white. Chosen."""
_CLEAR = 13
"""Up to this opacity (of 255) nothing is visible. Chosen."""
_MAX_OBJECTS = 20_000
_HIDDEN_MODES = (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP)


class Visible:
    """Decides which characters of one page are visible."""

    def __init__(self, page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> None:
        self.page = page
        self.textpage = textpage
        self.shown: Box = page.get_cropbox()
        self.hidden = 0
        """Number of words inside the page that are invisible."""
        self._behind: tuple[list[Box], list[Box]] | None = None

    def word(self, index: int) -> bool:
        """Whether the word that starts with this character is visible; counts invisible words."""
        box = raw.FS_RECTF()
        if not raw.FPDFText_GetLooseCharBox(self.textpage, index, box):
            return True
        x, y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
        left, bottom, right, top = self.shown
        if not (left <= x <= right and bottom <= y <= top):
            return False
        if self._is_drawn(index, x, y):
            return True
        self.hidden += 1
        return False

    def _is_drawn(self, index: int, x: float, y: float) -> bool:
        text_object = raw.FPDFText_GetTextObject(self.textpage, index)
        mode = raw.FPDFTextObj_GetTextRenderMode(text_object) if text_object else 0
        pictures, fills = ([], []) if mode not in _HIDDEN_MODES and not self._is_pale(index) else self._drawn_behind()
        if mode in _HIDDEN_MODES:  # the text of a scan is invisible over its picture
            return any(_holds(picture, x, y) for picture in pictures)
        return not self._is_pale(index) or any(_holds(area, x, y) for area in (*pictures, *fills))

    def _is_pale(self, index: int) -> bool:
        """Whether the character is white or transparent."""
        red, green, blue, opacity = (ctypes.c_uint() for _ in range(4))
        if not raw.FPDFText_GetFillColor(self.textpage, index, red, green, blue, opacity):
            return False
        return opacity.value <= _CLEAR or min(red.value, green.value, blue.value) >= _WHITE

    def _drawn_behind(self) -> tuple[list[Box], list[Box]]:
        """The boxes of pictures, and of areas filled with a colour other than white."""
        if self._behind is None:
            pictures: list[Box] = []
            fills: list[Box] = []
            for drawn in islice(self.page.get_objects(max_depth=3), _MAX_OBJECTS):
                if drawn.type in (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING):
                    pictures.append(drawn.get_bounds())
                elif drawn.type == raw.FPDF_PAGEOBJ_PATH:
                    red, green, blue, opacity = (ctypes.c_uint() for _ in range(4))
                    known = raw.FPDFPageObj_GetFillColor(drawn, red, green, blue, opacity)
                    if known and opacity.value > _CLEAR and min(red.value, green.value, blue.value) < _WHITE:
                        fills.append(drawn.get_bounds())
            self._behind = pictures, fills
        return self._behind


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
