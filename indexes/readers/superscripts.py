"""Raised numbers as plain text, for all formats: a power, or the mark of a note.

``10`` and a raised ``6`` are ``10^6``, a raised ``2`` after ``m`` is ``m²``, after a word or sentence it is ``[2]``.
"""

import re

AFTER_DIGIT = re.compile(r"[\d)\]}）］]$")
AFTER_UNIT = re.compile(r"(?<![A-Za-z\u00c0-\u00ff])[A-Za-z\u00b5\u0370-\u03ff]{1,2}$")
_AFTER_TEXT = re.compile(r"[\w.,;:!?。，；：！？、\"'’”」』》]$")
SQUARE_AND_CUBE = {"2": "²", "3": "³"}


def marked(number: str, before: str) -> str:
    """A raised number, which may have a sign, as it is written after the text ``before``."""
    if AFTER_UNIT.search(before):
        return SQUARE_AND_CUBE.get(number, f"^{number}")
    if AFTER_DIGIT.search(before) or not number.isdigit():
        return f"^{number}"
    return f"[{number}]" if _AFTER_TEXT.search(before) else number
