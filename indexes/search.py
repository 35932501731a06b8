"""Search: ranks passages by dense vectors, by full text, or by both (hybrid).

Hybrid search takes the best candidates of both methods, scores *all* of them with both, and adds the weighted scores
(:func:`fuse`). Adding ranks instead (reciprocal rank fusion) discards how much better a passage is, and was worse than
the better single method in our trials (``benchmarks/retrieval.py`` measures both). The first few results are then
reordered by the nearest sentence of each: a passage that repeats the topic's name is near as a whole, but a passage
that answers has a nearer sentence (``reordering.py``).
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from indexes.cross_language import passage_languages, remove_language, translations
from indexes.dictionary import Dictionary
from indexes.filters import Filter
from indexes.full_text import AskedWord, Weighed, full_text_candidates, look_up, weigh
from indexes.language import language_of
from indexes.passages import Passage, read_passages
from indexes.reordering import SENTENCE_CANDIDATES, Rerank, SentencesOf, diverse, with_reranker, with_sentences
from indexes.search_request import SearchRequest
from indexes.search_words import asked_words, is_whole
from indexes.vectors import VectorCache, read_vectors

WEIGHED = 2_000
"""If a filter matches at most this many passages, all of them get a full-text score."""

CANDIDATES = 50
"""Number of candidates of each search method."""

FEW_WORDS = 1.5
"""Query length, in words, above which the dense score dominates: see :func:`fuse`."""
BM25_SCALE = 15.0
HELD_SCALE = 1.5
RARE_SCALE = 4.0
"""Weights of BM25, of its share of the possible maximum, and of rare words of a short query, relative to one standard
deviation of cosines. Selected with :data:`FEW_WORDS` from some hundreds of combinations (docs/design.md); nearby
values did as well."""

SENTENCE_WEIGHT = 0.35
"""Weight of the best sentence's cosine relative to one standard deviation of cosines (docs/design.md)."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class SearchTools:
    """What a search uses of its index and domain."""

    cache: VectorCache
    dictionary: Dictionary
    dense_weight: float
    sentences: SentencesOf
    reranker: Rerank | None
    """None if the domain has no reranker, or the request does not want it."""


@dataclass(frozen=True)
class Scores:
    """Candidates of one question with both scores, arrays of the same length."""

    ids: np.ndarray
    dense: np.ndarray
    """Cosines of question and passages."""
    full_text: Weighed
    mean: float
    deviation: float
    """Mean and standard deviation of the question's cosines with passages of the whole index."""
    words: int
    """Number of words in the query."""
    identifier: bool = False
    """Whether one of them is a version, date, code or option that contains signs."""
    language_correction: np.ndarray | float = 0.0
    """Added to each cosine in an index of two languages (``cross_language.py``)."""
    vector: Vectors | None = None
    """The query vector; in an index of two languages, with the language direction removed."""
    translations: Sequence[tuple[int, int]] = ()
    """Positions of passages, each with the position of its translation in the language of the question."""


def search(
    connection: sqlite3.Connection,
    tools: SearchTools,
    request: SearchRequest,
    queries: list[str],
    vectors: Vectors | None,
) -> list[list[Passage]]:
    """The ``k`` best passages for each query; ``vectors`` (float32 [n, d], of length 1) is None for full text only."""
    results = []
    found = candidates(connection, tools, request, queries, vectors)
    for query, scores in zip(queries, found, strict=True):
        if request.mode == "hybrid":
            total = fuse(scores, tools.dense_weight)
            for pair in map(list, scores.translations):
                total[pair] = np.sort(total[pair])
        else:
            total = scores.dense if request.mode == "dense" else scores.full_text.bm25
        order = np.lexsort((scores.ids, -total))
        if not (tools.reranker or request.diversity):
            order = order[: max(request.k, SENTENCE_CANDIDATES)]
        ranked = np.stack([total, scores.dense, scores.full_text.bm25])[:, order].T.tolist()
        passages = {
            passage.id: replace(passage, score=score, dense_score=dense, full_text_score=full_text)
            for passage, (score, dense, full_text) in zip(
                read_passages(connection, scores.ids[order].tolist(), request.among), ranked, strict=True
            )
        }
        if scores.vector is not None and (weight := sentence_weight(scores, request, tools.dense_weight)):
            passages = with_sentences(passages, scores.vector, weight, tools.sentences)
        if tools.reranker:
            passages = with_reranker(query, list(passages.values())[: max(request.k, CANDIDATES)], tools.reranker)
        chosen = list(passages)
        if request.diversity and len(chosen) > 1:
            relevance = np.array([passage.score for passage in passages.values()])
            best = diverse(relevance, read_vectors(connection, np.array(chosen)), request.k, request.diversity)
            chosen = [chosen[i] for i in best]
        results.append([passages[id_] for id_ in chosen[: request.k]])
    return results


