"""The index of one domain: the public interface of this package."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from domain import Domain, is_text
from indexes.added_texts import GivenText, add_given, delete_given, read_given
from indexes.approximate import FLAT_LIMIT
from indexes.close_reading import CloseReading
from indexes.errors import IndexingError
from indexes.filters import Filter, chosen_part
from indexes.index_models import Models
from indexes.ingest import difference, prepare
from indexes.passages import Passage, groups, read_neighbours, read_passage, some_sentences
from indexes.rebuilding import rebuild_index, unfinished
from indexes.search import Scores, SearchTools, candidates, search
from indexes.search_request import Mode, SearchRequest
from indexes.search_words import shared_words
from indexes.sentence_vectors import SentenceVectors
from indexes.storage import Storage, read_built_with, transaction
from indexes.update import UpdateProgress, UpdateReport, follow
from indexes.vectors import VectorCache
from indexes.writer_lock import only_writer

if TYPE_CHECKING:
    from base_models.embedding import Embedder
    from base_models.reranking import Reranker

Vectors = np.ndarray[Any, np.dtype[np.float32]]


class Index(CloseReading):
    """Searches the documents of a domain; may be shared between threads.

    .. code-block:: python

        with Index.open("tea-shop") as index:
            index.update()
            passages = index.search("水温", k=5)

    Opening reads nothing. The embedder is loaded when vectors are first needed: by a question, or by an update that
    finds new text. All methods except ``update`` and ``add`` raise :class:`IndexingError` if there is no index yet. All
    raise it if the index is damaged, or was built with another embedder or other settings than the domain has now.
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
        """The index of a domain, or of the domain in a folder; the given models replace those of domain.toml."""
        return cls(domain if isinstance(domain, Domain) else Domain.open(domain), embedder, reranker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the embedder, unless it was passed in, and the cached vectors; a later call loads them again."""
        self._models.close()
        self._vectors = VectorCache(self.domain.index / "vectors.faiss", self._own_questions)

    def update(self, rebuild: bool = False, progress: UpdateProgress | None = None) -> UpdateReport:
        """Synchronise with the documents folder: read new and changed files, remove deleted ones.

        ``progress(done, total, document)`` receives bytes of documents. ``rebuild`` reads everything again, which other
        settings or another embedder require; the old index serves searches until the new one is complete. An
        interrupted call keeps the finished documents, and the next one continues. The report lists documents that
        cannot be read. Raises :class:`IndexingError` if there are no documents, or another process is updating.
        """
        report_progress = progress or (lambda done, total, document: None)
        with only_writer(self._writer_lock):
            if rebuild:
                report = rebuild_index(self._storage, self.domain.documents, self._models.tools(), report_progress)
            else:
                report = follow(self._storage, self.domain.documents, self._models.tools(), report_progress)
                unfinished(self._storage).erase()  # may contain deleted text
            with self._storage.reading() as connection:
                self._vectors.save(connection)
                if report.passages - report.repeated > FLAT_LIMIT:
                    report = replace(report, search=self._vectors.describe(connection))
        return report

    def add(self, texts: Sequence[GivenText]) -> None:
        """Add texts of a program beside the files of the folder; a text with an existing id replaces the stored one."""
        with only_writer(self._writer_lock), self._storage.writing() as connection:
            tools = self._models.tools()
            prepare(connection, tools, self._storage.command)
            replaced = add_given(connection, texts, tools)
            unfinished(self._storage).erase()
            if replaced:  # also remove the old vectors from the file
                self._vectors.save(connection)

    def delete(self, ids: Sequence[str] | None = None) -> int:
        """Remove texts added by :meth:`add`, or all of them if ``ids`` is None; return the number removed."""
        with only_writer(self._writer_lock), self._storage.writing() as connection:
            tools = self._models.tools()
            prepare(connection, tools, self._storage.command)
            deleted = delete_given(connection, ids, tools)
            unfinished(self._storage).erase()
            self._vectors.save(connection)
        return deleted

    def given(self, ids: Sequence[str]) -> list[GivenText]:
        """Texts added by :meth:`add`, in the order of ``ids``, without missing ones."""
        with self._storage.reading() as connection:
            return read_given(connection, ids)

    def same(self, passages: Sequence[Passage], among: Filter | None = None) -> dict[int, list[Passage]]:
        """For each passage id, all passages with the same text, itself included, that match the filter."""
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

        ``mode`` is "dense" (vectors only), "full_text" (words only, loads no model) or "hybrid" (both). ``among``
        restricts the search to some documents. ``diversity`` above 0 (to 1) prefers passages that differ from each
        other. ``rerank`` reorders the results (``search_request.py`` says how).
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
        """:meth:`search` for several questions, embedded together, on one snapshot of the index."""
        count = self.domain.settings.retrieval.k if k is None else k
        request = SearchRequest(count, mode, chosen_part(among), diversity, rerank)
        if not all(isinstance(query, str) and is_text(query) for query in queries):
            raise IndexingError("the question is not valid text: it contains half a character (a lone surrogate).")
        asked = [query for query in queries if query.strip()]
        tools = self._search_tools(request)
        with self._searching(asked, request.mode) as (connection, vectors):
            results = iter(search(connection, tools, request, asked, vectors))
        return [next(results) if query.strip() else [] for query in queries]

    def search_by_vector(
        self, vector: Sequence[float], k: int, among: Filter | None = None, diversity: float = 0.0
    ) -> list[Passage]:
        """The ``k`` passages nearest to a vector of the embedder."""
        dimension = self._models.embedder().dimension
        try:
            query = np.array([vector], np.float32)
        except (TypeError, ValueError):  # not numbers
            query = np.empty(0, np.float32)
        if query.shape != (1, dimension) or not np.isfinite(query).all() or not query.any():
            raise IndexingError(f"a query vector must have {dimension} finite values, not all of them zero.")
        request = SearchRequest(k, "dense", chosen_part(among), diversity, rerank=False)
        tools = self._search_tools(request)
        with self._storage.reading() as connection:
            self._check(read_built_with(connection))
            return search(connection, tools, request, [""], query / np.linalg.norm(query))[0]

    def candidates(self, queries: Sequence[str], among: Filter | None = None) -> list[Scores]:
        """Candidates of hybrid search with both scores, before fusion; used to measure and to fit weights."""
        request = SearchRequest(1, among=chosen_part(among), rerank=False)
        tools = self._search_tools(request)
        with self._searching(list(queries), request.mode) as (connection, vectors):
            return candidates(connection, tools, request, list(queries), vectors)

    def _search_tools(self, request: SearchRequest) -> SearchTools:
        """The parts of this index that the request needs; loads the reranker if it wants one."""
        reranker = self._models.reranker() if request.rerank else None
        return SearchTools(
            self._vectors,
            self._models.dictionary(),
            self.domain.settings.retrieval.dense_weight,
            self._sentence_vectors,
            reranker.scores if reranker else None,
        )

    @contextmanager
    def _searching(self, queries: list[str], mode: Mode) -> Iterator[tuple[sqlite3.Connection, Vectors | None]]:
        """A snapshot of a checked index, and the query vectors; saves the caches on exit."""
        with self._storage.reading() as connection:
            self._check(read_built_with(connection))
        vectors = self._models.embedder().encode_queries(queries) if queries and mode != "full_text" else None
        with self._storage.reading() as connection:
            self._check(read_built_with(connection))
            yield connection, vectors
        if vectors is not None and not (self._vectors.is_saved() and self._sentences.is_saved()):
            # If an update is running, skip this: the update saves the vectors at its end. Open a new snapshot, because
            # documents may have been deleted, or the index rebuilt, since the search.
            with suppress(IndexingError), only_writer(self._writer_lock, wait=0):
                with self._storage.reading() as now:
                    self._check(read_built_with(now))
                    self._vectors.save(now)
                self._sentences.save()

    def passage(self, passage_id: int) -> Passage:
        """The passage with an id that a search returned; ids of deleted passages are never reused."""
        with self._storage.reading() as connection:
            return read_passage(connection, passage_id)

    def shared_words(self, query: str, passage: Passage) -> list[str]:
        """Words of a question that occur in the text or titles of a passage; they explain a full-text match."""
        return shared_words(query, "\n".join([*passage.headings, passage.text]))

    def neighbours(self, passage_id: int, before: int = 1, after: int = 1) -> list[Passage]:
        """A passage with those before and after it in its document, in the order of the text."""
        with self._storage.reading() as connection:
            return read_neighbours(connection, passage_id, before, after)

    def exists(self) -> bool:
        """Whether the index file exists."""
        return self._storage.exists()

    @property
    def embedder(self) -> "Embedder":
        """The embedding model, loaded on first use."""
        return self._models.embedder()

    @property
    def reranker(self) -> "Reranker | None":
        """The reranker, loaded on first use; None if the domain has none."""
        return self._models.reranker()

    def documents(self) -> list[str]:
        """The files in the index, as sorted paths under ``documents/``."""
        with self._storage.reading() as connection:
            return [path for (path,) in connection.execute("SELECT path FROM documents WHERE given = 0 ORDER BY path")]

    def warnings(self) -> dict[str, str]:
        """Maps a file's path to what could not be read of it: the end of a sentence that begins with the file name."""
        with self._storage.reading() as connection:
            told = "SELECT path, warning FROM documents WHERE warning != '' AND given = 0 ORDER BY path"
            return dict(connection.execute(told).fetchall())

    def headings(self) -> list[tuple[str, ...]]:
        """The distinct title paths of the passages, sorted."""
        with self._storage.reading() as connection:
            rows = connection.execute("SELECT DISTINCT headings FROM passages ORDER BY headings")
            return [tuple(json.loads(headings)) for (headings,) in rows]

    def text(self, document: str, given: bool = False) -> str:
        """The text of a file as it was read, or an added text; ``start`` and ``end`` of passages are offsets in it."""
        with self._storage.reading() as connection:
            sql = "SELECT text FROM documents WHERE path = ? AND given = ?"
            row = connection.execute(sql, (document, given)).fetchone() if is_text(document) else None
        if row is None:
            raise IndexingError(f"{document} is not in the index (any more).")
        return row[0]

    @property
    def generation(self) -> str:
        """Version string; changes whenever the documents change, so that derived data can be matched to it."""
        with self._storage.reading() as connection:
            built = read_built_with(connection)
        return f"{built['identity']}-{built['generation']}"

    def meta(self, key: str) -> Any:
        """The value that :meth:`set_meta` stored under ``key``, or None; a rebuild deletes it."""
        with self._storage.reading() as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)) if is_text(key) else ()
            return next((json.loads(value) for (value,) in found), None)

    def set_meta(self, key: str, value: Any) -> None:
        """Store a small JSON value with the index, such as a calibration on its passages."""
        with self._storage.reading():
            pass  # raises if there is no index
        with self._storage.writing() as connection, transaction(connection):
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def _check(self, stored: dict[str, Any]) -> None:
        if "fingerprint" in stored and (why := difference(stored, self._models.tools().built_with)):
            raise IndexingError(f"The index {why}; rebuild it with: {self._storage.command} --rebuild")

    def _own_questions(self, connection: sqlite3.Connection) -> Vectors:
        """Question vectors of some sentences of the passages, used to measure recall."""
        return self._models.embedder().encode_queries(some_sentences(connection))
