"""Which OCR engine reads pictures and scans: RapidOCR where it is installed, else tesseract."""

from importlib.util import find_spec
from typing import Protocol

from PIL import Image

from indexes.readers.images.tesseract import find_tesseract

MAX_PIXELS = 40_000_000
"""Largest page that is read; larger ones are scaled down first."""
ADVICE = 'to read it: pip install "lorewright[ocr]"'
"""What a message recommends where no engine is installed."""


class Engine(Protocol):
    """What both engines have in common."""

    name: str

    def paragraphs(self, image: Image.Image) -> list[str]:
        """The paragraphs in a grey picture, in reading order; none where there is no text that can be read."""


def find_engine() -> Engine | None:
    """The engine of this machine; None where none is installed. Loads no model."""
    if find_spec("rapidocr") and find_spec("onnxruntime"):
        from indexes.readers.images.rapid_ocr import RapidOcr

        return RapidOcr()
    return find_tesseract()
