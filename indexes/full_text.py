"""Full-text search: SQLite's FTS5 finds candidates, and this module scores them with BM25.

FTS5 can rank only what it matches, and needs a second for words that occur in half of a million passages. Therefore it
selects candidates by the rarest words of a question, up to :data:`POSTINGS` occurrences. All candidates, including
those of dense search, are then scored here with all words (Robertson and Zaragoza 2009, "The Probabilistic Relevance
Framework: BM25 and Beyond", with Lucene's inverse document frequency, which is never negative).
"""

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexes.filters import Filter
from indexes.search_words import is_beginning, is_named_place, is_whole
from indexes.storage import read_built_with

POSTINGS = 30_000
"""Maximum number of occurrences that FTS5 ranks for one question; the remaining words only score candidates."""

K1 = 1.2
B = 0.75
WHOLE = 2.0
"""Weight of an identifier relative to its parts, which in another order form another identifier: 192.168.1.10."""
NAMED_PLACE = 4.0
"""Weight of a day or clause asked for by number: 第65条. The digits alone occur in many passages. With weight 2, four
of 114 such questions about the two lists in ../shared/reported found another row first; with 4, none (one trial)."""


@dataclass(frozen=True)
class AskedWord:
    """A word of a question, and the number of passages that contain it."""

    word: str
    passages: int

    @property
    def expression(self) -> str:
        """The FTS5 query. The word is quoted and has only letters and digits, so it cannot cause a syntax error."""
        return f'"{self.word}"*' if is_beginning(self.word) else f'"{self.word}"'

    def occurrences(self, spaced: str) -> int:
        """Number of occurrences in a full-text row formatted by :func:`spaced`."""
        return spaced.count(f" {self.word}" if is_beginning(self.word) else f" {self.word} ")


def look_up(connection: sqlite3.Connection, words: Sequence[str]) -> list[AskedWord]:
    """The words with their passage counts, the rarest first, words without any match last."""
    asked = []
    for word in words:
        (count,) = connection.execute(
            "SELECT count(*) FROM full_text WHERE full_text MATCH ?", (AskedWord(word, 0).expression,)
        ).fetchone()
        asked.append(AskedWord(word, count))
    return sorted(asked, key=lambda word: (word.passages == 0, word.passages))


def full_text_candidates(
    connection: sqlite3.Connection, asked: Sequence[AskedWord], count: int, among: Filter
) -> list[int]:
    """Ids of passages that contain the rarest words of the question, at least ``count`` if that many match.

    If even the rarest word exceeds :data:`POSTINGS`, passages that contain all words come first, because such a common
    word says little alone. If candidates are still missing, the remaining words fill them up, unranked.
    """
    known = [word for word in asked if word.passages]
    chosen: list[AskedWord] = []
    for word in known:
        if sum(other.passages for other in chosen) + word.passages > POSTINGS:
            break
        chosen.append(word)
    found: dict[int, None] = {}
    if chosen:
        # The remaining words change the order afterwards, so fetch more than needed.
        wanted = count if len(chosen) == len(known) else 4 * count
        any_of = " OR ".join(word.expression for word in chosen)
        found |= dict.fromkeys(_matching(connection, any_of, wanted, among, ranked=True))
    elif known:
        together = " AND ".join(word.expression for word in known)
        found |= dict.fromkeys(_matching(connection, together, count, among, ranked=False))
    for word in known[len(chosen) :]:
        if len(found) >= count:
            break
        found |= dict.fromkeys(_matching(connection, word.expression, count, among, ranked=False))
    return list(found)


@dataclass(frozen=True)
class Weighed:
    """Full-text scores of some passages; arrays are float32, one number per passage."""

    bm25: np.ndarray
    """0 if the passage contains none of the words."""
    rare: np.ndarray
    """1 if the passage contains all the words and no other passage has any, 0 if it has none; frequency is ignored."""
    most: float
    """Upper bound of BM25: a passage that repeats every word often, including words that occur in no passage."""

    def where(self, kept: np.ndarray) -> "Weighed":
        """The same of some of the passages; ``kept`` is a mask."""
        return replace(self, bm25=self.bm25[kept], rare=self.rare[kept])


def weigh(connection: sqlite3.Connection, asked: Sequence[AskedWord], ids: Sequence[int]) -> Weighed:
    """Compute the full-text scores of the passages with these ids."""
    scores, held = np.zeros(len(ids), np.float32), np.zeros(len(ids), np.float32)
    if not asked or not ids:
        return Weighed(scores, held, 0.0)
    built = read_built_with(connection)
    total, mean_length = built["rows"], max(1, built["words"]) / max(1, built["rows"])
    rows = dict(
        connection.execute(f"SELECT rowid, words FROM full_text WHERE rowid IN ({','.join(map(str, ids))})").fetchall()
    )

    def inverse_frequency(passages: int) -> float:
        return math.log(1 + (total - passages + 0.5) / (passages + 0.5))

    weights = [_weight_of(word.word) * inverse_frequency(word.passages) for word in asked]
    known = [(word, weight) for word, weight in zip(asked, weights, strict=True) if word.passages]
    for position, passage in enumerate(ids):
        length = K1 * (1 - B + B * (rows[passage].count(" ") + 1) / mean_length)
        row = spaced(rows[passage])
        found = [(times, weight) for word, weight in known if (times := word.occurrences(row))]
        scores[position] = sum(weight * times * (K1 + 1) / (times + length) for times, weight in found)
        held[position] = sum(weight for _, weight in found)
    return Weighed(scores, np.minimum(held / (len(asked) * inverse_frequency(1)), 1), (K1 + 1) * sum(weights))


def _weight_of(word: str) -> float:
    return NAMED_PLACE if is_named_place(word) else WHOLE if is_whole(word) else 1.0


def spaced(row: str) -> str:
    """The row with two spaces between words and one at each end, so that matches of adjacent words do not overlap."""
    return f" {row.replace(' ', '  ')} "


def _matching(connection: sqlite3.Connection, expression: str, count: int, among: Filter, ranked: bool) -> list[int]:
    """Ids of matching passages: the best ones if ``ranked``, otherwise the first ones found."""
    condition, parameters = among.condition()
    in_the_part = f"""
        AND EXISTS (
            SELECT 1 FROM passages p JOIN documents d ON d.id = p.document_id
            WHERE (p.id = full_text.rowid OR p.same_as = full_text.rowid) AND {condition}
        )"""
    sql = f"""
        SELECT rowid FROM full_text WHERE full_text MATCH ? {in_the_part if among else ""}
        {"ORDER BY rank" if ranked else ""} LIMIT ?"""
    return [row[0] for row in connection.execute(sql, (expression, *(parameters if among else ()), count))]