def candidates(
    connection: sqlite3.Connection,
    tools: SearchTools,
    request: SearchRequest,
    queries: list[str],
    vectors: Vectors | None,
) -> list[Scores]:
    """For each query, the best candidates of each search method in its mode, scored with both methods."""
    count = max(request.k, CANDIDATES)
    nearest: list[list[int]] = [[] for _ in queries]
    part = _ids_among(connection, request.among)
    sample = direction = None
    if vectors is not None and request.mode == "hybrid":
        sample, direction = tools.cache.sample(connection)
    if tools.dense_weight in (0, 1):  # a single method: the order is that of its own score
        direction = None
    compared = vectors if vectors is None or direction is None else remove_language(vectors, direction)
    if compared is not None and request.mode != "full_text":
        nearest = tools.cache.search(connection, compared, count, part)
    results = []
    for position, query in enumerate(queries):
        asked = look_up(connection, asked_words(query, tools.dictionary)) if request.mode != "dense" else []
        near = np.array(nearest[position], np.int64)
        if compared is not None and len(near) > count:  # an approximate search returns more; select by exact cosine
            near = near[np.argsort(-(read_vectors(connection, near) @ compared[position]))[:count]]
        by_words = np.array(_found_by_words(connection, asked, count, request.among, part), np.int64)
        ids = np.union1d(near, by_words)
        weighed = weigh(connection, asked, ids.tolist())
        kept = np.isin(ids, near) | _best_by_words(ids, by_words, weighed.bm25, count)
        ids, weighed = ids[kept], weighed.where(kept)
        identifier = any(is_whole(word.word) for word in asked)
        scores = Scores(ids, np.zeros(len(ids), np.float32), weighed, 0.0, 0.0, len(asked), identifier)
        if vectors is not None and compared is not None and len(ids):
            held = read_vectors(connection, ids)
            scores = _by_meaning(scores, held, vectors[position], compared[position], sample)
            if sample is not None and direction is not None:
                same_language = np.array(passage_languages(connection, ids)) == language_of(query)
                pairs = translations(held, same_language, direction, sample.mean(axis=0))
                scores = replace(scores, translations=pairs)
        results.append(scores)
    return results


def _by_meaning(scores: Scores, held: Vectors, vector: Vectors, compared: Vectors, sample: Vectors | None) -> Scores:
    """Add the cosines with the passage vectors ``held``, and the statistics that normalise them."""
    dense = held @ vector
    scores = replace(scores, dense=dense, language_correction=held @ compared - dense, vector=compared)
    if sample is None:
        return scores
    cosines = sample @ compared
    return replace(scores, mean=float(cosines.mean()), deviation=float(cosines.std()))


def _found_by_words(
    connection: sqlite3.Connection, asked: Sequence[AskedWord], count: int, among: Filter, part: np.ndarray | None
) -> list[int]:
    """Full-text candidates; in a small ``part`` every passage, so that all of it is scored."""
    if part is not None and len(part) <= WEIGHED:
        return part.tolist() if asked else []
    return full_text_candidates(connection, asked, count, among)


def _best_by_words(ids: np.ndarray, by_words: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Which of ``ids`` are the ``count`` candidates of full text with the highest BM25 above 0, as a mask."""
    weights = np.where(np.isin(ids, by_words), weights, 0.0)
    order = np.lexsort((ids, -weights))[:count]
    best = np.zeros(len(ids), bool)
    best[order] = weights[order] > 0
    return best


def fuse(scores: Scores, dense_weight: float) -> np.ndarray:
    """Combine both scores of the candidates of one question into a weighted sum of normalised scores.

    Cosines are measured in standard deviations from the mean of the whole index. (The mean of the candidates was worse:
    for fifty similar passages of one book, the noise between them outweighed the only passage with the word.) BM25
    counts by itself, because rare words say more, and as a share of the query's possible maximum, because a passage
    with all words is probably the right one. The vector of one or two words, or of a number, code or name is vague.
    Therefore, for n words, cosines have the weight n / (n + :data:`FEW_WORDS`), and the rest goes to passages with rare
    words, to the extent that both methods are used: with a single method, the order is that of its own score.
    """
    vague = FEW_WORDS / (max(scores.words, 1) + FEW_WORDS)
    meaning = np.zeros(len(scores.ids))
    if scores.deviation > 1e-4:  # otherwise all passages are equal
        meaning = (scores.dense + scores.language_correction - scores.mean) / scores.deviation
    weighed = scores.full_text
    held = np.minimum(weighed.bm25 / weighed.most, 1.0) if weighed.most else 0.0
    words = weighed.bm25 / BM25_SCALE + HELD_SCALE * held
    rare = 2 * dense_weight * (1 - dense_weight) * RARE_SCALE * vague * weighed.rare
    return 2 * (dense_weight * (1 - vague) * meaning + (1 - dense_weight) * words + rare)


def sentence_weight(scores: Scores, request: SearchRequest, dense_weight: float) -> float:
    """Weight of the best sentence's cosine in the fused score of one question; 0 disables it.

    It is 0 for a request without reranking, for a single search method, for passages that are all alike, and for a
    query with an identifier (192.168.1.10), which words distinguish and vectors do not. As in :func:`fuse`, short
    queries get a lower weight.
    """
    if not request.rerank or request.mode != "hybrid" or dense_weight in (0, 1):
        return 0.0
    if scores.deviation <= 1e-4 or scores.identifier:
        return 0.0
    return SENTENCE_WEIGHT * scores.words / (scores.words + FEW_WORDS) / scores.deviation


def _ids_among(connection: sqlite3.Connection, among: Filter) -> np.ndarray | None:
    """Sorted ids of the kept passages that match the filter; None if the filter is empty."""
    if not among:
        return None
    condition, parameters = among.condition()
    rows = connection.execute(
        "SELECT DISTINCT coalesce(p.same_as, p.id) AS kept FROM passages p JOIN documents d ON d.id = p.document_id "
        f"WHERE {condition} ORDER BY kept",
        parameters,
    )
    return np.fromiter((row[0] for row in rows), np.int64)
