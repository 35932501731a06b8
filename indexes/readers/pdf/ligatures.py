"""Restore ligatures that a PDF font draws as one glyph without saying which letters it stands for.

pdfium then returns the code of the glyph: a control character ("de\\x0cnition" in a font of TeX) or an unrelated letter
("acƟon" in Calibri as Word embeds it). A glyph means the same letters everywhere, so all words of the document in which
it occurs decide together: the ligature that makes the most of them known words wins.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

_LIGATURES = ("fi", "ti", "ff", "fl", "tt", "ffi", "ffl", "ft", "tf", "tti", "fj", "fti")
_FIRST_CODE = 0xE000
"""Control characters are moved here, to the private use area, before the text is split at line breaks."""
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")
_GLYPH = re.compile("[\ue001-\ue09f\ufffd\u0180-\u024f\u014c\u014d]")
_WORD = re.compile(f"[A-Za-z]*(?:{_GLYPH.pattern}[A-Za-z]*)+")
_MOVED = re.compile("[\ue001-\ue09f]")
_LETTERS_FEWEST = 2
"""Minimum known words before a letter, which may be meant, is replaced; a control character is never meant. Chosen."""

_COMMON_WORDS = """
action active activities activity affect affluent afford after afterwards article artificial attack attempt
attention attitude attribute automatic baffle battery beautiful benefit better betting bottle bottom butter
butterfly certificate certified classification classified coffee committee conditions configuration confirm conflict
continue cottage cotton craft creation critical cutter cutting declaration deficit define defined definition
deflection difference different difficult direction draft drafts drift duration education effect effective
efficiency efficient effluent effort election entire entirely estimate fifteen fifteenth fifth fifty figure file
files fill filled film filter final finally finance find fine finger finish fire firm first fiscal fish fit fitted
fitting five fix fixed fjord flag flat flexible flight float flood floor flour flow flower fluid fly function
functions getting gift gutter halftime hitting identified identifier identify identity infinite inflation influence
information installation instruction justified kitten left letter lettuce lift lifted little location matter
mattress medication motion muffle multiple mutton nation national native notice notification notified nutrition off
offer offered office officer official offline offset often operation option options outfit patient pattern platform
political portfolio position practice production profile profit protection qualified quantities quantity question
questions raffle ration reflect relation relative ruffle sacrifice satisfied satisfy scaffold section selection
setting settings settlement shaft shift shortfall shuffle shuttle significant sitting snuffle soft software solution
specific specifically specification specified splitting spotted staff station stiff still submitted sufficient
suffix swift tariff tattoo testing theft thrift tick ticket tie time times tip title traffic unification unified
until utilities utility verification verified waffle waiting workflow writing written
"""
"""Frequent English words that contain a ligature. Chosen."""
_KNOWN = frozenset(_COMMON_WORDS.split())
_STEMS = tuple(word.removesuffix("e") for word in _KNOWN if len(word) > 4)


def without_controls(text: str) -> str:
    """Text in which control characters, which are glyphs without a map, cannot be mistaken for line breaks."""
    return _CONTROL.sub(lambda match: chr(_FIRST_CODE + ord(match[0])), text)


def ligatures_in(lines: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Maps the glyphs of a document to the letters that they stand for; ``known`` are its words in lower case.

    Control characters that no ligature explains are mapped to a space; letters that none explains are absent.
    """
    words: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        for word in [] if line.isascii() else _WORD.findall(line):
            for glyph in set(_GLYPH.findall(word)):
                words[glyph].add(word)
    found: dict[str, str] = {}
    for _ in range(2):  # a word with two glyphs is known once one of them is
        for glyph in sorted(words.keys() - found.keys()):
            if letters := _ligature(glyph, [restored(word, found) for word in sorted(words[glyph])], known):
                found[glyph] = letters
    return {**{glyph: " " for glyph in words if _MOVED.match(glyph)}, **found}


def restored(text: str, ligatures: dict[str, str]) -> str:
    """The text with the letters of :func:`ligatures_in`, inside words only."""
    if text.isascii() or not ligatures:
        return text
    return _WORD.sub(lambda match: _GLYPH.sub(lambda glyph: ligatures.get(glyph[0], glyph[0]), match[0]), text)


def _ligature(glyph: str, words: list[str], known: Collection[str]) -> str:
    """The letters that a glyph stands for; empty if the words do not decide."""
    votes = {
        letters: sum(_is_known(word.replace(glyph, letters).lower(), letters, known) for word in words)
        for letters in _LIGATURES
    }
    second, best = sorted(votes, key=lambda letters: votes[letters])[-2:]
    is_letter = not _MOVED.match(glyph) and glyph != "\ufffd"
    fewest = max(_LETTERS_FEWEST, len(words) // 4) if is_letter else 1
    return best if votes[best] >= max(fewest, votes[second] + 1) else ""


def _is_known(word: str, letters: str, known: Collection[str]) -> bool:
    return word in _KNOWN or word in known or any(letters in stem and stem in word for stem in _STEMS)
