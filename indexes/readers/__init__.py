"""Read files of every format: one reader function per format turns bytes into text and blocks.

``file_format.py`` detects the format from the content, then from the suffix. :data:`READERS` maps it to its reader:

    text/      plain text, source code, CSV, JSON          pdf/      PDF: layout, columns, tables, headings
    web/       HTML, Markdown, XML, e-mail, EPUB           images/   pictures and OCR
    office/    Word, PowerPoint, Excel, OpenDocument       tables/   header rows and rows as text, for every format

Readers do not depend on passages or the index.
"""

import re
from dataclasses import replace
from importlib import import_module

from indexes.errors import IndexingError
from indexes.readers.document import TOO_MUCH_TEXT, Block, Extracted, PageProgress, no_progress
from indexes.readers.file_format import format_of
from indexes.readers.limits import MAX_CHARACTERS, MAX_FILE_BYTES
from indexes.readers.numbered_sections import articles_apart

NOT_DOCUMENTS = re.compile(r"\.(?:css|eot|ico|map|min\.js|otf|partial|pyc|svg|tmp|ttf|woff2?)$", re.IGNORECASE)
"""Assets of web pages and programs; they are skipped without a warning."""

_NO_PROSE = ("code", "csv", "json", "jsonl", "mail", "msg", "ods", "xls", "xlsb", "xlsx", "xml")
"""Formats in which a number at the start of a line is never an article of a rule book."""

READERS = {
    "code": "text.source_code:read_code",
    "csv": "text.delimited:read_csv",
    "docx": "office.docx:read_docx",
    "epub": "web.epub:read_epub",
    "html": "web.html:read_html",
    "json": "text.json_records:read_json",
    "jsonl": "text.json_records:read_jsonl",
    "mail": "web.mail:read_mail",
    "markdown": "web.markdown:read_markdown",
    "msg": "web.outlook:read_outlook",
    **dict.fromkeys(["ods", "xls", "xlsb"], "office.calamine:read_calamine"),
    "odt": "office.odt:read_odt",
    "pdf": "pdf.pdf:read_pdf",
    "picture": "images.pictures:read_picture",
    "plain": "text.plain:read_plain",
    "pptx": "office.pptx:read_pptx",
    "xlsx": "office.xlsx:read_xlsx",
    "xml": "web.xml:read_xml",
}
"""Format to its module and function; the module is imported when the first file of the format is read."""
CONVERTED = {"doc": "docx", "rtf": "docx", "odp": "pptx", "ppt": "pptx"}
"""Format to the format that LibreOffice converts it to first."""
_WITH_PROGRESS = ("docx", "epub", "pdf", "picture", "pptx")
"""Formats whose readers report progress, because they may run OCR."""

__all__ = ["NOT_DOCUMENTS", "Block", "Extracted", "read_document", "why_not_read"]


def why_not_read(name: str, size: int) -> str:
    """Why a file is refused unopened, as the end of a sentence that starts with its name; empty if accepted."""
    return f"is larger than {MAX_FILE_BYTES // 1_000_000} MB; split it" if size > MAX_FILE_BYTES else ""


def read_document(name: str, data: bytes, progress: PageProgress = no_progress) -> Extracted:
    """Detect the format of a file from its content and name, and read it.

    ``progress`` is called with the current page and the number of pages. Raises :class:`IndexingError`, whose message
    continues a sentence that starts with the file's name: "is a damaged PDF".
    """
    chosen = format_of(name, data)
    try:
        document = _read(chosen, data, progress)
    except RecursionError:
        raise IndexingError("is nested too deeply; save it in a simpler form") from None
    if len(document.text) > MAX_CHARACTERS:
        raise IndexingError(TOO_MUCH_TEXT)
    if not document.blocks and not document.warning:
        return Extracted(document.text, [], "contains no text", chosen)
    if chosen not in _NO_PROSE:
        document = articles_apart(document)
    return replace(document, format=chosen)


def _read(chosen: str, data: bytes, progress: PageProgress) -> Extracted:
    if target := CONVERTED.get(chosen):
        from indexes.readers.office.libreoffice import converted

        data, chosen = converted(data, f".{chosen}", target), target
    module, function = READERS[chosen].split(":")
    reader = getattr(import_module(f"indexes.readers.{module}"), function)
    document: Extracted = reader(data, progress) if chosen in _WITH_PROGRESS else reader(data)
    return document
