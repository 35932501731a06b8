"""One form for texts that differ only in how they are encoded, before they are divided into words."""

import re
import unicodedata

from indexes.language import CJK

WORD = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_WRAPPED_CJK = re.compile(rf"(?<=[{CJK}])[ \t]*\n[ \t\u3000]*(?=[{CJK}])")
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
"""Soft hyphens, spaces without width and marks of direction: they stand within words that they do not change."""


def normalised(text: str) -> str:
    """One form for each character (NFKC), lower case, nothing invisible, wrapped lines of Chinese joined."""
    return _WRAPPED_CJK.sub("", INVISIBLE.sub("", unicodedata.normalize("NFKC", text))).lower()


def as_one_word(entry: str) -> str:
    """``"c++"`` becomes ``"cx2bx2b"``: full text knows letters and digits only."""
    return "".join(one if one.isalnum() else f"x{ord(one):x}" for one in entry.replace(" ", ""))
