"""Questions to passages: by meaning (dense vectors), by words (full text), or by both.

Hybrid search takes the best candidates of either way, scores *all* of them in both ways, brings both scores to one
scale per question, and adds them, weighted. Adding ranks instead (reciprocal rank fusion) forgets by how much a passage
was better, and fell below its better half in our trials (``benchmarks/retrieval.py`` measures both).
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Literal

import numpy as np

from indexes.errors import IndexingError
from indexes.language import full_text_query
from indexes.vectors import VectorCache

Mode = Literal["hybrid", "dense", "full_text"]

CANDIDATES = 50
"""How many passages each way of searching puts forward."""


@dataclass(frozen=True)
class Passage:
    """A piece of a document, with its place in it; scores are 0.0 where they were not computed."""

    id: int
    """Never used for another passage, also after this one is gone."""
    text: str
    document: str
    """Path under ``documents/``, with ``/`` on every system."""
    headings: tuple[str, ...]
    """The titles above it, the outermost first."""
    page: int | None
    """Page of a PDF, from 1."""
    line: int
    """Line of the document's text on which it begins, from 1; for plain text and Markdown the file's own line."""
    start: int
    end: int
    """``Index.text(document)[start:end] == text``."""
    score: float = 0.0
    """What the ranking went by: higher is better, comparable within one question only."""
    dense_score: float = 0.0
    """Cosine of question and passage."""
    full_text_score: float = 0.0
    """BM25 over words; 0.0 when no word of the question occurs."""

    @property
    def place(self) -> str:
        """Where in the document, for people: ``"LoRA › Rank"``, ``"page 3"`` or ``"line 12"``."""
        parts = [" › ".join(self.headings)] if self.headings else []
        parts += [f"page {self.page}"] if self.page else []
        return ", ".join(parts) or f"line {self.line}"


@dataclass(frozen=True)
class Scores:
    """Candidates of one question with both scores, arrays of one length."""

    ids: np.ndarray
    dense: np.ndarray
    full_text: np.ndarray


def search(
    connection: sqlite3.Connection,
    cache: VectorCache,
    queries: list[str],
    vectors: np.ndarray | None,
    k: int,
    mode: Mode,
    dense_weight: float,
) -> list[list[Passage]]:
    """The ``k`` best passages for each query; ``vectors`` (float32 [n, d], of length 1) is None for full text alone."""
    results = []
    for scores in candidates(connection, cache, queries, vectors, max(k, CANDIDATES), mode):
        if mode == "hybrid":
            total = fuse(scores.dense, scores.full_text, dense_weight)
        else:
            total = scores.dense if mode == "dense" else scores.full_text
        best = np.lexsort((scores.ids, -total))[:k]
        results.append(
            [
                read_passage(
                    connection, int(scores.ids[i]), float(total[i]), float(scores.dense[i]), float(scores.full_text[i])
                )
                for i in best
            ]
        )
    return results


def candidates(
    connection: sqlite3.Connection,
    cache: VectorCache,
    queries: list[str],
    vectors: np.ndarray | None,
    count: int,
    mode: Mode,
) -> list[Scores]:
    """For each query the ``count`` best passages of each way of searching that ``mode`` uses, scored in both ways."""
    nearest = (
        cache.search(connection, vectors, count) if vectors is not None and mode != "full_text" else [[]] * len(queries)
    )
    results = []
    for position, query in enumerate(queries):
        expression = full_text_query(query)
        words: dict[int, float] = {}
        if mode != "dense":
            words = _full_text_scores(connection, expression, f"ORDER BY rank LIMIT {count}")
        ids = sorted({*nearest[position], *words})
        if missing := [passage for passage in ids if passage not in words]:
            words |= _full_text_scores(connection, expression, f"AND rowid IN ({','.join(map(str, missing))})")
        dense = np.zeros(len(ids), np.float32)
        if vectors is not None and ids:
            dense = _vectors(connection, ids) @ vectors[position]
        results.append(
            Scores(np.array(ids, np.int64), dense, np.array([words.get(id_, 0.0) for id_ in ids], np.float32))
        )
    return results


def fuse(dense: np.ndarray, full_text: np.ndarray, dense_weight: float) -> np.ndarray:
    """One score of two, for the candidates of one question: the weighted sum of their standardised scores.

    BM25 counts by its logarithm: one rare word in common makes it tower over all other passages, and means less than it
    towers. So weighted, halves are a good default (``benchmarks/retrieval.py``).
    """
    return dense_weight * _standardised(dense) + (1 - dense_weight) * _standardised(np.log1p(full_text))


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1, so that a score counts by how far it stands out; all 0 where none does."""
    spread = scores.std() if len(scores) else 0.0
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)


def read_passage(
    connection: sqlite3.Connection, passage_id: int, score: float = 0.0, dense: float = 0.0, full_text: float = 0.0
) -> Passage:
    """One stored passage; raises :class:`IndexingError` when there is none with this id."""
    row = connection.execute(
        "SELECT p.text, path, headings, page, line, start, end FROM passages p JOIN documents d ON d.id = document_id "
        "WHERE p.id = ?",
        (passage_id,),
    ).fetchone()
    if row is None:
        raise IndexingError(f"Passage {passage_id} is not in the index, or not any more.")
    text, path, headings, page, line, start, end = row
    return Passage(passage_id, text, path, tuple(json.loads(headings)), page, line, start, end, score, dense, full_text)


def _full_text_scores(connection: sqlite3.Connection, expression: str, condition: str) -> dict[int, float]:
    """BM25 by passage id; SQLite's is negative."""
    if not expression:
        return {}
    sql = f"SELECT rowid, -rank FROM full_text WHERE full_text MATCH ? {condition}"
    return dict(connection.execute(sql, (expression,)).fetchall())


def _vectors(connection: sqlite3.Connection, ids: list[int]) -> np.ndarray:
    """float32 [len(ids), d], in the order of ``ids``."""
    rows = connection.execute(f"SELECT id, vector FROM passages WHERE id IN ({','.join(map(str, ids))})").fetchall()
    stored = dict(rows)
    return np.frombuffer(b"".join(stored[id_] for id_ in ids), np.float32).reshape(len(ids), -1)
