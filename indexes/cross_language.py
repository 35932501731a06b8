"""Corrects language bias: questions in one language, passages in another, in an index of both.

A multilingual encoder places the texts of one language near each other, whatever they mean (language bias: Yang et al.
2021, "A Simple and Effective Method To Eliminate the Self Language Bias in Multilingual Representations", EMNLP). In a
folder of Chinese and English documents, passages in the language of the question therefore ranked first, and the
passage in the other language that answered it was not found. Their method projects out the first singular vectors of a
language. With two languages one direction is enough: from the mean of the English passages to the mean of the Chinese
ones (:func:`language_direction`). :func:`remove_language` projects it out of the question vectors. If a passage has a
translation in the language of the question, the translation is ranked before it (:func:`translations`).
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

MIN_PASSAGES = 3
"""Minimum number of passages of a language for a meaningful mean. Chosen."""

TRANSLATION_SIMILARITY = 0.4
"""Minimum cosine of two passages that count as translations of each other.

Chosen on the sample: 95 % of its passages and their translations have more than 0.37, passages about different topics
less than 0.40.
"""

Vectors = np.ndarray[Any, np.dtype[np.float32]]


def language_direction(vectors: Vectors, languages: Sequence[str]) -> Vectors | None:
    """The mean of the Chinese passages minus the mean of the English ones, float32 [d].

    ``vectors`` is float32 [n, d]; ``languages`` has "en" or "zh" for each row. Returns None if either language has
    fewer than :data:`MIN_PASSAGES` passages.
    """
    chinese = np.array(languages) == "zh"
    if min(chinese.sum(), (~chinese).sum()) < MIN_PASSAGES:
        return None
    return np.asarray(vectors[chinese].mean(axis=0) - vectors[~chinese].mean(axis=0), np.float32)


def remove_language(vectors: Vectors, direction: Vectors) -> Vectors:
    """Project the language direction, float32 [d], out of the vectors, float32 [n, d]."""
    return vectors - np.outer(vectors @ direction, direction) / (direction @ direction)


def passage_languages(connection: sqlite3.Connection, ids: np.ndarray) -> list[str]:
    """The language of each passage, "en" or "zh", in the order of the ids."""
    listed = ",".join(str(int(id_)) for id_ in ids)
    known = dict(connection.execute(f"SELECT id, language FROM passages WHERE id IN ({listed})"))
    return [known[int(id_)] for id_ in ids]


def translations(
    vectors: Vectors, same_language: np.ndarray, direction: Vectors, mean: Vectors
) -> list[tuple[int, int]]:
    """Pairs of passages that are translations of each other: positions (in the other language, in the question's).

    Both passages of a pair are each other's nearest neighbour in the other language. ``vectors`` is float32 [n, d].
    ``same_language``, bool [n], marks the passages in the language of the question. ``mean``, float32 [d], is the mean
    of the whole index; it is subtracted first, because the vectors of an encoder occupy a narrow cone.
    """
    ours, others = np.flatnonzero(same_language), np.flatnonzero(~same_language)
    if not len(ours) or not len(others):
        return []
    centred = remove_language(vectors - mean, direction)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    cosines = centred[others] @ centred[ours].T
    return [
        (int(others[row]), int(ours[column]))
        for row, column in enumerate(cosines.argmax(axis=1))
        if cosines[row, column] >= TRANSLATION_SIMILARITY and cosines[:, column].argmax() == row
    ]
