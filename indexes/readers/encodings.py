"""Decode bytes to text: UTF-8 and byte order marks are certain, all else is a guess that prefers Chinese."""

import codecs
import re

from indexes.errors import IndexingError

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, because it starts with the same mark
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CANDIDATES = ["gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1252", "cp1251", "koi8_r"]
_WIDE = ["utf-16-le", "utf-16-be"]

_CHINESE = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事"
    "成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日者意无力它与长把机十民第公此已工使"
    "情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化"
    "這個們來為國說時會對於過後裡種經麼學現當沒動還進樣開從實無與長機關點業將兩間問應戰頭體見產話請數與價名稱"
)
_KANA = "".join(map(chr, [*range(0x3041, 0x3097), *range(0x30A1, 0x30FB), 0x30FC]))
_KOREAN = "이다는의에을를가고하은한지로도사기리대어자시인서나아그해니정과수있들으전일보제부게스만여습라장안것까"
_WESTERN = "éèêëàâäáãåæçíìîïñóòôöõøœúùûüßÉÈÀÄÖÜÇÑ¿¡“”‘’–—…«»°€£©®·"
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфё"
_FREQUENT = {
    "gb18030": frozenset(_CHINESE),
    "big5": frozenset(_CHINESE),
    "cp932": frozenset(_CHINESE + _KANA),
    "euc_jp": frozenset(_CHINESE + _KANA),
    "cp949": frozenset(_KOREAN),
    "cp1252": frozenset(_WESTERN),
    "cp1251": frozenset(_RUSSIAN),
    "koi8_r": frozenset(_RUSSIAN),
    **dict.fromkeys(_WIDE, frozenset(_CHINESE + _KANA + _KOREAN)),
}
"""Frequent characters: a third or more of a text in that encoding, but hardly any of the same bytes in another one."""
_LEVEL_1 = {"gb18030": (b"\xb0\xa1", b"\xd7\xf9"), "big5": (b"\xa4\x40", b"\xc6\x7e")}
"""Both standards put everyday characters first: GB 2312 level 1 (3,755) and Big5 level 1 (5,401)."""
_ORDINARY = re.compile(
    "[\t\n\r -~\u00a0-\u017f\u2010-\u2026\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e\u0400-\u045f]"
)
_ENOUGH = {"cp1251": 8, "koi8_r": 8}
"""Minimum number of different frequent characters that counts as evidence: any bytes hit some of 33 letters."""
_SAMPLE_BYTES = 200_000
_LOOKED_AT = 4000
_CONTROL = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]")


def decode(data: bytes, declared: str | None = None) -> str:
    """Decode a file to text with ``\\n`` line ends; ``declared`` is the encoding that the file itself declares, if any.

    Raises :class:`IndexingError` for data that is not text.
    """
    text = _decode(data, declared).replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text or 20 * len(_CONTROL.findall(text[:100_000])) > len(text[:100_000]):
        raise IndexingError("contains binary data, not text; remove it, or save it as text")
    return text


def _decode(data: bytes, declared: str | None) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return _strictly(data, encoding) or data.decode(encoding, errors="replace")
    if b"\0" in data[:4096]:
        return _wide(data)
    for likely in ("utf-8", superset(declared)):
        if likely and (text := _strictly(data, likely)) is not None:
            return text
    return _damaged_utf8(data) or _guess(data)


def superset(declared: str | None) -> str | None:
    """GB18030 for GB2312 and GBK: files that declare these often hold characters of GB18030, which contains both."""
    return "gb18030" if declared and declared.lower() in {"gb2312", "gbk", "gb_2312-80", "x-gbk"} else declared


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
        text.encode()  # some codecs accept lone surrogates
    except (UnicodeError, LookupError):
        return None
    return text


def _wide(data: bytes) -> str:
    """Decode UTF-16 without a byte order mark.

    In ASCII text every second byte is zero; in CJK text frequent characters occur. A few zeros in another text, such as
    padding, are not UTF-16.
    """
    best, most = "", 0.9
    for encoding, first in zip(_WIDE, (1, 0), strict=True):
        zeros = data[:_SAMPLE_BYTES].count(0)
        in_place = data[first:_SAMPLE_BYTES:2].count(0)
        text = (_strictly(data, encoding) or "") if in_place >= 0.98 * zeros else ""
        ordinary = len(_ORDINARY.findall(text))
        letters = re.findall(r"[^\x00-\x7f\u3000-\u303f]", text[:_LOOKED_AT])
        frequent = sum(letter in _FREQUENT[encoding] for letter in letters)
        is_wide = 3 * zeros > len(data[:_SAMPLE_BYTES]) or 5 * frequent > len(letters)
        if text and is_wide and "\0" not in text and ordinary / len(text) > most:
            best, most = text, ordinary / len(text)
    if not best:
        raise IndexingError("contains binary data, not text; remove it, or save it as text")
    return best


