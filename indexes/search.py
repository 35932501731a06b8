"""Search: ranks passages by dense vectors, by full text, or by both (hybrid).

Hybrid search takes the best candidates of both methods, scores *all* of them with both, and adds the weighted scores
(:func:`fuse`). Adding ranks instead (reciprocal rank fusion) discards how much better a passage is, and was worse than
the better single method in our trials (``benchmarks/retrieval.py`` measures both). The first few results are then
reordered by the nearest sentence of each: a passage that repeats the topic's name is near as a whole, but a passage
that answers has a nearer sentence (:func:`with_sentences`).
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from indexes.cross_language import passage_languages, remove_language, translations
from indexes.dictionary import Dictionary
from indexes.filters import Filter
from indexes.full_text import AskedWord, Weighed, full_text_candidates, look_up, weigh
from indexes.language import language_of
from indexes.passages import Passage, read_passages
from indexes.vectors import VectorCache, read_vectors
from indexes.words import asked_words, is_whole

Mode = Literal["hybrid", "dense", "full_text"]

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

SENTENCE_CANDIDATES = 8
"""Number of first passages that are reordered by their best sentence. Chosen: 5 and 10 gave nearly the same."""
SENTENCE_WEIGHT = 0.35
"""Weight of the best sentence's cosine relative to one standard deviation of cosines (docs/design.md)."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]
SentencesOf = Callable[[Sequence[Passage]], Mapping[str, Vectors]]
"""Maps passages to the vectors of their sentences, [n, d] by passage text."""
Rerank = Callable[[str, list[str]], Sequence[float]]
"""Maps a question and texts to one score per text: ``Reranker.scores``."""


@dataclass(frozen=True)
class Search:
    """Search parameters, shared by all questions of a call."""

    k: int
    mode: Mode
    dense_weight: float
    among: Filter
    diversity: float
    """0 ranks by score only; higher values rank a passage lower if it resembles a better one."""
    dictionary: Dictionary
    rerank: Rerank | None
    sentences: SentencesOf | None
    """None keeps the order of hybrid search."""


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
    connection: sqlite3.Connection, cache: VectorCache, queries: list[str], vectors: Vectors | None, how: Search
) -> list[list[Passage]]:
    """The ``k`` best passages for each query; ``vectors`` (float32 [n, d], of length 1) is None for full text only."""
    results = []
    found = candidates(connection, cache, queries, vectors, how)
    for query, scores in zip(queries, found, strict=True):
        if how.mode == "hybrid":
            total = fuse(scores, how.dense_weight)
            for pair in map(list, scores.translations):
                total[pair] = np.sort(total[pair])
        else:
            total = scores.dense if how.mode == "dense" else scores.full_text.bm25
        order = np.lexsort((scores.ids, -total))
        if not (how.rerank or how.diversity):
            order = order[: max(how.k, SENTENCE_CANDIDATES)]
        figures = np.stack([total, scores.dense, scores.full_text.bm25])[:, order].T.tolist()
        passages = {
            passage.id: replace(passage, score=score, dense_score=dense, full_text_score=full_text)
            for passage, (score, dense, full_text) in zip(
                read_passages(connection, scores.ids[order].tolist(), how.among), figures, strict=True
            )
        }
        if how.sentences and scores.vector is not None and (weight := sentence_weight(scores, how)):
            passages = with_sentences(passages, scores.vector, weight, how.sentences)
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
    """For each query, the best candidates of each search method in its mode, scored with both methods."""
    count = max(how.k, CANDIDATES)
    nearest: list[list[int]] = [[] for _ in queries]
    part = _ids_among(connection, how.among)
    sample, direction = (None, None) if vectors is None or how.mode != "hybrid" else cache.sample(connection)
    if how.dense_weight in (0, 1):  # a single method: the order is that of its own score
        direction = None
    compared = vectors if vectors is None or direction is None else remove_language(vectors, direction)
    if compared is not None and how.mode != "full_text":
        nearest = cache.search(connection, compared, count, part)
    results = []
    for position, query in enumerate(queries):
        asked = look_up(connection, asked_words(query, how.dictionary)) if how.mode != "dense" else []
        near = np.array(nearest[position], np.int64)
        if compared is not None and len(near) > count:  # an approximate search returns more; select by exact cosine
            near = near[np.argsort(-(read_vectors(connection, near) @ compared[position]))[:count]]
        by_words = np.array(_found_by_words(connection, asked, count, how.among, part), np.int64)
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


def sentence_weight(scores: Scores, how: Search) -> float:
    """Weight of the best sentence's cosine in the fused score of one question; 0 disables it.

    It is 0 for a single search method, for passages that are all alike, and for a query with an identifier
    (192.168.1.10), which words distinguish and vectors do not. As in :func:`fuse`, short queries get a lower weight.
    """
    if how.mode != "hybrid" or how.dense_weight in (0, 1) or scores.deviation <= 1e-4 or scores.identifier:
        return 0.0
    return SENTENCE_WEIGHT * scores.words / (scores.words + FEW_WORDS) / scores.deviation


def with_sentences(
    passages: dict[int, Passage], vector: Vectors, weight: float, sentences_of: SentencesOf
) -> dict[int, Passage]:
    """Reorder the first few passages by their score plus the cosine of the sentence nearest to the question.

    The cosine counts relative to the lowest of these passages, so no score decreases and the first few stay before the
    others.
    """
    few = list(passages.values())[:SENTENCE_CANDIDATES]
    if len(few) < 2:
        return passages
    vectors = sentences_of(few)
    nearest = np.array([float((vectors[passage.text] @ vector).max()) for passage in few])
    gained = weight * (nearest - nearest.min())
    scored = [replace(passage, score=passage.score + more) for passage, more in zip(few, gained.tolist(), strict=True)]
    first = sorted(scored, key=lambda passage: (-passage.score, passage.id))
    return {passage.id: passage for passage in first} | {
        id_: passage for id_, passage in passages.items() if id_ not in {passage.id for passage in first}
    }


def diverse(relevance: np.ndarray, vectors: Vectors, k: int, diversity: float) -> list[int]:
    """Positions of the ``k`` best passages by maximal marginal relevance, the best first.

    Carbonell and Goldstein 1998: each step takes the passage with the highest (1 - diversity) * relevance - diversity *
    similarity to those already taken. Relevance is scaled to 0...1; similarity is the highest cosine.
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
    texts = [" > ".join(passage.headings) + "\n" + passage.text for passage in passages]
    scored = [
        replace(passage, score=float(score), rerank_score=float(score))
        for passage, score in zip(passages, rerank(query, texts), strict=True)
    ]
    return {passage.id: passage for passage in sorted(scored, key=lambda passage: -passage.score)}


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
