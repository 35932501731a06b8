"""Detects garbled text, so that it is reported and not indexed."""

import re
from dataclasses import replace

from indexes.errors import IndexingError
from indexes.readers import Extracted

_NOT_TEXT = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]|锟斤拷|烫烫烫|\\(cid:\\d+\\)")
_AS_BYTES = {ord(char): char.encode("cp1252")[0] for char in bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")}
"""The characters that Windows-1252 has for bytes that are control characters in Latin-1."""
_ON = "[\u0080-\u00bf" + "".join(map(chr, _AS_BYTES)) + "]"
_MISREAD = re.compile(f"[\u00c2-\u00df]{_ON}|[\u00e0-\u00ef]{_ON}{{2}}|[\u00f0-\u00f4]{_ON}{{3}}")
r"""A UTF-8 character decoded as Windows-1252: Ã©, â€™, ä¸\u00ad; but also the end of some quotations: é’”, ß“."""
_ENDS_A_WORD = re.compile(".[‘’“”…–—‹›«»\u00a0]+")
_MANY_MISREAD = 3
_LATIN = re.compile("[A-Za-z\u00c0-\u00ff]")
_VOWEL = re.compile(
    "[aeiouy\u00c0-\u00c6\u00c8-\u00cf\u00d2-\u00d6\u00d8-\u00dd\u00e0-\u00e6\u00e8-\u00ef\u00f2-\u00ff]", re.I
)
_WORD = re.compile(r"[^\W_]")
_CHINESE = re.compile("[\u4e00-\u9fff]")

FEWEST_LETTERS = 200
"""Minimum number of letters for letter statistics."""


def checked(document: Extracted) -> Extracted:
    """Remove garbled blocks, which adds a warning, and blocks with neither letters nor digits.

    Raises :class:`IndexingError` if nothing else is left. Letter statistics are checked only for PDFs, because only
    there does a font define the letters: a wrong table gives whole pages of substituted letters.
    """
    texts = [document.text[block.start : block.end] for block in document.blocks]
    sound = [block for block, text in zip(document.blocks, texts, strict=True) if not is_garbled(text)]
    if document.blocks and not sound:
        raise IndexingError("is garbled: most characters are invalid; save or convert it again")
    if document.format == "pdf" and is_enciphered("\n".join(texts)):
        raise IndexingError("is garbled: its fonts map to the wrong letters; print it to a new PDF")
    warnings = [document.warning] if document.warning else []
    if len(sound) < len(texts):
        warnings.append(f"{len(texts) - len(sound)} of its {len(texts)} paragraphs are garbled and were left out")
    with_words = [block for block in sound if _WORD.search(document.text, block.start, block.end)]
    if sound and not with_words:
        warnings.append("contains no text")
    return replace(document, blocks=with_words, warning="; ".join(warnings))


def is_garbled(text: str) -> bool:
    """Whether more than a tenth of the characters are private-use, control or misdecoded characters.

    Misdecoded characters count only if there are several, or if they are most of the text: a text about encodings may
    show an example.
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
    """Whether letters are substituted: hardly any vowels in Latin script, or hardly any common Chinese characters.

    In European languages a third to a half of the letters are vowels. In Chinese text, nine in ten characters are in
    the first level of GB 2312 (3,755 characters) or Big5 (5,401). The limit is half of that. If a fifth of the words
    contain digits, as in a list of parts or prices, the letters belong to codes and are not checked.
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
