"""Select the OCR engine for pictures and scans: RapidOCR if it is installed, else tesseract."""

from importlib.util import find_spec
from typing import Protocol

from PIL import Image

from indexes.readers.images.tesseract import find_tesseract

ADVICE = 'to read it, run: pip install "lorewright[ocr]"'
"""Advice in messages if no engine is installed."""


class Engine(Protocol):
    """Interface of both engines."""

    name: str

    def paragraphs(self, image: Image.Image) -> list[str]:
        """The paragraphs in a greyscale picture, in reading order; empty if no text can be read."""


def find_engine() -> Engine | None:
    """The installed engine; None if there is none. Loads no model."""
    if find_spec("rapidocr") and find_spec("onnxruntime"):
        from indexes.readers.images.rapid_ocr import RapidOcr

        return RapidOcr()
    return find_tesseract()
