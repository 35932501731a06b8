"""Reads the passages that a search found: evidence for an answer, key sentences, and context.

These are the methods of :class:`indexes.Index` that inspect passages; ``index.py`` has those that find them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from domain import is_text
from indexes.context import context, openings
from indexes.cross_language import remove_language
from indexes.definitions import asked_term, defining
from indexes.errors import IndexingError
from indexes.evidence import Evidence, evidence, key_sentences
from indexes.index_models import Models
from indexes.passages import Passage, read_passages
from indexes.sentence_vectors import SentenceVectors
from indexes.storage import Storage
from indexes.vectors import VectorCache

Vectors = np.ndarray[Any, np.dtype[np.float32]]


class CloseReading:
    """Mixin with methods of :class:`indexes.Index`."""

    _models: Models
    _storage: Storage
    _sentences: SentenceVectors
    _vectors: VectorCache

    def evidence(self, questions: Sequence[str], found: Sequence[Sequence[Passage]]) -> list[Evidence]:
        """For each question, the features that show whether its passages (one or more) answer it."""
        embedder, dictionary = self._models.embedder(), self._models.dictionary()
        sentences = self._sentence_vectors([passage for passages in found for passage in passages])
        vectors = embedder.encode_queries(questions)
        with self._storage.reading() as connection:
            return [
                evidence(connection, question, vector, passages, sentences, dictionary)
                for question, vector, passages in zip(questions, vectors, found, strict=True)
            ]

    def passages_of(self, document: str) -> list[Passage]:
        """All passages of a file, in the order of the text; raises :class:`IndexingError` if it is not in the index."""
        with self._storage.reading() as connection:
            sql = (
                "SELECT p.id FROM passages p JOIN documents d ON d.id = p.document_id "
                "WHERE d.path = ? AND d.given = 0 ORDER BY p.start"
            )
            ids = [id_ for (id_,) in connection.execute(sql, (document,))] if is_text(document) else []
            if not ids:
                raise IndexingError(f"{document} is not in the index; Index.documents() lists its files.")
            return read_passages(connection, ids)

    def likeness(self, sentences: Sequence[str], passages: Sequence[Passage]) -> tuple[Vectors, list[int]]:
        """Cosine similarity of each sentence and the nearest sentence of each passage, float32 [sentences, passages].

        The second value is, for each sentence, the position of the passage nearest in meaning, independent of language.
        """
        if not sentences or not passages:
            return np.zeros((len(sentences), len(passages)), np.float32), []
        vectors = self._models.embedder().encode_passages(sentences)
        held = self._sentence_vectors(passages)
        with self._storage.reading() as connection:
            _, direction = self._vectors.sample(connection)

        def cosines(vectors: Vectors) -> Vectors:
            return np.stack([(vectors @ held[passage.text].T).max(axis=1) for passage in passages], axis=1)

        compared = vectors if direction is None else remove_language(vectors, direction)
        return cosines(vectors), cosines(compared).argmax(axis=1).tolist()

    def key_sentences(
        self, question: str, passages: Sequence[Passage], count: int, asked: str = ""
    ) -> list[tuple[str, Passage]]:
        """The ``count`` sentences nearest to a question, each with its passage, in reading order.

        ``passages`` is sorted with the best first. A sentence of a later passage must be nearer by
        :data:`indexes.evidence.LATER_PASSAGE` for each rank. ``asked`` is the question alone, for a ``question`` that
        includes the previous one.
        """
        if not passages or not count:
            return []
        vectors = self._models.embedder().encode_queries([question])
        with self._storage.reading() as connection:
            _, direction = self._vectors.sample(connection)
        (vector,) = vectors if direction is None else remove_language(vectors, direction)
        return key_sentences(vector, passages, self._sentence_vectors(passages), count, asked_term(asked or question))

    def introductions(self, question: str, found: Sequence[Passage]) -> list[Passage]:
        """The passages that introduce the subject of a question, from the documents of the passages found.

        These are the first passages of pages and sections whose title has exactly the content words of the question. If
        there are none, the result is the first passage that defines the term asked for ("What is DPO?").
        """
        with self._storage.reading() as connection:
            return openings(connection, question, found) or defining(question, found)

    def context(self, found: Sequence[Passage], tokens: int) -> list[Passage]:
        """The passages found with the surrounding text of their documents, in the order of the text.

        Adds their sections from the first passage, and their neighbours, up to ``tokens`` tokens of the embedder.
        """
        embedder = self._models.embedder()
        with self._storage.reading() as connection:
            return context(connection, found, tokens, lambda text: len(embedder.token_offsets(text)))

    def _sentence_vectors(self, passages: Sequence[Passage]) -> dict[str, Vectors]:
        return self._sentences.of(passages, self._models.embedder().encode_passages)
