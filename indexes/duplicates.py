"""Finds passages with the same text, so that search keeps only one of them.

One different word may be the answer ("80 degrees" and "90 degrees", "nitrate" and "nitrite"), and so may a sign ("-20",
"x <= 5", "第二、十条", a comma) or a capital ("5 mW" and "5 MW", "polish" and "Polish"). Therefore only these
differences are ignored: white space and line wrapping, full-width signs, curly quotation marks, the capital at the
start of a sentence, text all in capitals, and the final full stop. Passages with different wording are all kept; a
search can prefer passages that differ from each other (``diversity``).
"""

import hashlib
import re
import unicodedata

from indexes.language import CJK

_SET_OTHERWISE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | str.maketrans("“”„‘’", '"""\'\'')
"""Maps full-width signs and letters, and quotation marks, to ASCII."""
_SPACE = re.compile(r"\s+")
_NUMERAL = r"\d〇零一二两三四五六七八九十百千万亿兩萬億"
_BESIDE_CJK = rf"(?:(?<=[{CJK}]) | (?=[{CJK}]))"
_CJK_SPACE = re.compile(rf"(?<![{_NUMERAL}]){_BESIDE_CJK}|{_BESIDE_CJK}(?![{_NUMERAL}])")
"""Spaces next to Chinese characters come from wrapped lines and are removed; but "三 十五" is two numbers."""
_WORD = re.compile(r"(?<!\w)(?<!\d )[^\W\d_]{2,}(?!\w)")
"""A word of letters only, which is not a unit after a number."""
_FIRST_WORD = re.compile(r"(?:^|(?<=[.!?] ))[^\W\d_]{2,}(?=[ ,']|$)")
_FULL_STOP = re.compile(r"(?<=[^\W\d_])[.。]$")
_SENTENCE = 5
"""Minimum number of words for text in capitals to be lower-cased; a shorter text may be a name: "WHO"."""


def saying_of(headings: str, text: str) -> bytes:
    """A hash of 16 bytes, equal for passages with the same text under the same title path (as JSON)."""
    return hashlib.sha256(f"{headings}\0{folded(text)}".encode()).digest()[:16]


def folded(text: str) -> str:
    """The normalised text, equal for all passages that count as the same."""
    plain = unicodedata.normalize("NFC", text).translate(_SET_OTHERWISE)
    plain = _CJK_SPACE.sub("", _SPACE.sub(" ", plain)).strip()
    words = _WORD.findall(plain)
    if len(words) >= _SENTENCE and all(word.isupper() for word in words):
        plain = _WORD.sub(lambda word: word[0].lower(), plain)
    return _FULL_STOP.sub("", _FIRST_WORD.sub(_without_capital, plain))


def _without_capital(word: re.Match[str]) -> str:
    return word[0].lower() if word[0] == word[0].capitalize() else word[0]
