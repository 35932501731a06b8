"""Citations: which passage an answer rests on.

The model is trained to end with the passage's number; small models forget it or invent one. So the numbers it wrote
are checked against the passages' own words, and where none holds, the answer is traced to the passage that shares
most of its words. An answer that shares too little with every passage gets no citation.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from indexes import Passage, terms

WRITTEN = re.compile(r"\s*[\[【]\s*(\d{1,2})\s*[\]】]")

SUPPORT = 0.35
"""Share of an answer's terms that must stand in a passage for the passage to be cited without the model saying so."""


@dataclass(frozen=True)
class Citation:
    """One passage that an answer points to, under the number that stands in the text."""

    number: int
    passage: Passage


def cite(answer: str, passages: Sequence[Passage]) -> tuple[str, list[Citation]]:
    """The answer with numbers that hold, and what they point to, in order of first mention.

    A number stands where the model wrote it if such a passage exists and shares some words with the answer; if none
    is left, the number of the passage that shares most is put at the end.
    """
    bare = WRITTEN.sub("", answer).strip()
    shares = [support(bare, passage) for passage in passages]
    best = max(range(len(passages)), key=shares.__getitem__, default=None)
    written = [int(number) for number in WRITTEN.findall(answer)]
    kept = [n for n in dict.fromkeys(written) if 1 <= n <= len(passages) and shares[n - 1] >= SUPPORT / 2]
    if kept:
        text = WRITTEN.sub(lambda match: f" [{match[1]}]" if int(match[1]) in kept else "", answer).strip()
    elif best is not None and shares[best] >= SUPPORT:
        kept = [best + 1]
        text = f"{bare} [{best + 1}]"
    else:
        text = bare
    return text, [Citation(number, passages[number - 1]) for number in kept]


def support(answer: str, passage: Passage) -> float:
    """Share of the answer's distinct terms (words, or Chinese character pairs) that the passage holds; 0 to 1."""
    said = set(terms(answer))
    return len(said & set(terms(passage.text))) / len(said) if said else 0.0
