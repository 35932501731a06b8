"""Detect the format of a file from its first bytes, then from its suffix; explain why other formats are not read."""

import re
import zipfile
from pathlib import PurePath

from indexes.errors import IndexingError
from indexes.readers.limits import DamagedError, damaged, open_zip, read_entry
from indexes.readers.text import source_code
from indexes.readers.text.delimited import delimiter_of

TEXT_FORMATS = {
    **dict.fromkeys([".md", ".markdown", ".mdown", ".mkd"], "markdown"),
    **dict.fromkeys([".csv", ".tsv", ".tab"], "csv"),
    ".json": "json",
    **dict.fromkeys([".jsonl", ".ndjson"], "jsonl"),
    **dict.fromkeys([".html", ".htm", ".xhtml", ".shtml"], "html"),
    **dict.fromkeys([".xml", ".rss", ".atom", ".rdf", ".opml"], "xml"),
    **dict.fromkeys(source_code.SUFFIXES, "code"),
}
"""Suffix to format of text files; text with any other suffix, or without one, is plain text."""

_ARCHIVE = "is an archive ({}); unpack it into the documents folder"
_SOUND = "is an audio recording ({}); add a transcript instead"
_FILM = "is a video ({}); add a transcript instead"
_PROGRAM = "is a program file ({}), not a document; remove it from the folder"
_SAVE_AS = "is {}, an unsupported format; save it as {}"
_MAGIC: list[tuple[int, bytes, str]] = [
    (0, b"\x89PNG\r\n\x1a\n", "picture"),
    (0, b"\xff\xd8\xff", "picture"),
    (0, b"II*\0", "picture"),
    (0, b"MM\0*", "picture"),
    (0, b"GIF87a", "picture"),
    (0, b"GIF89a", "picture"),
    (8, b"WEBP", "picture"),
    (0, b"7z\xbc\xaf\x27\x1c", _ARCHIVE.format("7z")),
    (0, b"Rar!\x1a\x07", _ARCHIVE.format("RAR")),
    (0, b"\x1f\x8b\x08", _ARCHIVE.format("gzip")),
    (0, b"\xfd7zXZ\0", _ARCHIVE.format("xz")),
    (0, b"\x28\xb5\x2f\xfd", _ARCHIVE.format("zstd")),
    (4, b"1AY&SY", _ARCHIVE.format("bzip2")),
    (257, b"ustar", _ARCHIVE.format("tar")),
    (0, b"ID3", _SOUND.format("MP3")),
    (0, b"\xff\xfb", _SOUND.format("MP3")),
    (0, b"\xff\xf3", _SOUND.format("MP3")),
    (0, b"fLaC", _SOUND.format("FLAC")),
    (0, b"OggS", _SOUND.format("Ogg")),
    (0, b"#!AMR", _SOUND.format("AMR")),
    (8, b"WAVEfmt", _SOUND.format("WAV")),
    (8, b"AVI LIST", _FILM.format("AVI")),
    (4, b"ftypM4A", _SOUND.format("M4A")),
    (4, b"ftyphe", _SAVE_AS.format("a HEIC picture", "PNG or JPEG")),
    (4, b"ftypmif1", _SAVE_AS.format("a HEIC picture", "PNG or JPEG")),
    (4, b"ftypavif", _SAVE_AS.format("an AVIF picture", "PNG or JPEG")),
    (4, b"ftyp", _FILM.format("MP4")),
    (0, b"\x1aE\xdf\xa3", _FILM.format("Matroska or WebM")),
    (0, b"FLV\x01", _FILM.format("FLV")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _FILM.format("Windows Media")),
    (0, b"{\\rtf", "rtf"),
    (60, b"BOOKMOBI", _SAVE_AS.format("a Kindle book", "EPUB")),
    (0, b"AT&TFORM", _SAVE_AS.format("a DjVu document", "PDF")),
    (0, b"ITSF\x03", _SAVE_AS.format("a compiled Windows help file (CHM)", "HTML or PDF")),
    (0, b"%!PS", _SAVE_AS.format("a PostScript document", "PDF")),
    (0, b"8BPS", _SAVE_AS.format("a Photoshop picture", "PNG or JPEG")),
    (0, b"SQLite format 3\0", _SAVE_AS.format("an SQLite database", "CSV, one file per table")),
    (0, b"PAR1", _SAVE_AS.format("a Parquet table", "CSV")),
    (0, b"\x7fELF", _PROGRAM.format("ELF")),
    (0, b"\xca\xfe\xba\xbe", _PROGRAM.format("Java or macOS")),
    (0, b"\xcf\xfa\xed\xfe", _PROGRAM.format("macOS")),
    (0, b"\0asm", _PROGRAM.format("WebAssembly")),
]
"""Offset, magic bytes, and the format or the error message; the first match counts."""

