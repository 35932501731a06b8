"""Passages that say the same are kept once: the same characters, however they are set.

A word that differs may be the answer ("80 degrees" and "90 degrees", "nitrate" and "nitrite"), and so may a sign
("-20", "x <= 5", "第二、十条", a comma) and a capital ("5 mW" and "5 MW", "polish" and "Polish"). So nothing counts as
the same but what certainly is: other white space and wrapping, full-width signs, curled quotation marks, the capital at
the beginning of a sentence, a text all in capitals, and the full stop at the end. What differs in wording is kept; a
search can prefer passages that are unlike each other (``diversity``).
"""

import hashlib
import re
import unicodedata

from indexes.language import CJK

_SET_OTHERWISE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | str.maketrans("“”„‘’", '"""\'\'')
"""Full-width signs and letters, and quotation marks, to the ASCII ones."""
_SPACE = re.compile(r"\s+")
_NUMERAL = r"\d〇零一二两三四五六七八九十百千万亿兩萬億"
_BESIDE_CJK = rf"(?:(?<=[{CJK}]) | (?=[{CJK}]))"
_CJK_SPACE = re.compile(rf"(?<![{_NUMERAL}]){_BESIDE_CJK}|{_BESIDE_CJK}(?![{_NUMERAL}])")
"""Scripts without spaces have them where a line was wrapped; but "三 十五" are two numbers."""
_WORD = re.compile(r"(?<!\w)(?<!\d )[^\W\d_]{2,}(?!\w)")
"""Of letters alone, and no unit after a number."""
_FIRST_WORD = re.compile(r"(?:^|(?<=[.!?] ))[^\W\d_]{2,}(?=[ ,']|$)")
_FULL_STOP = re.compile(r"(?<=[^\W\d_])[.。]$")
_SENTENCE = 5
"""A text of fewer words in capitals may be a name: "WHO"."""


def saying_of(headings: str, text: str) -> bytes:
    """Equal for passages that say the same under the same title path (as JSON), 16 bytes."""
    return hashlib.sha256(f"{headings}\0{folded(text)}".encode()).digest()[:16]


def folded(text: str) -> str:
    """A text as all that say the same are written."""
    plain = unicodedata.normalize("NFC", text).translate(_SET_OTHERWISE)
    plain = _CJK_SPACE.sub("", _SPACE.sub(" ", plain)).strip()
    words = _WORD.findall(plain)
    if len(words) >= _SENTENCE and all(word.isupper() for word in words):
        plain = _WORD.sub(lambda word: word[0].lower(), plain)
    return _FULL_STOP.sub("", _FIRST_WORD.sub(_without_capital, plain))


def _without_capital(word: re.Match[str]) -> str:
    return word[0].lower() if word[0] == word[0].capitalize() else word[0]
