"""Reorders the passages of a search: by their best sentence, by a reranker, or so that they differ from each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from indexes.passages import Passage

SENTENCE_CANDIDATES = 8
"""Number of first passages that are reordered by their best sentence. Chosen: 5 and 10 gave nearly the same."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]
SentencesOf = Callable[[Sequence[Passage]], Mapping[str, Vectors]]
"""Maps passages to the vectors of their sentences, [n, d] by passage text."""
Rerank = Callable[[str, list[str]], Sequence[float]]
"""Maps a question and texts to one score per text: ``Reranker.scores``."""


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


def with_reranker(query: str, passages: list[Passage], rerank: Rerank) -> dict[int, Passage]:
    """The passages in the order of the scores of a reranker, which reads their titles and texts."""
    texts = [" > ".join(passage.headings) + "\n" + passage.text for passage in passages]
    scored = [
        replace(passage, score=float(score), rerank_score=float(score))
        for passage, score in zip(passages, rerank(query, texts), strict=True)
    ]
    return {passage.id: passage for passage in sorted(scored, key=lambda passage: -passage.score)}


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
