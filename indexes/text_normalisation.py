"""Normalises texts that differ only in encoding, before they are split into words."""

import re
import unicodedata

from indexes.language import CJK

WORD = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_WRAPPED_CJK = re.compile(rf"(?<=[{CJK}])[ \t]*\n[ \t\u3000]*(?=[{CJK}])")
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
"""Soft hyphens, zero-width spaces and direction marks; they occur inside words without changing them."""


def normalised(text: str) -> str:
    """Apply NFKC and lower case, remove invisible characters, and join wrapped lines of Chinese."""
    return _WRAPPED_CJK.sub("", INVISIBLE.sub("", unicodedata.normalize("NFKC", text))).lower()


def as_one_word(entry: str) -> str:
    """``"c++"`` becomes ``"cx2bx2b"``, because the full-text tokenizer accepts only letters and digits."""
    return "".join(one if one.isalnum() else f"x{ord(one):x}" for one in entry.replace(" ", ""))
