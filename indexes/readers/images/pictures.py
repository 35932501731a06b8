"""Read the text in pictures with OCR: PNG, JPEG, multi-page TIFF, BMP, WebP and the first frame of a GIF."""

import io
import struct
import warnings
import zlib

from PIL import Image, ImageOps

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, PageProgress, TextBuilder, no_progress
from indexes.readers.images.ocr import ADVICE, Engine, find_engine

MAX_PIXELS = 100_000_000
MAX_PAGES = 1_000
MAX_INSIDE = 200
"""Maximum pictures per document: each takes about a second."""
SMALLEST = 64
"""A picture whose longer side has fewer pixels is an icon."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
# observed exceptions of Pillow's decoders for truncated or invalid files
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError),
    *(struct.error, zlib.error),
)


def read_picture(data: bytes, progress: PageProgress = no_progress) -> Extracted:
    """Blocks are the paragraphs that OCR finds; a picture with several pages has page numbers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # about irrelevant tags
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                return _read(image, progress)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise _too_large() from None
    except _BROKEN:
        raise IndexingError("is a damaged picture; open it in an image editor and save it again") from None


class PicturesInside:
    """Reads the pictures inside a document one by one, if an engine is installed."""

    def __init__(self, progress: PageProgress = no_progress) -> None:
        self.progress = progress
        self.read = 0
        self.without_engine = False
        """Whether a picture was skipped that an engine might read."""
        self._engine: Engine | None = None

    def paragraphs(self, data: bytes) -> list[str]:
        """The text in a picture; empty for icons, damaged pictures, and beyond :data:`MAX_INSIDE`."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                    return self.seen(image)
        except (*_BROKEN, Image.DecompressionBombError):
            return []

    def seen(self, image: Image.Image) -> list[str]:
        """Like :meth:`paragraphs`, for an opened picture."""
        if max(image.size) < SMALLEST or image.width * image.height > MAX_PIXELS or self.read >= MAX_INSIDE:
            return []
        self._engine = self._engine or find_engine()
        if not self._engine:
            self.without_engine = True
            return []
        self.read += 1
        self.progress(self.read, MAX_INSIDE)
        return _paragraphs(image, self._engine)


def _read(image: Image.Image, progress: PageProgress) -> Extracted:
    pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    if pages > MAX_PAGES:
        raise IndexingError(f"has more than {MAX_PAGES:,} pages; split it")
    if max(image.size) < SMALLEST:
        return Extracted("", [], "contains no readable text", format="picture")
    engine = find_engine()
    builder = TextBuilder()
    for page in range(pages):
        progress(page + 1, pages)
        image.seek(page)
        if image.width * image.height > MAX_PIXELS:
            raise _too_large()
        for paragraph in _paragraphs(image, engine):
            builder.add_block([paragraph], page=page + 1 if pages > 1 else None)
    warning = "" if builder.blocks else "contains no readable text"
    if not engine:
        warning = f"is a picture; {ADVICE}"
    return Extracted("".join(builder.parts), builder.blocks, warning, format="picture", needs_ocr=not engine)


def _paragraphs(image: Image.Image, engine: Engine | None) -> list[str]:
    """Decode the picture even without an engine, so that damage is always reported."""
    image.load()
    return engine.paragraphs(_upright_gray(image)) if engine else []


def _upright_gray(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits per pixel, which a plain conversion would clip at 255
        return upright.convert("I").point(lambda value: value / 256).convert("L")
    if upright.has_transparency_data:
        transparent = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", transparent.size, "white"), transparent)
    return upright.convert("L")


def _too_large() -> IndexingError:
    return IndexingError(f"is a picture of more than {MAX_PIXELS // 1_000_000} megapixels; scale it down")
