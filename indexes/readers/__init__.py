"""Readers: one small function a format, from the bytes of a file to its text and blocks.

The format is chosen by what the file begins with and by its suffix. Nothing here knows of passages or of the index. The
libraries behind a format are loaded when the first file of it is read.
"""

import re
from pathlib import PurePath

from indexes.errors import IndexingError
from indexes.readers.document import Block, Extracted, Progress, no_progress

FORMATS = {
    **dict.fromkeys(["", ".txt", ".text", ".rst"], "plain"),
    **dict.fromkeys([".md", ".markdown"], "markdown"),
    **dict.fromkeys([".html", ".htm", ".xhtml"], "html"),
    ".pdf": "pdf",
}
"""Suffix to format; a file without a suffix (README, LICENSE) is plain text."""

NOT_DOCUMENTS = re.compile(
    r"\.(?:avi|avif|bmp|css|eot|gif|heic|ico|jpe?g|js|map|mkv|mov|mp3|mp4|ogg|otf|partial|png|svg|tiff?|tmp|ttf|wav|webm|webp"
    r"|woff2?)$",
    re.IGNORECASE,
)
"""Names of what commonly lies beside documents and holds no text; these files are passed over in silence."""

MAX_BYTES = 50_000_000

__all__ = ["NOT_DOCUMENTS", "Block", "Extracted", "read_document", "why_not_read"]


def why_not_read(name: str, size: int) -> str:
    """Why a file is refused before it is opened, as the end of a sentence that begins with its name; else empty."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in FORMATS:
        return f"is of a kind that is not read ({suffix}); convert it to one of: {' '.join(filter(None, FORMATS))}"
    if size > MAX_BYTES:
        return f"is larger than {MAX_BYTES // 1_000_000} MB; divide it"
    return ""


def read_document(name: str, data: bytes, progress: Progress = no_progress) -> Extracted:
    """Read a file by its name and content.

    ``progress`` is told of pages at work. Raises :class:`IndexingError` with the end of a sentence that begins with
    the file's name: "is a damaged PDF".
    """
    chosen = FORMATS[PurePath(name).suffix.lower()]
    is_pdf = data[:1024].lstrip().startswith(b"%PDF-")
    if chosen == "pdf" and not is_pdf:
        raise IndexingError("is not a PDF in spite of its name")
    try:
        document = _read("pdf" if is_pdf else chosen, data, progress)
    except RecursionError:
        raise IndexingError("is nested too deeply to be read") from None
    if not document.blocks and not document.warning:
        return Extracted(document.text, [], "holds no text")
    return document


def _read(chosen: str, data: bytes, progress: Progress) -> Extracted:
    if chosen == "pdf":
        from indexes.readers.pdf import read_pdf

        return read_pdf(data, progress)
    if chosen == "html":
        from indexes.readers.html import read_html

        return read_html(data)
    if chosen == "markdown":
        from indexes.readers.markdown import read_markdown

        return read_markdown(data)
    from indexes.readers.plain import read_plain

    return read_plain(data)
