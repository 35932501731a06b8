"""A cache of sentence vectors, in memory and in ``passages.sqlite``, for passages that searches returned.

A search compares the sentences of some passages for each question. Embedding them takes longer than the rest of the
search, so computed vectors are stored with the index and deleted with their passage.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from indexes.evidence import embedded_sentences
from indexes.passages import Passage
from indexes.storage import Storage, transaction

Vectors = np.ndarray[Any, np.dtype[np.float32]]
Encode = Callable[[Sequence[str]], Vectors]

IN_MEMORY = 4096
"""Number of passages whose vectors stay in memory, the most recently used."""
CUTTING = 1
"""Bump when sentence splitting or sentence embedding changes; stored vectors are then recomputed."""


class SentenceVectors:
    """Vectors of the sentences of one index's passages; may be shared between threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: dict[str, Vectors] = {}
        self._unsaved: dict[str, tuple[int, Vectors]] = {}
        """Maps passage text to the passage id and vectors that may not be stored yet."""

    def of(self, passages: Sequence[Passage], encode: Encode) -> dict[str, Vectors]:
        """Maps passage text to the vectors [n, d] of its n sentences."""
        asked = {passage.text: passage.id for passage in passages}
        vectors = {text: known for text in asked if (known := self._known.get(text)) is not None}
        missing = {text: id_ for text, id_ in asked.items() if text not in vectors}
        if missing:
            vectors |= self._stored(missing)
            new = {text: embedded_sentences(text) for text in missing if text not in vectors}
            rows = iter(encode([sentence for sentences in new.values() for sentence in sentences]))
            computed = {text: np.stack([next(rows) for _ in sentences]) for text, sentences in new.items()}
            vectors |= computed
            self._known = _latest(self._known | vectors)
            self._unsaved = _latest(self._unsaved | {text: (missing[text], its) for text, its in computed.items()})
        return vectors

    def is_saved(self) -> bool:
        """Whether all computed vectors are stored."""
        return not self._unsaved

    def save(self) -> None:
        """Store the computed vectors of passages that still exist; the caller must hold the writer lock.

        If this fails, the vectors are computed again when needed.
        """
        unsaved, self._unsaved = self._unsaved, {}
        if not unsaved:
            return
        with self._storage.writing() as connection, transaction(connection):
            connection.executemany(
                "INSERT OR REPLACE INTO sentence_vectors SELECT id, ?, ? FROM passages WHERE id = ? AND text = ?",
                [(_key(text), vectors.tobytes(), id_, text) for text, (id_, vectors) in unsaved.items()],
            )

    def _stored(self, passages: dict[str, int]) -> dict[str, Vectors]:
        texts = {_key(text): text for text in passages}
        ids = ",".join(map(str, passages.values()))
        with self._storage.reading() as connection:
            sql = f"SELECT key, vectors FROM sentence_vectors WHERE passage_id IN ({ids})"
            rows = connection.execute(sql).fetchall()
        return {
            texts[key]: np.frombuffer(vectors, np.float32).reshape(len(embedded_sentences(texts[key])), -1)
            for key, vectors in rows
            if key in texts
        }


def _latest(entries: dict[str, Any]) -> dict[str, Any]:
    return dict(list(entries.items())[-IN_MEMORY:])


def _key(text: str) -> bytes:
    return hashlib.sha256(f"{CUTTING} {text}".encode()).digest()[:16]
