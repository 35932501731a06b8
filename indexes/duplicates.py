"""Passages that say the same are kept once: the same words in the same order, whatever their case, width or layout.

One word that differs may be the answer ("80 degrees" and "90 degrees"), so nothing looser counts, but for spelling: in
50 words one may differ by a single letter. Candidates are found by a sketch, the smallest hashes of a text's triples of
words (Broder 1997, "On the resemblance and containment of documents"): texts that agree almost everywhere share them.
"""

import heapq
import sqlite3
import zlib

from indexes.language import words_of

SKETCH = 4
LOOKED_AT = 8
"""Passages compared for each hash of the sketch."""

WORDS_PER_SLIP = 50
SHORTEST_SLIP = 5
"""A word of fewer letters is never taken for another one."""


def sketch(words: list[str]) -> list[int]:
    """The :data:`SKETCH` smallest hashes of the triples of words; of a shorter text that of all its words."""
    triples = {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
    return heapq.nsmallest(SKETCH, {zlib.crc32(triple.encode()) for triple in triples})


def find_same(connection: sqlite3.Connection, headings: str, words: list[str]) -> int | None:
    """The id of a kept passage under the same title path (as JSON) that says the same as these words, or None."""
    compared: set[int] = set()
    for hash_ in sketch(words):
        rows = connection.execute(
            "SELECT passages.id, text FROM sketches JOIN passages ON passages.id = passage_id "
            "WHERE hash = ? AND headings = ? LIMIT ?",
            (hash_, headings, LOOKED_AT),
        )
        for passage, text in rows:
            if passage not in compared and say_the_same(words, words_of(text)):
                return passage
            compared.add(passage)
    return None


def say_the_same(words: list[str], others: list[str]) -> bool:
    """Whether two texts differ in nothing but a few letters."""
    if len(words) != len(others):
        return False
    different = [(word, other) for word, other in zip(words, others, strict=True) if word != other]
    return len(different) * WORDS_PER_SLIP <= len(words) and all(_is_slip(*pair) for pair in different)


def _is_slip(word: str, other: str) -> bool:
    """One letter more, less or other, or two neighbours exchanged; never in a number or in Chinese."""
    if min(len(word), len(other)) < SHORTEST_SLIP or not (word + other).isascii() or not (word + other).isalpha():
        return False
    while word and other and word[0] == other[0]:
        word, other = word[1:], other[1:]
    while word and other and word[-1] == other[-1]:
        word, other = word[:-1], other[:-1]
    return max(len(word), len(other)) <= 1 or (len(word) == 2 and word == other[::-1])
