"""Text that is no text is found at the door: it is said, and not indexed as noise."""

import re
from dataclasses import replace

from indexes.errors import IndexingError
from indexes.readers import Extracted

_NOT_TEXT = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]|锟斤拷|烫烫烫|\\(cid:\\d+\\)")
_AS_BYTES = {ord(char): char.encode("cp1252")[0] for char in bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")}
"""What Windows-1252 shows for bytes that are control characters in Latin-1."""
_ON = "[\u0080-\u00bf" + "".join(map(chr, _AS_BYTES)) + "]"
_MISREAD = re.compile(f"[\u00c2-\u00df]{_ON}|[\u00e0-\u00ef]{_ON}{{2}}|[\u00f0-\u00f4]{_ON}{{3}}")
"""A character of UTF-8 read as Windows-1252: Ã©, â€™, ä¸\u00ad; but also what ends many a quotation: é’”, ß“."""
_ENDS_A_WORD = re.compile(".[‘’“”…–—‹›«»\u00a0]+")
_MANY_MISREAD = 3
_LATIN = re.compile("[A-Za-z\u00c0-\u00ff]")
_VOWEL = re.compile(
    "[aeiouy\u00c0-\u00c6\u00c8-\u00cf\u00d2-\u00d6\u00d8-\u00dd\u00e0-\u00e6\u00e8-\u00ef\u00f2-\u00ff]", re.I
)
_WORD = re.compile(r"[^\W_]")
_CHINESE = re.compile("[\u4e00-\u9fff]")

FEWEST_LETTERS = 200
"""Of fewer letters nothing is said by counting them."""


def checked(document: Extracted) -> Extracted:
    """The document without blocks that are garbled, which its warning then tells, or hold neither letter nor digit.

    Raises :class:`IndexingError` where nothing else is left. Letters are only counted where a font says what they are:
    in a PDF. There a wrong table gives whole pages of letters that stand for others.
    """
    texts = [document.text[block.start : block.end] for block in document.blocks]
    sound = [block for block, text in zip(document.blocks, texts, strict=True) if not is_garbled(text)]
    if document.blocks and not sound:
        raise IndexingError("is garbled: its characters stand for none; save or convert it anew")
    if document.format == "pdf" and is_enciphered("\n".join(texts)):
        raise IndexingError("is garbled: its fonts tell wrongly which letters they show; print it to a new PDF")
    warnings = [document.warning] if document.warning else []
    if len(sound) < len(texts):
        warnings.append(f"{len(texts) - len(sound)} of its {len(texts)} paragraphs are garbled and were left out")
    with_words = [block for block in sound if _WORD.search(document.text, block.start, block.end)]
    if sound and not with_words:
        warnings.append("holds no text")
    return replace(document, blocks=with_words, warning="; ".join(warnings))


def is_garbled(text: str) -> bool:
    """Whether more than a tenth of the characters stand for none: private ones, control characters, misread bytes.

    Misread bytes must be several, or most of a text: one that speaks of them shows an example.
    """
    noise = sum(map(len, _NOT_TEXT.findall(text)))
    misread = [match for match in _MISREAD.findall(text) if _is_misread(match)]
    characters = sum(map(len, misread))
    if len(misread) >= _MANY_MISREAD or 2 * characters > len(text):
        noise += characters
    return 10 * noise > len(text)


def _is_misread(text: str) -> bool:
    if _ENDS_A_WORD.fullmatch(text):
        return False
    try:
        text.translate(_AS_BYTES).encode("latin-1").decode("utf-8")
    except UnicodeError:
        return False
    return True


def is_enciphered(text: str) -> bool:
    """Whether letters stand for other letters: hardly a vowel in Latin script, hardly a common character in Chinese.

    Of the letters of European languages a third to a half are vowels, of the characters of a Chinese text nine in ten
    are among the 3,755 of GB 2312's or the 5,401 of Big5's first level. Half of that is taken as the limit. Where a
    fifth of the words have digits, a list of parts or prices, letters are those of codes and tell nothing.
    """
    latin, chinese = _LATIN.findall(text), _CHINESE.findall(text)
    words = text.split()
    is_of_words = 5 * sum(any(map(str.isdigit, word)) for word in words) < len(words)
    if is_of_words and len(latin) >= FEWEST_LETTERS and len(_VOWEL.findall(text)) < 0.2 * len(latin):
        return True
    return len(chinese) >= FEWEST_LETTERS and sum(map(_is_common, chinese)) < 0.45 * len(chinese)


def _is_common(character: str) -> bool:
    simplified, traditional = character.encode("gb2312", "ignore"), character.encode("big5", "ignore")
    return b"\xb0\xa1" <= simplified <= b"\xd7\xf9" or b"\xa4\x40" <= traditional <= b"\xc6\x7e"
