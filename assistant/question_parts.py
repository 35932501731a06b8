"""The parts of a question: "How hot must the water be, and how long does the tea draw?" asks two things.

A part is searched for by itself, because one vector of two topics is near to neither. Recognised by words of asking, so
a list ("tea and coffee") is one part.
"""

import re

from indexes import asked_words

MOST_PARTS = 3
LEAST_WORDS = 2
"""A part with fewer words beside those of asking ("Why?") says too little to be searched for alone. Chosen."""

_ASKS = (
    r"(?:how|what|when|where|which|who|whose|why|whether|is|are|was|were|do|does|did|can|could|may|must|should|will"
    r"|would)\b"
)
_BORDER_EN = re.compile(
    rf"[?？;；]\s*|,?\s+(?:and|but|or)(?:\s+also|\s+if\s+so,?|\s+then)?,?\s+"
    rf"(?=(?:(?:for|in|at|to|with|on|by|from)\s+)?{_ASKS})",
    re.IGNORECASE,
)
_ASKS_ZH = re.compile(
    "什么|怎么|怎样|如何|为何|哪|多少|多久|多大|多长|几[点天年次岁元倍号]|谁|是否|能不能|可不可以|要不要|有没有|会不会|是不是|吗|呢"
)
_BORDER_ZH = re.compile("[?？;；。!！]+|[，,](?:另外|还有|以及|并且|而且|同时|那么?|又)?|(?:以及|还有|另外)")
_CJK = re.compile("[\u3400-\u9fff]")


def parts_of(question: str) -> list[str]:
    """The parts of a question that asks several things, at most :data:`MOST_PARTS`; empty where it asks one thing."""
    if _CJK.search(question):
        pieces = _asking_zh(_BORDER_ZH.split(question))
    else:
        pieces = [piece for piece in _BORDER_EN.split(question) if re.search(rf"(?:^|\s){_ASKS}", piece, re.IGNORECASE)]
    parts = [piece.strip(" ,，") for piece in pieces if piece.strip(" ,，")]
    return parts[:MOST_PARTS] if len(parts) > 1 else []


def _asking_zh(pieces: list[str]) -> list[str]:
    """Each piece that asks something, with what was said before it since the last one that did."""
    asking: list[str] = []
    said = ""
    for piece in pieces:
        said = f"{said}，{piece}" if said and piece.strip() else said or piece.strip()
        if _ASKS_ZH.search(piece):
            asking.append(said)
            said = ""
    return asking


def searched_parts(question: str) -> list[str]:
    """Those parts of a question that say enough to be searched for alone."""
    return [part for part in parts_of(question) if len(asked_words(part)) >= LEAST_WORDS]
