"""Search by words: SQLite's FTS5 finds passages, BM25 weighs them.

FTS5 ranks only what it matches, and takes a second for words that half of a million passages hold. So it finds
candidates by the rarest words of a question, as many as its :data:`POSTINGS` allow, and all candidates, also those that
were found by meaning, are weighed here by all words (Robertson and Zaragoza 2009, "The Probabilistic Relevance
Framework: BM25 and Beyond", with the inverse document frequency of Lucene, which is never negative).
"""

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexes.filters import Filter
from indexes.storage import read_built_with
from indexes.words import is_beginning, is_named_place, is_whole

POSTINGS = 30_000
"""How many occurrences FTS5 may rank for one question; words beyond that only weigh candidates."""

K1 = 1.2
B = 0.75
WHOLE = 2.0
"""An identifier counts so much beside its parts, which in another order are another one: 192.168.1.10."""
NAMED_PLACE = 4.0
"""So much counts a day or clause that is asked for by its number: 第65条. The digits alone occur in many passages. At 2
four of 114 such questions about the two lists in ../shared/reported found another row first, at 4 none (one trial)."""


@dataclass(frozen=True)
class AskedWord:
    """A word of a question, and how many passages hold it."""

    word: str
    passages: int

    @property
    def expression(self) -> str:
        """For FTS5; words hold letters and digits only, and quoted no question is a syntax error."""
        return f'"{self.word}"*' if is_beginning(self.word) else f'"{self.word}"'

    def occurrences(self, spaced: str) -> int:
        """How often it stands in a row of full text, :func:`spaced`."""
        return spaced.count(f" {self.word}" if is_beginning(self.word) else f" {self.word} ")


def look_up(connection: sqlite3.Connection, words: Sequence[str]) -> list[AskedWord]:
    """The words with how many passages hold each, the rarest first; those that none holds at the end."""
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
    """Ids of passages that hold the rarest of the asked words, at least ``count`` where so many hold any.

    Where even the rarest word is beyond :data:`POSTINGS`, passages that hold all words come first: a word that so many
    hold tells little about any. Words that were left out fill up what is missing, in no order.
    """
    known = [word for word in asked if word.passages]
    chosen: list[AskedWord] = []
    for word in known:
        if sum(other.passages for other in chosen) + word.passages > POSTINGS:
            break
        chosen.append(word)
    found: dict[int, None] = {}
    if chosen:
        # what was left out weighs in afterwards, so more are taken than are asked for
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
    """Some passages by the asked words; arrays are float32, one number a passage."""

    bm25: np.ndarray
    """0 where none of the words occurs."""
    rare: np.ndarray
    """1 where all of them occur and no other passage has any, 0 where none does; how often does not matter."""
    most: float
    """What BM25 would give a passage that holds every word often, also those that no passage holds."""

    def where(self, kept: np.ndarray) -> "Weighed":
        """The same of some of the passages; ``kept`` is a mask."""
        return replace(self, bm25=self.bm25[kept], rare=self.rare[kept])


def weigh(connection: sqlite3.Connection, asked: Sequence[AskedWord], ids: Sequence[int]) -> Weighed:
    """Weigh the passages with these ids."""
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
    """A row of full text with two spaces between words and one around, for counting: none is part of two words."""
    return f" {row.replace(' ', '  ')} "


def _matching(connection: sqlite3.Connection, expression: str, count: int, among: Filter, ranked: bool) -> list[int]:
    """``ORDER BY rank`` weighs all that match; without, the first ones found are taken."""
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
