"""The index of one domain, as the other rooms use it."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

import numpy as np

from domain import Domain, is_text
from indexes.approximate import FLAT_LIMIT
from indexes.close_reading import CloseReading
from indexes.errors import IndexingError
from indexes.filters import Filter, chosen_part
from indexes.given import GivenText, add_given, delete_given, read_given
from indexes.ingest import difference, prepare
from indexes.models import Models
from indexes.passages import Passage, groups, read_neighbours, read_passage, some_sentences
from indexes.rebuilding import rebuild_index, unfinished
from indexes.search import Mode, Scores, Search, candidates, search
from indexes.sentence_vectors import SentenceVectors
from indexes.storage import Storage, read_built_with, transaction
from indexes.update import UpdateProgress, UpdateReport, follow
from indexes.vectors import VectorCache
from indexes.words import shared_words
from indexes.writer_lock import only_writer

if TYPE_CHECKING:
    from base_models.embedding import Embedder
    from base_models.reranking import Reranker

MOST_PASSAGES = 10_000
"""The most that one search can ask for."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]


class Index(CloseReading):
    """Finds passages of a domain's documents; may be shared between threads.

    .. code-block:: python

        with Index.open("tea-shop") as index:
            index.update()
            passages = index.search("水温", k=5)

    Opening reads nothing. The embedder is loaded when vectors are first needed: by a question, or by an update
    that finds something new. All methods raise :class:`IndexingError` when there is no index yet (but ``update`` and
    ``add``), when it is damaged, or when it was built with another embedder or other settings than the domain has now.
    """

    def __init__(self, domain: Domain, embedder: "Embedder | None" = None, reranker: "Reranker | None" = None) -> None:
        self.domain = domain
        self._models = Models(domain, embedder, reranker)
        self._storage = Storage(domain.index / "passages.sqlite", domain.command("index"))
        self._vectors = VectorCache(domain.index / "vectors.faiss", self._own_questions)
        self._sentences = SentenceVectors(self._storage)
        self._writer_lock = domain.index / "writer.lock"

    @classmethod
    def open(
        cls, domain: str | Path | Domain, embedder: "Embedder | None" = None, reranker: "Reranker | None" = None
    ) -> Self:
        """The index of a domain, or of the domain in a folder; models given replace those that domain.toml names."""
        return cls(domain if isinstance(domain, Domain) else Domain.open(domain), embedder, reranker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the embedder, unless it was given, and of the vectors in memory; a later call loads them again."""
        self._models.close()
        self._vectors = VectorCache(self.domain.index / "vectors.faiss", self._own_questions)

    def update(self, rebuild: bool = False, progress: UpdateProgress | None = None) -> UpdateReport:
        """Follow the documents folder: read what is new or changed, forget what is gone.

        ``progress(done, total, document)`` is told the bytes of documents. ``rebuild`` reads everything anew, as other
        settings or another embedder need it; the old index answers until the new one is whole. Interrupted, either
        keeps the documents that are finished, and the next call goes on. Documents that cannot be read are named in
        the report. Raises :class:`IndexingError` when there are no documents, or when another process is updating.
        """
        report_progress = progress or (lambda done, total, document: None)
        with only_writer(self._writer_lock):
            if rebuild:
                report = rebuild_index(self._storage, self.domain.documents, self._models.tools(), report_progress)
            else:
                report = follow(self._storage, self.domain.documents, self._models.tools(), report_progress)
                unfinished(self._storage).erase()  # it may hold what is deleted now
            with self._storage.reading() as connection:
                self._vectors.save(connection)
                if report.passages - report.repeated > FLAT_LIMIT:
                    report = replace(report, search=self._vectors.describe(connection))
        return report

    def add(self, texts: Sequence[GivenText]) -> None:
        """Add texts of a program beside the files of the folder; one with an id that is there already replaces it."""
        with only_writer(self._writer_lock), self._storage.writing() as connection:
            tools = self._models.tools()
            prepare(connection, tools, self._storage.command)
            replaced = add_given(connection, texts, tools)
            unfinished(self._storage).erase()
            if replaced:  # vectors of what was there before must leave their file too
                self._vectors.save(connection)

    def delete(self, ids: Sequence[str] | None = None) -> int:
        """Remove texts that :meth:`add` added, all of them without ``ids``; returns how many there were."""
        with only_writer(self._writer_lock), self._storage.writing() as connection:
            tools = self._models.tools()
            prepare(connection, tools, self._storage.command)
            deleted = delete_given(connection, ids, tools)
            unfinished(self._storage).erase()
            self._vectors.save(connection)
        return deleted

    def given(self, ids: Sequence[str]) -> list[GivenText]:
        """Texts that :meth:`add` added, in the order of ``ids``; those that are not there are left out."""
        with self._storage.reading() as connection:
            return read_given(connection, ids)

    def same(self, passages: Sequence[Passage], among: Filter | None = None) -> dict[int, list[Passage]]:
        """By the id of each passage all that say the same, itself among them, of documents that a filter leaves."""
        with self._storage.reading() as connection:
            return groups(connection, [passage.id for passage in passages], chosen_part(among))

    def search(
        self,
        query: str,
        k: int | None = None,
        mode: Mode = "hybrid",
        among: Filter | None = None,
        diversity: float = 0.0,
        rerank: bool = True,
    ) -> list[Passage]:
        """The ``k`` best passages for a question (default: the domain's ``retrieval.k``), the best first.

        ``mode`` "dense" goes by meaning alone, "full_text" by words alone (no model is loaded), "hybrid" by both,
        weighted by the domain's ``retrieval.dense_weight``. ``among`` searches a part of the documents only.
        ``diversity`` above 0 (to 1) prefers passages that differ from each other. ``rerank`` orders what was found once
        more: in hybrid search by the sentences nearest to the question, then, where the domain has a
        ``retrieval.reranker``, by that.
        """
        return self.search_many([query], k, mode, among, diversity, rerank)[0]

    def search_many(
        self,
        queries: Sequence[str],
        k: int | None = None,
        mode: Mode = "hybrid",
        among: Filter | None = None,
        diversity: float = 0.0,
        rerank: bool = True,
    ) -> list[list[Passage]]:
        """:meth:`search` for several questions, embedded together; all of them see one state of the index."""
        if mode not in get_args(Mode):
            raise IndexingError(f"{mode!r} is not a way to search; use one of: {', '.join(get_args(Mode))}.")
        count = self.domain.settings.retrieval.k if k is None else k
        if not all(isinstance(query, str) and is_text(query) for query in queries):
            raise IndexingError("a question is not valid text: it holds half a character.")
        asked = [query for query in queries if query.strip()]
        how = self._how(count, mode, among, diversity, rerank)
        with self._searching(asked, mode) as (connection, vectors):
            results = iter(search(connection, self._vectors, asked, vectors, how))
        return [next(results) if query.strip() else [] for query in queries]

    def search_by_vector(
        self, vector: Sequence[float], k: int, among: Filter | None = None, diversity: float = 0.0
    ) -> list[Passage]:
        """The ``k`` passages that are nearest to a vector of the embedder."""
        dimension = self._models.embedder().dimension
        try:
            query = np.array([vector], np.float32)
        except (TypeError, ValueError):  # no numbers
            query = np.empty(0, np.float32)
        if query.shape != (1, dimension) or not np.isfinite(query).all() or not query.any():
            raise IndexingError(f"a vector of this index has {dimension} finite numbers, not all of them zero.")
        how = self._how(k, "dense", among, diversity, False)
        with self._storage.reading() as connection:
            self._check(read_built_with(connection))
            return search(connection, self._vectors, [""], query / np.linalg.norm(query), how)[0]

    def candidates(self, queries: Sequence[str], among: Filter | None = None) -> list[Scores]:
        """What hybrid search chooses from, with both scores, before they become one: to measure or to fit weights."""
        how = self._how(1, "hybrid", among, 0.0, False)
        with self._searching(list(queries), "hybrid") as (connection, vectors):
            return candidates(connection, self._vectors, list(queries), vectors, how)

    def _how(self, k: int, mode: Mode, among: Filter | None, diversity: float, rerank: bool) -> Search:
        """How to search; raises :class:`IndexingError` for figures out of range."""
        if not (isinstance(k, int) and 1 <= k <= MOST_PASSAGES):
            raise IndexingError(f"k is {k}, but a search asks for 1 to {MOST_PASSAGES:,} passages.")
        if not (isinstance(diversity, int | float) and 0 <= diversity <= 1):
            raise IndexingError(f"diversity is {diversity}, but lies between 0 and 1.")
        weight = self.domain.settings.retrieval.dense_weight
        reranker = self._models.reranker() if rerank else None
        scores = reranker.scores if reranker else None
        sentences = self._sentence_vectors if rerank and mode == "hybrid" else None
        return Search(k, mode, weight, chosen_part(among), diversity, self._models.dictionary(), scores, sentences)

    @contextmanager
    def _searching(self, queries: list[str], mode: Mode) -> Iterator[tuple[sqlite3.Connection, Vectors | None]]:
        """One state of a checked index, and the vectors of the queries; on leaving, the caches are mended."""
        with self._storage.reading() as connection:
            self._check(read_built_with(connection))
        vectors = self._models.embedder().encode_queries(queries) if queries and mode != "full_text" else None
        with self._storage.reading() as connection:
            self._check(read_built_with(connection))
            yield connection, vectors
        if vectors is not None and not (self._vectors.is_saved() and self._sentences.is_saved()):
            # while an update is at work the caches are left alone, vectors will be written at its end; what this search
            # saw is not what is there now, if documents were deleted or all was made anew meanwhile
            with suppress(IndexingError), only_writer(self._writer_lock, wait=0):
                with self._storage.reading() as now:
                    self._check(read_built_with(now))
                    self._vectors.save(now)
                self._sentences.save()

    def passage(self, passage_id: int) -> Passage:
        """A passage by the id that a search gave; ids of passages that are gone never mean another one."""
        with self._storage.reading() as connection:
            return read_passage(connection, passage_id)

    def shared_words(self, query: str, passage: Passage) -> list[str]:
        """Words of a question that a passage holds, in its text or its titles: why full text found it."""
        return shared_words(query, "\n".join([*passage.headings, passage.text]))

    def neighbours(self, passage_id: int, before: int = 1, after: int = 1) -> list[Passage]:
        """A passage with those before and after it in its document, in the order of the text."""
        with self._storage.reading() as connection:
            return read_neighbours(connection, passage_id, before, after)

    def exists(self) -> bool:
        """Whether there is an index yet."""
        return self._storage.exists()

    @property
    def embedder(self) -> "Embedder":
        """The model behind the vectors, loaded if need be."""
        return self._models.embedder()

    def documents(self) -> list[str]:
        """The files in the index, as sorted paths under ``documents/``."""
        with self._storage.reading() as connection:
            rows = connection.execute("SELECT path FROM documents WHERE given = 0 ORDER BY path")
            return [path for (path,) in rows]

    def warnings(self) -> dict[str, str]:
        """What of a file could not be carried over, by its path: the end of a sentence that begins with its name."""
        with self._storage.reading() as connection:
            told = "SELECT path, warning FROM documents WHERE warning != '' AND given = 0 ORDER BY path"
            return dict(connection.execute(told).fetchall())

    def headings(self) -> list[tuple[str, ...]]:
        """The distinct title paths of the passages, sorted."""
        with self._storage.reading() as connection:
            rows = connection.execute("SELECT DISTINCT headings FROM passages ORDER BY headings")
            return [tuple(json.loads(headings)) for (headings,) in rows]

    def text(self, document: str, given: bool = False) -> str:
        """The text of a file as it was read, or a given text; passages' ``start`` and ``end`` count its characters."""
        with self._storage.reading() as connection:
            sql = "SELECT text FROM documents WHERE path = ? AND given = ?"
            row = connection.execute(sql, (document, given)).fetchone() if is_text(document) else None
        if row is None:
            raise IndexingError(f"{document} is not in the index, or not any more.")
        return row[0]

    @property
    def generation(self) -> str:
        """A text that is another one after every change of documents; what was computed from them can be told by it."""
        with self._storage.reading() as connection:
            built = read_built_with(connection)
        return f"{built['identity']}-{built['generation']}"

    def meta(self, key: str) -> Any:
        """What :meth:`set_meta` stored under ``key``, or None; a rebuild forgets it."""
        with self._storage.reading() as connection:
            sql = "SELECT value FROM meta WHERE key = ?"
            row = connection.execute(sql, (key,)).fetchone() if is_text(key) else None
        return json.loads(row[0]) if row else None

    def set_meta(self, key: str, value: Any) -> None:
        """Store a small JSON value with the index, such as what was calibrated on its passages."""
        with self._storage.reading():
            pass  # raises where there is no index to store it with
        with self._storage.writing() as connection, transaction(connection):
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def _check(self, stored: dict[str, Any]) -> None:
        if "fingerprint" in stored and (why := difference(stored, self._models.tools().built_with)):
            raise IndexingError(f"The index {why}. Make it again with: {self._storage.command} --rebuild")

    def _own_questions(self, connection: sqlite3.Connection) -> Vectors:
        """Vectors of some sentences of the passages, embedded as questions."""
        return self._models.embedder().encode_queries(some_sentences(connection))
