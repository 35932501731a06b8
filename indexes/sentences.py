"""Splits Chinese and English text into sentences."""

import re
from collections.abc import Iterator
from itertools import pairwise

from indexes.language import CJK

_CLOSING = "\"'”’」』）)\\]】》"
_NOTES = r"(?:\[\d{1,3}\])*+"
_SENTENCE_END = re.compile(
    rf"(?P<western>(?<![.!?…])[.!?…]++[{_CLOSING}]*+{_NOTES}\s++)|[。！？]++[{_CLOSING}]*+{_NOTES}\s*+"
    rf"|(?<![!?…])[!?…]++(?=[{CJK}“「『])|\n(?:[^\S\n]*+\n)++|\n(?=\u3000)"
)
_ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|et al|cf|vs|ca|approx|resp|esp|incl|excl|Figs?|Eqs?|Sec|Ch|Nos?|Vol|pp|Dr|Mr|Mrs|Ms|Prof|St|Mt|Ft"
    r"|Capt|Col|Gen|Gov|Hon|Lt|Maj|Rev|Sen|Sgt|[A-Z])\.\s+$"
)
_BEFORE_NUMBER = re.compile(
    r"\b(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tues?|Wed|Thur?s?|Fri|Sat|Sun|Approx|[Ff]igs?|[Nn]os?|[Pp]|[Aa]rt"
    r"|[Mm]ax|(?<!\d )[Mm]in|[Tt]el|[Ee]xt|[Ee]st|[Pp]ara|[Ss]ec|[Rr]m|[Vv]ol)\.\s+$"
)
"""Abbreviations only before a number: "Dec. 15", "no. 5"."""
_LIST_ITEM = re.compile(r"\n(?=[^\S\n]*+(?:(?:[-*•]|\d+[.)、])\s|\|))")
_LIST_NUMBER = re.compile(r"(?:^|\n)[^\S\n]*+\d{1,3}\.\s+$")


def sentence_ends(text: str, start: int, end: int) -> Iterator[int]:
    """Positions between ``start`` and ``end`` where a sentence of ``text`` ends, including the white space after it."""
    for match in _SENTENCE_END.finditer(text, start, end):
        before, after = text[max(start, match.end() - 12) : match.end()], text[match.end() : match.end() + 1]
        shortened = any(pattern.search(before) for pattern in (_ABBREVIATION, _LIST_NUMBER))
        shortened = shortened or (after.isdigit() and bool(_BEFORE_NUMBER.search(before)))
        if not match["western"] or not (shortened or after.islower()):
            yield match.end()


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, its list items and Markdown table rows, in order; joined, they are the text again."""
    items = (match.end() for match in _LIST_ITEM.finditer(text))
    borders = sorted({0, len(text), *sentence_ends(text, 0, len(text)), *items})
    return [text[first:last] for first, last in pairwise(borders)]
