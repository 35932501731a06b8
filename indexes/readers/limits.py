"""What a file may cost: named limits, and the only ways by which readers open ZIP archives and XML.

A small file can be made to unfold into gigabytes. Sizes that an archive declares are checked before anything is
inflated, and no more than the declared size of an entry is ever inflated. Nothing is unpacked to disk.
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
"""Inflated to packed size of a whole archive; text and tables are seldom above 20, zeros are at 1,000."""
UNSUSPECTED_BYTES = 20_000_000
"""An archive that is no larger than this when inflated may have any ratio."""
MAX_XML_BYTES = 100_000_000
"""Of one XML part that is held in memory as a tree, which takes about ten times as much."""
MAX_NESTING = 100
"""Levels of groups, tables in tables or objects in objects that a reader follows."""

BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)
"""What zipfile raises for damaged archives: wrong sums, unknown methods, offsets outside of the file."""


class DamagedError(Exception):
    """A part is missing or is not what it should be; the reader says of what document."""

    def __str__(self) -> str:
        """Short, and in one line: the file's own text may stand in a parser's message."""
        text = " ".join(super().__str__().split())
        return text if len(text) <= 160 else f"{text[:159]}…"


def damaged(what: str, why: DamagedError | str) -> IndexingError:
    """The sentence about a document, ``"Word document"``, of which a part is missing or broken."""
    return IndexingError(
        f"is a damaged {what} ({why}); open it in its own program and save it anew, or get another copy"
    )


def open_zip(data: bytes) -> zipfile.ZipFile:
    """The archive, when its size is bearable.

    Raises :class:`DamagedError`, and :class:`IndexingError` for archives that are protected or unfold too far.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except BROKEN_ZIP:
        raise DamagedError("cut short or overwritten") from None
    entries = archive.infolist()
    inflated = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ZIP_ENTRIES:
        raise IndexingError(f"holds more than {MAX_ZIP_ENTRIES:,} parts; divide it")
    if inflated > MAX_ZIP_BYTES:
        raise IndexingError(f"unfolds to more than {MAX_ZIP_BYTES // 1_000_000} MB; divide it")
    if inflated > max(UNSUSPECTED_BYTES, MAX_ZIP_RATIO * len(data)):
        raise IndexingError(f"unfolds to more than {MAX_ZIP_RATIO} times its size, as no document does; save it anew")
    if any(entry.flag_bits & 1 for entry in entries):
        raise IndexingError("is protected by a password; save a copy without one")
    return archive


def read_entry(archive: zipfile.ZipFile, name: str, limit: int = MAX_XML_BYTES) -> bytes:
    """The bytes of one entry, at most ``limit``. Raises :class:`DamagedError` when it is missing or broken."""
    try:
        entry = archive.getinfo(name)
        if entry.file_size > limit:
            raise IndexingError(f"has a part of more than {limit // 1_000_000} MB ({entry.filename}); divide it")
        pieces = []
        with archive.open(entry) as stream:  # read(n) inflates n bytes at most, read() whatever comes
            while piece := stream.read(1 << 20):
                pieces.append(piece)
    except KeyError:
        raise DamagedError(f"{name} is missing") from None
    except BROKEN_ZIP:
        raise DamagedError(f"{name} cannot be unpacked") from None
    return b"".join(pieces)


def parse_xml(data: bytes) -> etree._Element:
    """The root of an XML part; entities are never expanded, nothing is fetched. Raises :class:`DamagedError`."""
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, remove_comments=True)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DamagedError(f"broken XML in line {getattr(error, 'lineno', 1)}") from None
