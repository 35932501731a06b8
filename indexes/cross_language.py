"""Questions in one language, passages in another, in an index that holds both.

An embedder puts the texts of a language near each other, whatever they say. So of a folder in Chinese and English the
passages in the language of the question came first, and the one that answers in the other language came never. What a
question's vector says of its language is therefore taken away (:func:`neutral`): the direction from the mean of the
English passages to the mean of the Chinese ones tells the language and little else. Where a passage in the other
language has a translation in the index, that is the one to be quoted (:func:`translations`).
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

FEWEST = 3
"""With fewer passages in one of the languages their mean says more than the language."""

SAME = 0.4
"""Likeness from which on two passages are taken to be translations of each other. Chosen: of the sample's passages and
their translations 95 % have more than 0.37, of passages about other topics all less than 0.40."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]


def direction(vectors: Vectors, languages: Sequence[str]) -> Vectors | None:
    """From the mean vector of English passages to that of Chinese ones; None where one of them is hardly there.

    ``vectors``: float32 [n, d], ``languages``: n of "en" or "zh".
    """
    chinese = np.array(languages) == "zh"
    if min(chinese.sum(), (~chinese).sum()) < FEWEST:
        return None
    return np.asarray(vectors[chinese].mean(axis=0) - vectors[~chinese].mean(axis=0), np.float32)


def neutral(questions: Vectors, apart: Vectors) -> Vectors:
    """Questions' vectors, float32 [n, d], without their part along ``apart``; nearer to neither language."""
    return questions - np.outer(questions @ apart, apart) / (apart @ apart)


def languages(connection: sqlite3.Connection, ids: np.ndarray) -> list[str]:
    """The language of each passage, "en" or "zh", in the order of the ids."""
    listed = ",".join(str(int(id_)) for id_ in ids)
    known = dict(connection.execute(f"SELECT id, language FROM passages WHERE id IN ({listed})"))
    return [known[int(id_)] for id_ in ids]


def translations(vectors: Vectors, own: np.ndarray, apart: Vectors, mean: Vectors) -> list[tuple[int, int]]:
    """Of some passages those that say the same in two languages: (position of the original, of its translation).

    The translation is the one in the language of the question (``own``, bool [n]); each is the nearest of the other
    language to the other. ``mean`` is that of the whole index: an embedder's vectors lie in a narrow cone, and tell one
    text from another only when seen from its middle.
    """
    here, there = np.flatnonzero(own), np.flatnonzero(~own)
    if not len(here) or not len(there):
        return []
    seen = neutral(vectors - mean, apart)
    seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-9)
    likeness = seen[there] @ seen[here].T
    return [
        (int(there[row]), int(here[column]))
        for row, column in enumerate(likeness.argmax(axis=1))
        if likeness[row, column] >= SAME and likeness[:, column].argmax() == row
    ]
