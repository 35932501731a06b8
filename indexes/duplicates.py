"""Passages that say the same are kept once: the same characters, whatever their case, width, wrapping or punctuation.

One word that differs may be the answer ("80 degrees" and "90 degrees", "nitrate" and "nitrite"), and so may a sign
("-20", "x <= 5"), so nothing looser counts. What differs in wording is kept; a search can prefer passages that are
unlike each other (``diversity``).
"""

import hashlib
import re
import unicodedata

from indexes.language import CJK

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Full-width signs and letters to their ASCII ones."""
_PROSE = re.compile(rf"[,.;:，。、；：\"“”„‘’「」『』]+(?=\s|$|[{CJK}])|(?<=[{CJK}])[,.;:，。、；：\"“”„‘’「」『』]+")
_SPACE = re.compile(r"\s+")
_CJK_SPACE = re.compile(rf"(?<=[{CJK}])\s+|\s+(?=[{CJK}])")


def saying_of(headings: str, text: str) -> bytes:
    """Equal for passages that say the same under the same title path (as JSON), 16 bytes."""
    return hashlib.sha256(f"{headings}\0{folded(text)}".encode()).digest()[:16]


def folded(text: str) -> str:
    """A text without what does not change its meaning: case, width, wrapping, and the punctuation of prose."""
    plain = unicodedata.normalize("NFC", text).translate(_WIDE).casefold()
    return _CJK_SPACE.sub("", _SPACE.sub(" ", _PROSE.sub("", plain))).strip()
