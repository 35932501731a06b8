"""Bytes to text: UTF-8 and UTF-16 are certain, everything else is a guess that prefers Chinese."""

import codecs
import re

from indexes.errors import IndexingError

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_CANDIDATES = ["gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1252", "cp1251", "koi8_r"]
_FREQUENT = {"gb18030": (b"\xb0\xa1", b"\xd7\xf9"), "big5": (b"\xa4\x40", b"\xc6\x7e")}
"""Both standards put the characters of everyday use first: GB 2312 level 1 (3,755) and Big5 level 1 (5,401)."""


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of a file, with ``\\n`` line ends; ``declared`` is the encoding that the file itself names, if any.

    Raises :class:`IndexingError` for data that is not text.
    """
    text = _decode(data, declared).replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise IndexingError("holds binary data, not text")
    return text


def _decode(data: bytes, declared: str | None) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return _strictly(data, encoding) or data.decode(encoding, errors="replace")
    if b"\0" in data[:4096]:  # ASCII letters in UTF-16 are every second byte zero
        even, odd = data[0:4096:2].count(0), data[1:4096:2].count(0)
        wide = _strictly(data, "utf-16-le" if odd > even else "utf-16-be")
        if wide is None or max(even, odd) < 8 * min(even, odd):
            raise IndexingError("holds binary data, not text")
        return wide
    for likely in ("utf-8", _superset(declared)):
        if likely and (text := _strictly(data, likely)) is not None:
            return text
    return _damaged_utf8(data) or _guess(data)


def _superset(declared: str | None) -> str | None:
    """Files that call themselves GB2312 or GBK often hold characters of GB18030, which contains both."""
    return "gb18030" if declared and declared.lower() in {"gb2312", "gbk", "gb_2312-80", "x-gbk"} else declared


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
        text.encode()  # some codecs let through half a character
    except (UnicodeError, LookupError):
        return None
    return text


def _damaged_utf8(data: bytes) -> str | None:
    """UTF-8 with a few broken bytes, such as a file cut short, must not pass for Chinese of another encoding."""
    text = data.decode("utf-8", errors="replace")
    sound = len(re.findall(r"[^\x00-\x7f\ufffd]", text))
    return text if sound > 20 * text.count("\ufffd") else None


def _guess(data: bytes) -> str:
    """charset-normalizer knows long texts well; in short ones it takes GBK for Korean, so there Chinese comes first."""
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=_CANDIDATES).best()
    encoding = best.encoding if best else None
    short = len(re.findall(rb"[\x80-\xff]", data)) < 200
    if encoding is None or short:
        likeness = {name: _chinese_likeness(data, name) for name in _FREQUENT}
        name = max(likeness, key=lambda candidate: likeness[candidate])
        if likeness[name] >= 0.9:
            encoding = name
    text = _strictly(data, encoding) if encoding else None
    if text is None:
        raise IndexingError("is in an encoding that was not recognised; save it as UTF-8")
    return text


def _chinese_likeness(data: bytes, encoding: str) -> float:
    """Share of characters in frequent use among those outside ASCII and punctuation, when read as ``encoding``."""
    text = _strictly(data, encoding)
    letters = [character for character in (text or "") if character > "\x7f" and character.isalnum()][:4000]
    low, high = _FREQUENT[encoding]
    return sum(low <= character.encode(encoding) <= high for character in letters) / len(letters) if letters else 0.0