_OLD_OFFICE = [
    ("EncryptedPackage", "is password-protected; save a copy without a password"),
    ("__properties_version1.0", "msg"),
    ("WordDocument", "doc"),
    ("Workbook", "xls"),
    ("Book", "xls"),
    ("PowerPoint Document", "ppt"),
]
"""Streams in an OLE2 compound file, and the format or the error message that they indicate."""
_OFFICE = {
    **dict.fromkeys([".docx", ".docm", ".dotx"], "Word document"),
    **dict.fromkeys([".pptx", ".pptm", ".ppsx"], "PowerPoint presentation"),
    **dict.fromkeys([".xlsx", ".xlsm"], "Excel workbook"),
    ".epub": "EPUB book",
    **dict.fromkeys([".odt", ".ods", ".odp"], "OpenDocument file"),
}
_WRITTEN = re.compile(rb"[\w &#!]+")
"""Magic bytes that a sentence may also start with; those of RTF and PostScript, which are text, do not match."""
_PAGE = re.compile(
    r"\ufeff?\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--(?:(?!-->).){0,4000}-->\s*)*<(?:!doctype\s+html|html)[\s>]",
    re.I | re.S,
)
_FRAGMENT = re.compile(r"\ufeff?\s*<(?:table|div|meta|style|head|body|p|span|br|h[1-6])[\s/>]", re.I)
_OFFICE_XML = re.compile(r"\ufeff?\s*<\?xml.{0,300}<\?mso-application\s+progid=\"(Word|Excel)", re.I | re.S)
_WEB_ARCHIVE = re.compile(r"\s*(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*){1,30}?Content-Type:\s*multipart/related", re.I)


def format_of(name: str, data: bytes) -> str:
    """Detect the format: ``"docx"``, ``"markdown"``, ``"plain"``...

    Raises :class:`IndexingError` for unsupported formats, with the likely format and what to do.
    """
    suffix = PurePath(name).suffix.lower()
    if data[:1024].lstrip().startswith(b"%PDF-"):
        return "pdf"
    for offset, magic, meaning in _MAGIC:
        if data.startswith(magic, offset) and not (_WRITTEN.fullmatch(magic) and _is_written(data)):
            if " " in meaning:
                raise IndexingError(meaning)
            return meaning
    if (
        data.startswith(b"BM")
        and data[6:10] == b"\0\0\0\0"
        and data[14:18] in (b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0")
    ):
        return "picture"
    if data.startswith(b"MZ") and b"\0" in data[:64]:
        raise IndexingError(_PROGRAM.format("Windows"))
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _of_ole2(data)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _of_zip(suffix, data)
    return _of_text(suffix, PurePath(name).name.lower(), data)


def _is_written(data: bytes) -> bool:
    """Whether a file is text in spite of its magic bytes: "ID3 is a decision tree" is not an MP3."""
    return not re.search(rb"[\x00-\x08\x0e-\x1f]", data[:2048])


def _of_ole2(data: bytes) -> str:
    for stream, meaning in _OLD_OFFICE:
        if stream.encode("utf-16-le") in data:
            if " " in meaning:
                raise IndexingError(meaning)
            return meaning
    raise IndexingError(_SAVE_AS.format("a file of an old office program", "docx, xlsx, pptx or PDF"))


def _of_zip(suffix: str, data: bytes) -> str:
    """Detect the format of a ZIP archive from its entries, whatever its name is."""
    try:
        archive = open_zip(data)
        names = set(archive.namelist())
        kind = _media_type(archive) if "mimetype" in names else ""
    except DamagedError as error:
        raise damaged(_OFFICE.get(suffix, "ZIP archive"), error) from None
    for part, meaning in (
        ("Index/Document.iwa", _SAVE_AS.format("a Pages, Numbers or Keynote document", "docx, xlsx or pptx")),
    ):
        if part in names:
            raise IndexingError(meaning)
    if "xl/workbook.bin" in names:
        return "xlsb"
    if kind.startswith("application/vnd.oasis.opendocument.") and "content.xml" in names:
        if kind.rpartition(".")[2].startswith("text"):
            return "odt"
        return "ods" if kind.rpartition(".")[2].startswith("spreadsheet") else "odp"
    if kind == "application/epub+zip" or "META-INF/container.xml" in names:
        return "epub"
    if "_rels/.rels" in names or "[Content_Types].xml" in names:
        for folder, found in (("word/", "docx"), ("ppt/", "pptx"), ("xl/", "xlsx")):
            if any(name.startswith(folder) for name in names):
                return found
    if suffix in _OFFICE:
        raise damaged(_OFFICE[suffix], "its main parts are missing")
    raise IndexingError(_ARCHIVE.format("ZIP"))


def _media_type(archive: zipfile.ZipFile) -> str:
    return read_entry(archive, "mimetype", 1000).decode("ascii", "replace").strip()


def _of_text(suffix: str, name: str, data: bytes) -> str:
    head = _beginning(data)
    if suffix == ".eml":
        return "mail"
    if office := _OFFICE_XML.match(head):
        new = "docx" if office[1].lower() == "word" else "xlsx"
        raise IndexingError(_SAVE_AS.format(f"a {office[1]} 2003 XML document", new))
    if _WEB_ARCHIVE.match(head):
        raise IndexingError(_SAVE_AS.format("a web page saved as one file (MHTML)", "HTML or PDF"))
    if name in source_code.NAMES or TEXT_FORMATS.get(suffix) == "code":
        return "code"
    if _PAGE.match(head):
        return "html"
    if suffix in TEXT_FORMATS:
        return TEXT_FORMATS[suffix]
    if suffix in (".xls", ".xlsx", ".doc", ".docx", ".ods", ".odt"):  # web sites export HTML and CSV under these names
        if _FRAGMENT.match(head):
            return "html"
        if suffix in (".xls", ".xlsx", ".ods") and delimiter_of(head):
            return "csv"
    if re.match(r"\ufeff?\s*<\?xml\s", head):
        return "xml"
    return "code" if head.startswith("#!") else "plain"


def _beginning(data: bytes) -> str:
    """Decode the first characters, well enough to recognise markup; the readers decode properly."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    return data[:8192].decode(encoding, "replace")
