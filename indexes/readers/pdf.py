"""PDF: the text layer page by page, by pypdf. Pages without one are scans and are said to be, never guessed at."""

import io
import re
import struct
import zlib
from typing import Any

import pypdf
from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError
from pypdf.generic import TextStringObject

from indexes.errors import IndexingError
from indexes.language import CJK
from indexes.readers.document import Extracted, TextBuilder

# "Please note that broken PDF files might cause other Exceptions" (pypdf/errors.py): these are the ones seen.
_BROKEN: tuple[type[Exception], ...] = (
    *(PyPdfError, ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, OSError),
    *(RecursionError, TypeError, ValueError, struct.error, zlib.error),
)

_SENTENCE_END = re.compile(r"[.!?:。！？：…][\"'”’」』）)\]]*$")
_NOT_TEXT = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f]|\\(cid:\\d+\\)")


def read_pdf(data: bytes) -> Extracted:
    """Blocks are paragraphs, each on its page; lines broken by the layout are joined again."""
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        pages = [(_text(page), len(page.images)) for page in reader.pages]
    except FileNotDecryptedError:
        raise IndexingError("is protected by a password; save a copy without one") from None
    except DependencyError:
        raise IndexingError("is encrypted in a way that pypdf cannot read; save a copy without a password") from None
    except _BROKEN as error:
        raise IndexingError(f"is a damaged PDF ({type(error).__name__}: {error})") from None
    builder = TextBuilder()
    unreadable: list[int] = []
    for number, (text, images) in enumerate(pages, start=1):
        if _is_noise(text) or (images and not text.strip()):
            unreadable.append(number)
            continue
        for paragraph in _paragraphs(text):
            builder.add_block([paragraph], page=number)
    if not builder.blocks:
        raise IndexingError(f"has no readable text on its {len(pages)} pages (a scan?); run OCR on it first")
    if unreadable:
        return builder.extracted(f"has no readable text on page {_ranges(unreadable)} (a scan?)")
    return builder.extracted()


def _text(page: pypdf.PageObject) -> str:
    """The page's text, with the spaces that pypdf misses.

    TeX draws no spaces, it moves the pen; in fonts without a space glyph pypdf takes the gap for kerning and glues
    the words (https://github.com/py-pdf/pypdf/issues/3978). Such a page is read again with a space in every gap.
    """
    text = page.extract_text()
    words = re.findall("[A-Za-z]+", text)
    if sum(map(len, words)) > 9 * len(words):
        text = page.extract_text(visitor_operand_before=_space_in_gaps)
    # A font's table may give a character beyond U+FFFF as two halves, or half of one: join them, replace what is left.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _space_in_gaps(operator: bytes, operands: list[Any], *_matrices: Any) -> None:
    """In a line of glyphs and pen movements (TJ), a move of more than 0.18 em to the right is a space."""
    if operator == b"TJ" and operands and isinstance(operands[0], list):
        for position, item in enumerate(operands[0]):
            if isinstance(item, int | float) and item < -180:
                operands[0][position] = TextStringObject(" ")


def _paragraphs(page: str) -> list[str]:
    """Join lines until one is empty, or ends a sentence well before the right margin."""
    lines = [line.strip() for line in page.replace("\0", "").splitlines()]
    margin = 0.75 * max((len(line) for line in lines), default=0)
    paragraphs: list[str] = []
    paragraph = ""
    for line in lines:
        paragraph = _joined(paragraph, line) if line else paragraph
        if paragraph and (not line or (len(line) < margin and _SENTENCE_END.search(line))):
            paragraphs.append(paragraph)
            paragraph = ""
    return [*paragraphs, paragraph] if paragraph else paragraphs


def _joined(text: str, line: str) -> str:
    """Undo one line break: none between Chinese characters, a hyphenated word becomes whole, else a space."""
    if re.search(r"[a-z]-$", text) and re.match(r"[a-z]", line):
        return text[:-1] + line
    if not text or (re.search(f"[{CJK}，。、；：！？”）」』]$", text) and re.match(f"[{CJK}（“「『]", line)):
        return text + line
    return f"{text} {line}"


def _is_noise(text: str) -> bool:
    """More than a tenth of the characters are no characters: a font without a table of what its glyphs mean."""
    return 10 * sum(len(match) for match in _NOT_TEXT.findall(text)) > len(text)


def _ranges(numbers: list[int]) -> str:
    """``[1, 2, 3, 7]`` as ``"1-3, 7"``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
