"""Pictures: the text in them, by OCR. PNG, JPEG, TIFF of several pages, BMP, WebP and the first frame of a GIF."""

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
"""Pictures of one document that are looked at: each takes about a second."""
SMALLEST = 64
"""Pixels of the longer side below which a picture is an icon."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
# what Pillow's decoders were seen to raise for files that are cut short or wrong
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError),
    *(struct.error, zlib.error),
)


def read_picture(data: bytes, progress: PageProgress = no_progress) -> Extracted:
    """Blocks are the paragraphs that OCR finds, each on its page where the picture has several."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # about tags that do not matter here
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                return _read(image, progress)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise _too_large() from None
    except _BROKEN:
        raise IndexingError("is a damaged picture; open it in a picture program and save it anew") from None


class PicturesInside:
    """The pictures inside of a document, read one after the other where an engine is installed."""

    def __init__(self, progress: PageProgress = no_progress) -> None:
        self.progress = progress
        self.read = 0
        self.without_engine = False
        """Whether one was passed over that an engine might read."""
        self._engine: Engine | None = None

    def paragraphs(self, data: bytes) -> list[str]:
        """What stands in a picture; nothing in icons, in what is damaged, and beyond :data:`MAX_INSIDE`."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                    return self.seen(image)
        except (*_BROKEN, Image.DecompressionBombError):
            return []

    def seen(self, image: Image.Image) -> list[str]:
        """The same of a picture that is open."""
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
        raise IndexingError(f"has more than {MAX_PAGES:,} pages; divide it")
    if max(image.size) < SMALLEST:
        return Extracted("", [], "shows no text", format="picture")
    engine = find_engine()
    builder = TextBuilder()
    for page in range(pages):
        progress(page + 1, pages)
        image.seek(page)
        if image.width * image.height > MAX_PIXELS:
            raise _too_large()
        for paragraph in _paragraphs(image, engine):
            builder.add_block([paragraph], page=page + 1 if pages > 1 else None)
    warning = "" if builder.blocks else "shows no text"
    if not engine:
        warning = f"is a picture; {ADVICE}"
    return Extracted("".join(builder.parts), builder.blocks, warning, format="picture", needs_ocr=not engine)


def _paragraphs(image: Image.Image, engine: Engine | None) -> list[str]:
    """Decodes the picture in any case, so that a damaged one is reported without an engine too."""
    image.load()
    return engine.paragraphs(_upright_gray(image)) if engine else []


def _upright_gray(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits a pixel, which a plain conversion would cut off at 255
        return upright.convert("I").point(lambda value: value / 256).convert("L")
    if upright.has_transparency_data:
        transparent = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", transparent.size, "white"), transparent)
    return upright.convert("L")


def _too_large() -> IndexingError:
    return IndexingError(f"is a picture of more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller")
