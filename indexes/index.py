"""The index of one domain, as the other rooms use it."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

import numpy as np

from domain import Domain, is_text
from indexes.errors import IndexingError
from indexes.evidence import Evidence, SentenceVectors, evidence
from indexes.language import SEGMENTER_VERSION
from indexes.search import CANDIDATES, Mode, Passage, Scores, candidates, read_passage, search
from indexes.splitting import SPLITTER_VERSION
from indexes.storage import BuiltWith, Storage, only_writer, read_built_with, renew, transaction
from indexes.update import Progress, UpdateReport, difference, follow
from indexes.vectors import VectorCache

if TYPE_CHECKING:
    from base_models import Embedder

MOST_PASSAGES = 10_000
"""The most that one search can ask for."""


class Index:
    """Finds passages of a domain's documents; may be shared between threads.

    .. code-block:: python

        with Index.open("tea-shop") as index:
            index.update()
            passages = index.search("水温", k=5)

    Opening reads nothing. The embedder is loaded when vectors are first needed: by a question, or by an update
    that finds something new. All methods raise :class:`IndexingError` when there is no index yet (but ``update``), when
    it is damaged, or when it was built with another embedder or other settings than the domain has now.
    """

    def __init__(self, domain: Domain, embedder: "Embedder | None" = None) -> None:
        self.domain = domain
        self._given = self._embedder = embedder
        self._embedder_lock = threading.Lock()
        self._storage = Storage(domain.index / "passages.sqlite", domain.command("index"))
        self._vectors = VectorCache(domain.index / "vectors.faiss")
        self._sentences = SentenceVectors()
        self._writer_lock = domain.index / "writer.lock"

    @classmethod
    def open(cls, domain: str | Path | Domain, embedder: "Embedder | None" = None) -> Self:
        """The index of a domain, or of the domain in a folder; ``embedder`` replaces the one that domain.toml names."""
        return cls(domain if isinstance(domain, Domain) else Domain.open(domain), embedder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the embedder, unless it was given, and of the vectors in memory; a later call loads them again."""
        self._embedder = self._given
        self._vectors = VectorCache(self.domain.index / "vectors.faiss")

    def update(self, rebuild: bool = False, progress: Progress | None = None) -> UpdateReport:
        """Follow the documents folder: read what is new or changed, forget what is gone.

        ``progress(done, total, document)`` is told the bytes of documents. ``rebuild`` reads everything anew, as other
        settings or another embedder need it; the old index answers until the new one is whole. Interrupted, either
        keeps the documents that are finished, and the next call goes on. Documents that cannot be read are named in
        the report. Raises :class:`IndexingError` when there are no documents, or when another process is updating.
        """
        report_progress = progress or _silent
        with only_writer(self._writer_lock):
            if rebuild:
                report = self._rebuild(report_progress)
            else:
                report = follow(self._storage, self.domain.documents, self._built_with(), self._loaded, report_progress)
            with self._storage.reading() as connection:
                self._vectors.save(connection)
        return report

    def _rebuild(self, progress: Progress) -> UpdateReport:
        """Make a second index beside the present one, and then its content that of the present one."""
        built_with = self._built_with()
        fresh = Storage(self.domain.index / "rebuilding.sqlite", f"{self._storage.command} --rebuild")
        if fresh.exists() and (not fresh.is_sound() or _differs(fresh, built_with)):
            fresh.erase()
        with fresh.writing() as connection, transaction(connection):
            renew(connection)
        report = follow(fresh, self.domain.documents, built_with, self._loaded, progress)
        self._storage.replace_by(fresh)
        fresh.erase()
        return report

    def search(self, query: str, k: int | None = None, mode: Mode = "hybrid") -> list[Passage]:
        """The ``k`` best passages for a question (default: the domain's ``retrieval.k``), the best first.

        ``mode`` "dense" goes by meaning alone, "full_text" by words alone (no model is loaded), "hybrid" by both,
        weighted by the domain's ``retrieval.dense_weight``.
        """
        return self.search_many([query], k, mode)[0]

    def search_many(self, queries: Sequence[str], k: int | None = None, mode: Mode = "hybrid") -> list[list[Passage]]:
        """:meth:`search` for several questions, embedded together; all of them see one state of the index."""
        settings = self.domain.settings.retrieval
        if mode not in get_args(Mode):
            raise IndexingError(f"{mode!r} is not a way to search; use one of: {', '.join(get_args(Mode))}.")
        count = settings.k if k is None else k
        if not 1 <= count <= MOST_PASSAGES:
            raise IndexingError(f"k is {count}, but a search asks for 1 to {MOST_PASSAGES:,} passages.")
        if not all(map(is_text, queries)):
            raise IndexingError("a question is not valid text: it holds half a character.")
        asked = [query for query in queries if query.strip()]
        with self._searching(asked, mode) as (connection, vectors):
            results = iter(search(connection, self._vectors, asked, vectors, count, mode, settings.dense_weight))
        return [next(results) if query.strip() else [] for query in queries]

    def candidates(self, queries: Sequence[str]) -> list[Scores]:
        """What hybrid search chooses from, with both scores, before they become one: to measure or to fit weights."""
        with self._searching(list(queries), "hybrid") as (connection, vectors):
            return candidates(connection, self._vectors, list(queries), vectors, CANDIDATES, "hybrid")

    @contextmanager
    def _searching(
        self, queries: list[str], mode: Mode
    ) -> Iterator[tuple[sqlite3.Connection, np.ndarray[Any, np.dtype[np.float32]] | None]]:
        """One state of a checked index, and the vectors of the queries; on leaving, the vector cache is mended."""
        with self._storage.reading() as connection:
            self._check(read_built_with(connection))
        vectors = self._loaded().encode_queries(queries) if queries and mode != "full_text" else None
        with self._storage.reading() as connection:
            self._check(read_built_with(connection))
            yield connection, vectors
            if vectors is not None and not self._vectors.is_saved():
                # while an update is at work the cache is left alone, it will be written at its end
                with suppress(IndexingError), only_writer(self._writer_lock, wait=0):
                    self._vectors.save(connection)

    def evidence(self, questions: Sequence[str], found: Sequence[Sequence[Passage]]) -> list[Evidence]:
        """What speaks for each question's passages, one or more that were found for it, as the answer."""
        embedder = self._loaded()
        sentences = self._sentences.of([p for passages in found for p in passages], embedder.encode_passages)
        vectors = embedder.encode_queries(questions)
        with self._storage.reading() as connection:
            return [
                evidence(connection, question, vector, passages, sentences)
                for question, vector, passages in zip(questions, vectors, found, strict=True)
            ]

    def passage(self, passage_id: int) -> Passage:
        """A passage by the id that a search gave; ids of passages that are gone never mean another one."""
        with self._storage.reading() as connection:
            return read_passage(connection, passage_id)

    def documents(self) -> list[str]:
        """The documents in the index, as sorted paths under ``documents/``."""
        with self._storage.reading() as connection:
            return [path for (path,) in connection.execute("SELECT path FROM documents ORDER BY path")]

    def headings(self) -> list[tuple[str, ...]]:
        """The distinct title paths of the passages, sorted."""
        with self._storage.reading() as connection:
            rows = connection.execute("SELECT DISTINCT headings FROM passages ORDER BY headings")
            return [tuple(json.loads(headings)) for (headings,) in rows]

    def text(self, document: str) -> str:
        """The text of a document as it was read; passages' ``start`` and ``end`` count its characters."""
        with self._storage.reading() as connection:
            row = connection.execute("SELECT text FROM documents WHERE path = ?", (document,)).fetchone()
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
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_meta(self, key: str, value: Any) -> None:
        """Store a small JSON value with the index, such as what was calibrated on its passages."""
        with self._storage.reading():
            pass  # raises where there is no index to store it with
        with self._storage.writing() as connection, transaction(connection):
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def _built_with(self) -> BuiltWith:
        """What an index made now would depend on; loads no model."""
        from base_models import fingerprint

        settings = self.domain.settings
        given = self._embedder
        return BuiltWith(
            embedder=given.name if given else settings.embedder,
            fingerprint=given.fingerprint if given else fingerprint(settings.embedder),
            splitter=SPLITTER_VERSION,
            segmenter=SEGMENTER_VERSION,
            passage_tokens=settings.retrieval.passage_tokens,
        )

    def _check(self, stored: dict[str, Any]) -> None:
        if "fingerprint" in stored and (why := difference(stored, self._built_with())):
            raise IndexingError(f"The index {why}. Make it again with: {self._storage.command} --rebuild")

    def _loaded(self) -> "Embedder":
        from base_models import load_embedder

        with self._embedder_lock:
            if self._embedder is None:
                self._embedder = load_embedder(self.domain.settings.embedder)
            return self._embedder


def _differs(storage: Storage, built_with: BuiltWith) -> bool:
    """Whether a rebuild that was interrupted cannot be gone on with."""
    try:
        with storage.reading() as connection:
            stored = read_built_with(connection)
    except IndexingError:  # killed before its first commit, or made by another version
        return True
    return "fingerprint" not in stored or bool(difference(stored, built_with))


def _silent(_done: int, _total: int, _document: str) -> None:
    """Progress that nobody wants to see."""
