"""Lines of a layout to paragraphs: what PDFs and scans have in common."""

import re

from indexes.language import CJK

_SENTENCE_END = re.compile(r"[.!?:。！？：…][\"'”’」』）)\]]*$")
_CJK_BEFORE = re.compile(f"[{CJK}，。、；：！？”）」』》]$")
_CJK_AFTER = re.compile(f"[{CJK}（“「『《]")


def paragraphs(lines: list[str]) -> list[str]:
    """Join lines until one is empty, or ends a sentence well before the right margin."""
    margin = 0.75 * max((len(line) for line in lines), default=0)
    found: list[str] = []
    paragraph = ""
    for line in lines:
        paragraph = joined(paragraph, line) if line else paragraph
        if paragraph and (not line or (len(line) < margin and _SENTENCE_END.search(line))):
            found.append(paragraph)
            paragraph = ""
    return [*found, paragraph] if paragraph else found


def joined(text: str, line: str) -> str:
    """Undo one line break: none between Chinese characters, a hyphenated word becomes whole, else a space."""
    if re.search(r"[a-z]-$", text) and re.match(r"[a-z]", line):
        return text[:-1] + line
    if not text or (_CJK_BEFORE.search(text) and _CJK_AFTER.match(line)):
        return text + line
    return f"{text} {line}"
