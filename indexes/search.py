"""Questions to passages: by meaning (dense vectors), by words (full text), or by both.

Hybrid search takes the best candidates of either way, scores *all* of them in both ways and adds both, weighted
(:func:`fuse`). Adding ranks instead (reciprocal rank fusion) forgets by how much a passage was better, and fell below
its better half in our trials (``benchmarks/retrieval.py`` measures both).
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from indexes.filters import Filter
from indexes.full_text import AskedWord, bm25, full_text_candidates, look_up
from indexes.language import Dictionary, asked_words, language_of
from indexes.passages import Passage, read_passages
from indexes.vectors import VectorCache, read_vectors

Mode = Literal["hybrid", "dense", "full_text"]

WEIGHED = 2_000
"""A filter that leaves no more passages than these has all of them weighed by words."""

CANDIDATES = 50
"""How many passages each way of searching puts forward."""

WEAK_WORDS = 5.0
"""BM25 that counts as little: about what one rare word in common gives. Values of 4 to 6 did as well."""

FOREIGN_WORDS = 0.5

Vectors = np.ndarray[Any, np.dtype[np.float32]]
Rerank = Callable[[str, list[str]], Sequence[float]]
"""A question and texts to a score for each text: ``Reranker.scores``."""


@dataclass(frozen=True)
class Search:
    """How to search; one object for all questions of a call."""

    k: int
    mode: Mode
    dense_weight: float
    among: Filter
    diversity: float
    """0 ranks by score alone; towards 1 a passage that is like a better one falls ever further."""
    dictionary: Dictionary
    rerank: Rerank | None


@dataclass(frozen=True)
class Scores:
    """Candidates of one question with both scores, arrays of one length."""

    ids: np.ndarray
    dense: np.ndarray
    full_text: np.ndarray
    foreign: bool
    """Whether the passage that is nearest in meaning is in another language than the question."""


def search(
    connection: sqlite3.Connection, cache: VectorCache, queries: list[str], vectors: Vectors | None, how: Search
) -> list[list[Passage]]:
    """The ``k`` best passages for each query; ``vectors`` (float32 [n, d], of length 1) is None for full text alone."""
    results = []
    for query, scores in zip(queries, candidates(connection, cache, queries, vectors, how), strict=True):
        if how.mode == "hybrid":
            total = fuse(scores, how.dense_weight)
        else:
            total = scores.dense if how.mode == "dense" else scores.full_text
        order = np.lexsort((scores.ids, -total))
        if not (how.rerank or how.diversity):
            order = order[: how.k]
        figures = np.stack([total, scores.dense, scores.full_text])[:, order].T.tolist()
        passages = {
            passage.id: replace(passage, score=score, dense_score=dense, full_text_score=full_text)
            for passage, (score, dense, full_text) in zip(
                read_passages(connection, scores.ids[order].tolist(), how.among), figures, strict=True
            )
        }
        if how.rerank:
            passages = _reranked(query, list(passages.values())[: max(how.k, CANDIDATES)], how.rerank)
        chosen = list(passages)
        if how.diversity and len(chosen) > 1:
            relevance = np.array([passage.score for passage in passages.values()])
            best = diverse(relevance, read_vectors(connection, np.array(chosen)), how.k, how.diversity)
            chosen = [chosen[i] for i in best]
        results.append([passages[id_] for id_ in chosen[: how.k]])
    return results


def candidates(
    connection: sqlite3.Connection, cache: VectorCache, queries: list[str], vectors: Vectors | None, how: Search
) -> list[Scores]:
    """For each query the best passages of each way of searching that its mode uses, scored in both ways."""
    count = max(how.k, CANDIDATES)
    nearest: list[list[int]] = [[] for _ in queries]
    part = _ids_among(connection, how.among)
    if vectors is not None and how.mode != "full_text":
        nearest = cache.search(connection, vectors, count, part)
    results = []
    for position, query in enumerate(queries):
        asked = look_up(connection, asked_words(query, how.dictionary)) if how.mode != "dense" else []
        near = np.array(nearest[position], np.int64)
        if vectors is not None and len(near) > count:  # an approximate search gives more, to choose from exactly
            near = near[np.argsort(-(read_vectors(connection, near) @ vectors[position]))[:count]]
        ids = np.union1d(near, np.array(_best_by_words(connection, asked, count, how.among, part), np.int64))
        dense = np.zeros(len(ids), np.float32)
        if vectors is not None and len(ids):
            dense = read_vectors(connection, ids) @ vectors[position]
        words = bm25(connection, asked, ids.tolist())
        results.append(Scores(ids, dense, words, _is_foreign(connection, query, ids, dense)))
    return results


def _best_by_words(
    connection: sqlite3.Connection, asked: Sequence[AskedWord], count: int, among: Filter, part: np.ndarray | None
) -> list[int]:
    """The candidates of full text by their whole weight; of a small part of the passages each one is weighed."""
    if part is not None and len(part) <= WEIGHED:
        found = part.tolist() if asked else []
    else:
        found = full_text_candidates(connection, asked, count, among)
        if len(found) <= count:
            return found
    weights = bm25(connection, asked, found)
    order = np.lexsort((np.array(found), -weights))[:count]
    return [found[i] for i in order if weights[i] > 0]


def fuse(scores: Scores, dense_weight: float) -> np.ndarray:
    """One score of two, for the candidates of one question: the weighted sum of how far each stands out.

    Cosines count in standard deviations from their mean. BM25 has a scale of its own, the summed rarity of the words in
    common: where a question shares none but common words all passages get about the same, and dividing by their small
    deviation would blow up noise, so :data:`WEAK_WORDS` is added to it. Where the nearest passage is in another
    language than the question only names are shared, which tell less: words count half (``benchmarks/retrieval.py``).
    """
    words = (
        (scores.full_text - scores.full_text.mean()) / (scores.full_text.std() + WEAK_WORDS) if len(scores.ids) else 0
    )
    share = (1 - dense_weight) * (FOREIGN_WORDS if scores.foreign else 1.0)
    return dense_weight * _standardised(scores.dense) + share * words


def diverse(relevance: np.ndarray, vectors: Vectors, k: int, diversity: float) -> list[int]:
    """Positions of the ``k`` best that are not alike, the best first, by maximal marginal relevance.

    Carbonell and Goldstein 1998: each time the one is taken with the highest (1 - diversity) * relevance - diversity *
    likeness to what was taken; relevance is brought to 0...1, likeness is the highest cosine.
    """
    spread = np.ptp(relevance)
    wanted = (relevance - relevance.min()) / spread if spread else np.ones_like(relevance)
    taken = [int(np.argmax(wanted))]
    likeness = vectors @ vectors[taken[0]]
    while len(taken) < min(k, len(relevance)):
        marginal = (1 - diversity) * wanted - diversity * likeness
        marginal[taken] = -np.inf
        taken.append(int(np.argmax(marginal)))
        likeness = np.maximum(likeness, vectors @ vectors[taken[-1]])
    return taken


def _reranked(query: str, passages: list[Passage], rerank: Rerank) -> dict[int, Passage]:
    """The passages with a reranker's scores, the best first."""
    texts = [" > ".join(passage.headings) + "\n" + passage.text for passage in passages]
    scored = [
        replace(passage, score=float(score), rerank_score=float(score))
        for passage, score in zip(passages, rerank(query, texts), strict=True)
    ]
    return {passage.id: passage for passage in sorted(scored, key=lambda passage: -passage.score)}


def _ids_among(connection: sqlite3.Connection, among: Filter) -> np.ndarray | None:
    """Ids of the kept passages that a filter leaves, sorted; None where it leaves all."""
    if not among:
        return None
    condition, parameters = among.condition()
    rows = connection.execute(
        "SELECT DISTINCT coalesce(p.same_as, p.id) AS kept FROM passages p JOIN documents d ON d.id = p.document_id "
        f"WHERE {condition} ORDER BY kept",
        parameters,
    )
    return np.fromiter((row[0] for row in rows), np.int64)


def _is_foreign(connection: sqlite3.Connection, query: str, ids: np.ndarray, dense: np.ndarray) -> bool:
    if not dense.any():
        return False
    nearest = int(ids[np.argmax(dense)])
    (language,) = connection.execute("SELECT language FROM passages WHERE id = ?", (nearest,)).fetchone()
    return language != language_of(query)


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1, so that a score counts by how far it stands out; all 0 where none does."""
    spread = scores.std() if len(scores) else 0.0
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)
