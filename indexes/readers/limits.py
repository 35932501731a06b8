"""Limits on the size of files, and the only functions with which readers open ZIP archives and XML.

A small file can expand to gigabytes. The sizes that an archive declares are checked before anything is decompressed,
and no entry is decompressed beyond its declared size. Nothing is unpacked to disk.
"""

import io
import zipfile
import zlib

from lxml import etree

from indexes.errors import IndexingError

MAX_FILE_BYTES = 200_000_000
MAX_CHARACTERS = 50_000_000
MAX_ZIP_ENTRIES = 10_000
MAX_ZIP_BYTES = 500_000_000
MAX_ZIP_RATIO = 200
"""Compression ratio of a whole archive; text and tables are seldom above 20, zeros reach 1,000."""
UNSUSPECTED_BYTES = 20_000_000
"""Up to this decompressed size an archive may have any ratio."""
MAX_XML_BYTES = 100_000_000
"""Size of one XML part; its tree takes about ten times as much memory."""
MAX_NESTING = 100
"""Maximum depth of groups, nested tables and nested objects."""

BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)
"""What zipfile raises for damaged archives: wrong checksums, unknown methods, offsets outside the file."""


class DamagedError(Exception):
    """A part is missing or invalid; the reader adds the kind of document."""

    def __str__(self) -> str:
        """Short and on one line: a parser's message may contain the file's own text."""
        text = " ".join(super().__str__().split())
        return text if len(text) <= 160 else f"{text[:159]}…"


def damaged(what: str, why: DamagedError | str) -> IndexingError:
    """The error for a document, such as ``"Word document"``, with a missing or broken part."""
    return IndexingError(
        f"is a damaged {what} ({why}); open it in its own program and save it again, or get another copy"
    )


def open_zip(data: bytes) -> zipfile.ZipFile:
    """Open an archive after checking its size.

    Raises :class:`DamagedError`, and :class:`IndexingError` for archives that are encrypted or expand too far.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except BROKEN_ZIP:
        raise DamagedError("truncated or overwritten") from None
    entries = archive.infolist()
    inflated = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ZIP_ENTRIES:
        raise IndexingError(f"contains more than {MAX_ZIP_ENTRIES:,} parts; split it")
    if inflated > MAX_ZIP_BYTES:
        raise IndexingError(f"expands to more than {MAX_ZIP_BYTES // 1_000_000} MB; split it")
    if inflated > max(UNSUSPECTED_BYTES, MAX_ZIP_RATIO * len(data)):
        raise IndexingError(
            f"expands to more than {MAX_ZIP_RATIO} times its size, which no document does; save it again"
        )
    if any(entry.flag_bits & 1 for entry in entries):
        raise IndexingError("is password-protected; save a copy without a password")
    return archive


def read_entry(archive: zipfile.ZipFile, name: str, limit: int = MAX_XML_BYTES) -> bytes:
    """Read one entry of at most ``limit`` bytes. Raises :class:`DamagedError` when it is missing or broken."""
    try:
        entry = archive.getinfo(name)
        if entry.file_size > limit:
            raise IndexingError(f"has a part of more than {limit // 1_000_000} MB ({entry.filename}); split it")
        pieces = []
        with archive.open(entry) as stream:  # read(n) decompresses at most n bytes, read() everything
            while piece := stream.read(1 << 20):
                pieces.append(piece)
    except KeyError:
        raise DamagedError(f"{name} is missing") from None
    except BROKEN_ZIP:
        raise DamagedError(f"{name} cannot be decompressed") from None
    return b"".join(pieces)


def parse_xml(data: bytes) -> etree._Element:
    """Parse an XML part without expanding entities or fetching anything. Raises :class:`DamagedError`."""
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, remove_comments=True)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DamagedError(f"broken XML in line {getattr(error, 'lineno', 1)}") from None
