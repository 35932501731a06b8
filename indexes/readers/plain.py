"""Plain text: paragraphs between empty lines, no headings."""

import re

from indexes.readers.document import Block, Extracted
from indexes.readers.encodings import decode

_PARAGRAPH = re.compile(r"\S[^\n]*(?:\n[ \t\u3000]*\S[^\n]*)*")


def read_plain(data: bytes) -> Extracted:
    """The file's text as it is; a paragraph is a run of lines that are not empty."""
    text = decode(data)
    return Extracted(text, [Block(*match.span()) for match in _PARAGRAPH.finditer(text)])
