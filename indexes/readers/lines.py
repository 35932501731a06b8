"""Lines of a layout to paragraphs: what PDFs and scans have in common."""

import re
from enum import Enum, auto

from indexes.language import CJK

SENTENCE_END = re.compile(r"[.!?:。！？：…][\"'”’」』）)\]]*$")
_CJK_BEFORE = re.compile(f"[{CJK}，。、；：！？”）」』》]$")
_CJK_AFTER = re.compile(f"[{CJK}（“「『《]")


class After(Enum):
    """What follows a line."""

    UNKNOWN = auto()
    MORE = auto()
    """The next line of its paragraph."""
    LINE = auto()
    """A line of its own in the same block: the next row of a table, the next item of a list."""
    PARAGRAPH = auto()


def paragraphs(lines: list[str], after: list[After]) -> list[list[str]]:
    """Join lines; the lines of a paragraph become one, a table or a list keeps its own.

    Where it is not known what follows a line, a paragraph ends that ends a sentence well before the right margin.
    """
    margin = 0.75 * max((len(line) for line in lines), default=0)
    found: list[list[str]] = []
    paragraph: list[str] = []
    for line, following in zip(lines, after, strict=True):
        if line:
            paragraph = [*paragraph[:-1], joined(paragraph[-1], line)] if paragraph else [line]
        if following is After.UNKNOWN and len(line) < margin and SENTENCE_END.search(line):
            following = After.PARAGRAPH
        if paragraph and (not line or following is After.PARAGRAPH):
            found.append(paragraph)
            paragraph = []
        elif paragraph and following is After.LINE:
            paragraph.append("")
    rest = [line for line in paragraph if line]
    return [*found, rest] if rest else found


def joined(text: str, line: str) -> str:
    """Undo one line break: none between Chinese characters, a hyphenated word becomes whole, else a space."""
    if is_divided(text, line):
        return text[:-1] + line
    if not text or (_CJK_BEFORE.search(text) and _CJK_AFTER.match(line)):
        return text + line
    return f"{text} {line}"


def is_divided(text: str, line: str) -> bool:
    """Whether a word is divided between two lines."""
    return re.search(r"[a-z]-$", text) is not None and re.match(r"[a-z]", line) is not None
