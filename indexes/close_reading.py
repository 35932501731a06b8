"""What can be told of passages that were found: whether they answer, which sentences do, what stands around them.

The part of :class:`indexes.Index` that looks into passages, beside the part that finds them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from indexes.context import context, openings
from indexes.cross_language import remove_language
from indexes.definitions import asked_term, defining
from indexes.evidence import Evidence, evidence, key_sentences
from indexes.models import Models
from indexes.passages import Passage
from indexes.sentence_vectors import SentenceVectors
from indexes.storage import Storage
from indexes.vectors import VectorCache

Vectors = np.ndarray[Any, np.dtype[np.float32]]


class CloseReading:
    """Methods of :class:`indexes.Index`."""

    _models: Models
    _storage: Storage
    _sentences: SentenceVectors
    _vectors: VectorCache

    def evidence(self, questions: Sequence[str], found: Sequence[Sequence[Passage]]) -> list[Evidence]:
        """What speaks for each question's passages, one or more that were found for it, as the answer."""
        embedder, dictionary = self._models.embedder(), self._models.dictionary()
        sentences = self._sentence_vectors([passage for passages in found for passage in passages])
        vectors = embedder.encode_queries(questions)
        with self._storage.reading() as connection:
            return [
                evidence(connection, question, vector, passages, sentences, dictionary)
                for question, vector, passages in zip(questions, vectors, found, strict=True)
            ]

    def likeness(self, sentences: Sequence[str], passages: Sequence[Passage]) -> tuple[Vectors, list[int]]:
        """Cosines, float32 [sentences, passages], of each sentence and the nearest sentence of each passage.

        And for each sentence the position of the passage nearest in meaning, whatever language either is in.
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
        """The ``count`` sentences of some passages, the best passage first, that are nearest to a question.

        In the order of the passages and of their text, each with its passage. A sentence of a later passage must be
        nearer by :data:`indexes.evidence.LATER_PASSAGE` for each rank. ``asked`` is the question by itself, where
        ``question`` holds the one before it too.
        """
        if not passages or not count:
            return []
        vectors = self._models.embedder().encode_queries([question])
        with self._storage.reading() as connection:
            _, direction = self._vectors.sample(connection)
        (vector,) = vectors if direction is None else remove_language(vectors, direction)
        return key_sentences(vector, passages, self._sentence_vectors(passages), count, asked_term(asked or question))

    def introductions(self, question: str, found: Sequence[Passage]) -> list[Passage]:
        """The passages that introduce what a question asks for, of the documents of the passages found.

        These are the openings of pages and sections that it names by title; other words than those of the title make
        it no name. Without any, it is the first passage that defines the term asked for ("What is DPO?").
        """
        with self._storage.reading() as connection:
            return openings(connection, question, found) or defining(question, found)

    def context(self, found: Sequence[Passage], tokens: int) -> list[Passage]:
        """The passages found with what stands around them in their documents, in the order of the text.

        As far as ``tokens`` (of the embedder) allow, these are their sections from the opening, and their neighbours.
        """
        embedder = self._models.embedder()
        with self._storage.reading() as connection:
            return context(connection, found, tokens, lambda text: len(embedder.token_offsets(text)))

    def _sentence_vectors(self, passages: Sequence[Passage]) -> dict[str, Vectors]:
        return self._sentences.of(passages, self._models.embedder().encode_passages)