def _damaged_utf8(data: bytes) -> str | None:
    """Decode UTF-8 with a few broken bytes, such as a truncated file, which must not be taken for Chinese."""
    text = data.decode("utf-8", errors="replace")
    sound = len(re.findall(r"[^\x00-\x7f\ufffd]", text))
    return text if sound > 20 * text.count("\ufffd") else None


def _guess(data: bytes) -> str:
    """Guess the encoding by its most frequent characters.

    Without enough of them, it is Chinese if that is possible, and otherwise what charset-normalizer detects.
    charset-normalizer is reliable for long texts, but takes short GBK texts for Korean.
    """
    sample = _sample(data)
    letters = {encoding: _letters(sample, encoding) for encoding in _FREQUENT}
    familiarity = {encoding: _familiarity(sample, letters[encoding], encoding) for encoding in _FREQUENT}
    encoding: str | None = max(_FREQUENT, key=lambda candidate: familiarity[candidate])
    assert encoding
    hits = len(_FREQUENT[encoding].intersection(letters[encoding]))
    if familiarity[encoding] < 0.12 or hits < _ENOUGH.get(encoding, 3):
        likeness = {name: _chinese_likeness(letters[name], name) for name in _LEVEL_1}
        chinese = max(likeness, key=lambda candidate: likeness[candidate])
        if likeness[chinese] >= 0.9:
            encoding = chinese
        elif _stand_alone(sample):
            encoding = "cp1252"
        elif familiarity[encoding] < 0.12:
            encoding = _by_statistics(sample)
    if encoding and (text := _strictly(data, encoding)) is not None:
        return text
    text = data.decode(encoding, errors="replace") if encoding and len(sample) < len(data) else ""
    if text and 1000 * text.count("\ufffd") < len(text):  # a long file with a few broken bytes
        return text
    is_text = 20 * len(re.findall(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", data)) < len(data)
    raise IndexingError(
        "has an unknown encoding; save it as UTF-8"
        if is_text
        else "contains binary data, not text; remove it, or save it as text"
    )


def _stand_alone(sample: bytes) -> bool:
    """Whether most non-ASCII bytes occur singly between ASCII letters, as accents do and Cyrillic letters do not."""
    alone = len(re.findall(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])", sample))
    return alone > 0.8 * len(re.findall(rb"[\x80-\xff]", sample))


def _sample(data: bytes) -> bytes:
    """The start of a file; for a long file, from the first non-ASCII character if that comes later."""
    first = re.search(rb"[\x80-\xff]", data)
    start = first.start() if first and first.start() > _SAMPLE_BYTES else 0
    return data[start : start + _SAMPLE_BYTES]


def _by_statistics(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=_CANDIDATES).best()
    return best.encoding if best else None


def _letters(sample: bytes, encoding: str) -> list[str]:
    """The first non-ASCII characters without East Asian punctuation; empty if the encoding does not fit.

    The last character may be truncated.
    """
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample, final=len(sample) < _SAMPLE_BYTES)
        text.encode()
    except UnicodeError:
        return []
    return re.findall(r"[^\x00-\x7f\u3000-\u303f]", text)[:_LOOKED_AT]


def _familiarity(sample: bytes, letters: list[str], encoding: str) -> float:
    """Share of the encoding's frequent characters in the decoded letters."""
    share = sum(letter in _FREQUENT[encoding] for letter in letters) / len(letters) if letters else 0.0
    if encoding == "cp1252" and share:  # accents occur singly between ASCII letters; pairs are halves of characters
        alone = len(re.findall(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])", sample))
        share *= alone / len(re.findall(rb"[\x80-\xff]", sample))
    if encoding in _ENOUGH:  # nearly all Russian letters are frequent, but up to half of the bytes of Chinese cells
        share *= share
    # Single-byte encodings have few letters, so that any bytes hit many of them.
    return share / 2 if encoding in ("cp1252", "cp1251", "koi8_r") else share


def _chinese_likeness(letters: list[str], encoding: str) -> float:
    """Share of everyday Chinese characters in the decoded letters."""
    letters = [letter for letter in letters if letter.isalnum()]
    low, high = _LEVEL_1[encoding]
    return sum(low <= letter.encode(encoding) <= high for letter in letters) / len(letters) if letters else 0.0
