"""Questions to passages: by meaning (dense vectors), by words (full text), or by both.

Hybrid search takes the best candidates of either way, scores *all* of them in both ways, brings both scores to one
scale per question, and adds them, weighted. Adding ranks instead (reciprocal rank fusion) forgets by how much a passage
was better, and fell below its better half in our trials (``benchmarks/retrieval.py`` measures both).
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from indexes.filters import Filter
from indexes.full_text import bm25, full_text_candidates, look_up
from indexes.language import Dictionary, asked_words
from indexes.passages import Passage, read_passages
from indexes.vectors import VectorCache, read_vectors

Mode = Literal["hybrid", "dense", "full_text"]

CANDIDATES = 50
"""How many passages each way of searching puts forward."""

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


def search(
    connection: sqlite3.Connection, cache: VectorCache, queries: list[str], vectors: Vectors | None, how: Search
) -> list[list[Passage]]:
    """The ``k`` best passages for each query; ``vectors`` (float32 [n, d], of length 1) is None for full text alone."""
    results = []
    for query, scores in zip(queries, candidates(connection, cache, queries, vectors, how), strict=True):
        if how.mode == "hybrid":
            total = fuse(scores.dense, scores.full_text, how.dense_weight)
        else:
            total = scores.dense if how.mode == "dense" else scores.full_text
        order = np.lexsort((scores.ids, -total))
        if not (how.rerank or how.diversity):
            order = order[: how.k]
        figures = np.stack([total, scores.dense, scores.full_text])[:, order].T.tolist()
        passages = {
            passage.id: replace(passage, score=score, dense_score=dense, full_text_score=full_text)
            for passage, (score, dense, full_text) in zip(
                read_passages(connection, scores.ids[order].tolist()), figures, strict=True
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
    if vectors is not None and how.mode != "full_text":
        nearest = cache.search(connection, vectors, count, _ids_among(connection, how.among))
    results = []
    for position, query in enumerate(queries):
        asked = look_up(connection, asked_words(query, how.dictionary))
        ids = set(nearest[position])
        if how.mode != "dense":
            ids.update(full_text_candidates(connection, asked, count, how.among))
        sorted_ids = np.array(sorted(ids), np.int64)
        dense = np.zeros(len(ids), np.float32)
        if vectors is not None and ids:
            dense = read_vectors(connection, sorted_ids) @ vectors[position]
        found = Scores(sorted_ids, dense, bm25(connection, asked, sorted_ids.tolist()))
        results.append(_best_of_each(found, count, how.mode))
    return results


def fuse(dense: np.ndarray, full_text: np.ndarray, dense_weight: float) -> np.ndarray:
    """One score of two, for the candidates of one question: the weighted sum of their standardised scores.

    BM25 counts by its logarithm: one rare word in common makes it tower over all other passages, and means less than it
    towers. So weighted, halves are a good default (``benchmarks/retrieval.py``).
    """
    return dense_weight * _standardised(dense) + (1 - dense_weight) * _standardised(np.log1p(full_text))


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


def _best_of_each(found: Scores, count: int, mode: Mode) -> Scores:
    """Of more candidates than were asked for (approximate and pruned searches give them) the best of either way."""
    keep = np.zeros(len(found.ids), bool)
    if mode != "full_text":
        keep[np.lexsort((found.ids, -found.dense))[:count]] = True
    if mode != "dense":
        keep[[i for i in np.lexsort((found.ids, -found.full_text))[:count] if found.full_text[i] > 0]] = True
    return Scores(found.ids[keep], found.dense[keep], found.full_text[keep])


def _ids_among(connection: sqlite3.Connection, among: Filter) -> np.ndarray | None:
    """Ids of the passages that a filter leaves; None where it leaves all."""
    if not among:
        return None
    joined, conditions, parameters = among.sql()
    where = " AND ".join(["p.same_as IS NULL", *conditions])
    rows = connection.execute(f"SELECT p.id FROM passages p {joined} WHERE {where} ORDER BY p.id", parameters)
    return np.fromiter((row[0] for row in rows), np.int64)


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1, so that a score counts by how far it stands out; all 0 where none does."""
    spread = scores.std() if len(scores) else 0.0
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)
