"""Readers: one small function a format, from the bytes of a file to its text and blocks.

The format is chosen by what the file holds, and only then by its suffix. Nothing here knows of passages or of the
index. The libraries behind a format are loaded when the first file of it is read.
"""

import re
from dataclasses import replace

from indexes.errors import IndexingError
from indexes.readers.choosing import format_of
from indexes.readers.document import TOO_MUCH_TEXT, Block, Extracted, Progress, no_progress
from indexes.readers.limits import MAX_CHARACTERS, MAX_FILE_BYTES
from indexes.readers.numbered import articles_apart

NOT_DOCUMENTS = re.compile(r"\.(?:css|eot|ico|map|min\.js|otf|partial|pyc|svg|tmp|ttf|woff2?)$", re.IGNORECASE)
"""Names of what web pages and programs bring along; these files are passed over in silence."""

_NO_PROSE = ("code", "csv", "json", "jsonl", "mail", "msg", "ods", "xls", "xlsb", "xlsx", "xml")
"""Formats in which a number at the beginning of a line is no article of a rule book."""

__all__ = ["NOT_DOCUMENTS", "Block", "Extracted", "read_document", "why_not_read"]


def why_not_read(name: str, size: int) -> str:
    """Why a file is refused before it is opened, as the end of a sentence that begins with its name; else empty."""
    return f"is larger than {MAX_FILE_BYTES // 1_000_000} MB; divide it" if size > MAX_FILE_BYTES else ""


def read_document(name: str, data: bytes, progress: Progress = no_progress) -> Extracted:
    """Read a file by its content and name.

    ``progress`` is told of pages at work. Raises :class:`IndexingError` with the end of a sentence that begins with
    the file's name: "is a damaged PDF".
    """
    chosen = format_of(name, data)
    try:
        document = _read(chosen, data, progress)
    except RecursionError:
        raise IndexingError("is nested too deeply to be read; save it in a simpler form") from None
    if len(document.text) > MAX_CHARACTERS:
        raise IndexingError(TOO_MUCH_TEXT)
    if not document.blocks and not document.warning:
        return Extracted(document.text, [], "holds no text", chosen)
    if chosen not in _NO_PROSE:
        document = articles_apart(document)
    return replace(document, format=chosen)


def _read(chosen: str, data: bytes, progress: Progress) -> Extracted:
    match chosen:
        case "code":
            from indexes.readers.source_code import read_code

            return read_code(data)
        case "csv":
            from indexes.readers.delimited import read_csv

            return read_csv(data)
        case "doc" | "rtf":
            from indexes.readers.docx import read_docx
            from indexes.readers.libreoffice import converted

            return read_docx(converted(data, f".{chosen}", "docx"), progress)
        case "docx":
            from indexes.readers.docx import read_docx

            return read_docx(data, progress)
        case "epub":
            from indexes.readers.epub import read_epub

            return read_epub(data, progress)
        case "html":
            from indexes.readers.html import read_html

            return read_html(data)
        case "json":
            from indexes.readers.records import read_json

            return read_json(data)
        case "jsonl":
            from indexes.readers.records import read_jsonl

            return read_jsonl(data)
        case "mail":
            from indexes.readers.mail import read_mail

            return read_mail(data)
        case "markdown":
            from indexes.readers.markdown import read_markdown

            return read_markdown(data)
        case "msg":
            from indexes.readers.outlook import read_outlook

            return read_outlook(data)
        case "ods" | "xls" | "xlsb":
            from indexes.readers.calamine import read_calamine

            return read_calamine(data)
        case "odt":
            from indexes.readers.odt import read_odt

            return read_odt(data)
        case "pdf":
            from indexes.readers.pdf import read_pdf

            return read_pdf(data, progress)
        case "picture":
            from indexes.readers.pictures import read_picture

            return read_picture(data, progress)
        case "odp" | "ppt":
            from indexes.readers.libreoffice import converted
            from indexes.readers.pptx import read_pptx

            return read_pptx(converted(data, f".{chosen}", "pptx"), progress)
        case "pptx":
            from indexes.readers.pptx import read_pptx

            return read_pptx(data, progress)
        case "xlsx":
            from indexes.readers.xlsx import read_xlsx

            return read_xlsx(data)
        case "xml":
            from indexes.readers.xml import read_xml

            return read_xml(data)
        case _:
            from indexes.readers.plain import read_plain

            return read_plain(data)
