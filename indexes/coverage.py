"""How much of a question its passages hold, word by word."""

import math
import sqlite3
from collections.abc import Sequence

from indexes.language import words_of


def coverage(connection: sqlite3.Connection, question: str, passage_ids: Sequence[int]) -> float:
    """Share of the question's words that stand in any of these passages, each weighed by how rare it is in the index.

    0 to 1. A word in n of N passages weighs log((N + 1) / (n + 0.5)), the inverse document frequency of BM25's family;
    a word that no passage of the index holds weighs most, and that is what tells a question which the documents
    cannot answer from one that merely asks with other words.
    """
    (total,) = connection.execute("SELECT count(*) FROM passages").fetchone()
    chosen = ",".join(str(int(passage)) for passage in passage_ids)
    held = weight = 0.0
    for word in set(words_of(question)):
        expression = f'"{word}"'
        (holding,) = connection.execute(
            "SELECT count(*) FROM full_text WHERE full_text MATCH ?", (expression,)
        ).fetchone()
        rarity = math.log((total + 1) / (holding + 0.5))
        weight += rarity
        found = f"SELECT 1 FROM full_text WHERE full_text MATCH ? AND rowid IN ({chosen}) LIMIT 1"
        if holding and connection.execute(found, (expression,)).fetchone():
            held += rarity
    return held / weight if weight else 0.0
