"""Readers: one small function a format, from the bytes of a file to its text and blocks.

The format is chosen by what the file begins with and by its suffix. Nothing here knows of passages or of the index.
"""

from pathlib import PurePath

from indexes.errors import IndexingError
from indexes.readers.document import Block, Extracted
from indexes.readers.html import read_html
from indexes.readers.markdown import read_markdown
from indexes.readers.pdf import read_pdf
from indexes.readers.plain import read_plain

READERS = {
    **dict.fromkeys(["", ".txt", ".text", ".rst"], read_plain),
    **dict.fromkeys([".md", ".markdown"], read_markdown),
    **dict.fromkeys([".html", ".htm", ".xhtml"], read_html),
    ".pdf": read_pdf,
}
"""Suffix to reader; a file without a suffix (README, LICENSE) is plain text."""

NOT_DOCUMENTS = frozenset(
    ".avi .avif .bmp .css .eot .gif .heic .ico .jpeg .jpg .js .map .mkv .mov .mp3 .mp4 .ogg .otf .partial .png .svg .tif "
    ".tiff .tmp .ttf .wav .webm .webp .woff .woff2".split()
)
"""Suffixes of what commonly lies beside documents and holds no text; these files are passed over in silence."""

__all__ = ["NOT_DOCUMENTS", "READERS", "Block", "Extracted", "read_document"]


def read_document(name: str, data: bytes) -> Extracted:
    """Read a file by its name and content.

    Raises :class:`IndexingError` with the rest of a sentence that begins with the file's name, such as
    "is a damaged PDF".
    """
    suffix = PurePath(name).suffix.lower()
    is_pdf = data[:1024].lstrip().startswith(b"%PDF-")
    if suffix == ".pdf" and not is_pdf:
        raise IndexingError("is not a PDF in spite of its name")
    if suffix not in READERS:
        raise IndexingError(f"is of a kind that is not read ({suffix}); convert it to one of: {' '.join(filter(None, READERS))}")
    try:
        document = read_pdf(data) if is_pdf else READERS[suffix](data)
    except RecursionError:
        raise IndexingError("is nested too deeply to be read") from None
    if not document.blocks and not document.warning:
        return Extracted(document.text, [], "holds no text")
    return document
