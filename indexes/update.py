"""Following the folder: what is new is read, what changed is read again, what is gone is forgotten.

A file whose size and time are as they were is not opened; one whose content is the same by SHA-256 is not embedded.
Many documents are embedded together, because that is faster, and then stored one transaction each. An update that
is interrupted keeps the documents that it stored, and the next one goes on from there.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexes.errors import IndexingError
from indexes.language import words_of
from indexes.readers import Extracted, read_document
from indexes.scanning import Found, scan
from indexes.splitting import Piece, split
from indexes.storage import BuiltWith, Storage, read_built_with, save_built_with, transaction

if TYPE_CHECKING:
    from base_models import Embedder

Progress = Callable[[int, int, str], None]
"""Told the bytes of documents done, those to do in all, and the document that is at work."""

GROUP_PASSAGES = 128
"""Passages embedded together at least; an interruption costs no more than one such group."""

SETTLED_NS = 2_000_000_000
"""A file changed this shortly before it was read might change again within one tick of the file system's clock."""


@dataclass(frozen=True)
class UpdateReport:
    """What an update found, as paths under ``documents/``."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Documents that were left out, each with the reason; they are tried again at the next update."""
    warnings: list[tuple[str, str]] = field(default_factory=list)
    """Documents in the index of which a part could not be read, such as scanned pages."""
    passages: int = 0
    """In the whole index, after the update."""


@dataclass(frozen=True)
class _Known:
    """A stored document."""

    id: int
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class _Read:
    """A document that was read and divided, and waits for its vectors."""

    path: str
    listed_size: int
    """What progress counts; ``size`` is what was read."""
    size: int
    mtime_ns: int
    sha256: str
    document: Extracted
    pieces: list[Piece]


def follow(
    storage: Storage, documents: Path, built_with: BuiltWith, embedder: "Callable[[], Embedder]", progress: Progress
) -> UpdateReport:
    """Bring the index to what lies in ``documents``. ``embedder`` is called only when something must be embedded."""
    if not documents.is_dir():
        raise IndexingError(f"{documents} does not exist; make the folder and put your documents into it.")
    found = scan(documents)
    with storage.writing() as connection:
        return _Update(connection, documents, built_with, embedder, progress).run(found, storage.command)


def difference(stored: dict[str, object], now: BuiltWith) -> str:
    """Why an index that was built with ``stored`` cannot be used now, as a clause; empty when it can."""
    if stored["fingerprint"] != now.fingerprint:
        if stored["embedder"] != now.embedder:
            return f"was made with the embedder {stored['embedder']}, but domain.toml names {now.embedder}"
        return f"was made with other weights of the embedder {now.embedder}"
    if stored["passage_tokens"] != now.passage_tokens:
        return f"was made with passage_tokens = {stored['passage_tokens']}, but domain.toml says {now.passage_tokens}"
    if (stored["splitter"], stored["segmenter"]) != (now.splitter, now.segmenter):
        return "was made by another version of Lorewright, which divided texts differently"
    return ""


class _Update:
    """One pass over the folder with one connection."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        documents: Path,
        built_with: BuiltWith,
        embedder: "Callable[[], Embedder]",
        progress: Progress,
    ) -> None:
        self.connection = connection
        self.documents = documents
        self.built_with = built_with
        self.embedder = embedder
        self.progress = progress
        self.report = UpdateReport()
        self.known = {
            path: _Known(*row)
            for path, *row in connection.execute("SELECT path, id, size, mtime_ns, sha256 FROM documents")
        }
        self.done_bytes = self.total_bytes = 0

    def run(self, found: Found, command: str) -> UpdateReport:
        if not self.known:
            if not found.files and not found.failed:
                raise IndexingError(f"{self.documents} holds no documents; put files into it (txt, md, html, pdf).")
            with transaction(self.connection):
                save_built_with(self.connection, self.built_with)
        elif why := difference(read_built_with(self.connection), self.built_with):
            raise IndexingError(f"The index {why}. Make it again with: {command} --rebuild")
        self.report.failed.extend(found.failed)
        self.forget_what_is_gone(found)
        self.read(found.files)
        self.erase_traces()
        rows = self.connection.execute("SELECT path, warning FROM documents WHERE warning != '' ORDER BY path")
        self.report.warnings.extend(rows.fetchall())
        for paths in (self.report.added, self.report.changed, self.report.unchanged, self.report.failed):
            paths.sort()
        (passages,) = self.connection.execute("SELECT count(*) FROM passages").fetchone()
        return replace(self.report, passages=passages)

    def forget_what_is_gone(self, found: Found) -> None:
        refused = {path for path, _ in found.failed}
        for path in sorted(set(self.known) - set(found.files)):
            if any(path.startswith(f"{folder}/") for folder in found.unlisted):
                self.report.unchanged.append(path)
                continue
            with transaction(self.connection):
                self.forget(path)
            if path not in refused:
                self.report.deleted.append(path)

    def read(self, files: dict[str, os.stat_result]) -> None:
        """Read, embed and store every file that is new or looks changed."""
        to_read = []
        for path, status in sorted(files.items()):
            known = self.known.get(path)
            if known and (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns):
                self.report.unchanged.append(path)
            else:
                to_read.append((path, status))
        self.total_bytes = sum(status.st_size for _, status in to_read)
        group: list[_Read] = []
        for path, status in to_read:
            self.progress(self.done_bytes, self.total_bytes, path)
            try:
                read = self.read_one(path, status)
            except IndexingError as error:
                self.fail(path, str(error))
            else:
                if read:
                    group.append(read)
                    if sum(len(waiting.pieces) for waiting in group) >= GROUP_PASSAGES:
                        self.embed_and_store(group)
                        group = []
                    continue
            self.done_bytes += status.st_size
        self.embed_and_store(group)
        if to_read:
            self.progress(self.total_bytes, self.total_bytes, to_read[-1][0])

    def read_one(self, path: str, status: os.stat_result) -> _Read | None:
        """The document in passages; None when its content is what is stored already."""
        started_ns = time.time_ns()
        try:
            data = (self.documents / path).read_bytes()
        except OSError as error:
            raise IndexingError(f"cannot be read: {error.strerror}") from None
        sha256 = hashlib.sha256(data).hexdigest()
        # -1 is no file's time: a file that is still settling is looked at again next time
        mtime_ns = status.st_mtime_ns if started_ns - status.st_mtime_ns > SETTLED_NS else -1
        known = self.known.get(path)
        if known and known.sha256 == sha256:
            with transaction(self.connection):
                sql = "UPDATE documents SET size = ?, mtime_ns = ? WHERE id = ?"
                self.connection.execute(sql, (len(data), mtime_ns, known.id))
            self.report.unchanged.append(path)
            return None
        document = read_document(path, data)
        pieces: list[Piece] = []
        if document.blocks:
            embedder = self.embedder()
            pieces = split(document, embedder.token_offsets, self.built_with.passage_tokens, embedder.max_tokens)
        return _Read(path, status.st_size, len(data), mtime_ns, sha256, document, pieces)

    def fail(self, path: str, reason: str) -> None:
        """Leave a document out; what an earlier version of it said is no longer in the folder."""
        self.report.failed.append((path, reason))
        if path in self.known:
            with transaction(self.connection):
                self.forget(path)

    def embed_and_store(self, group: list[_Read]) -> None:
        """One call of the embedder for all passages that did not stand in the document before; one transaction each."""
        stored = {read.path: self.stored_vectors(read.path) for read in group}
        texts = [
            piece.embedded for read in group for piece in read.pieces if _key(read, piece) not in stored[read.path]
        ]
        vectors = iter(self.embed(texts, sum(read.listed_size for read in group), group[-1].path) if texts else [])
        for read in group:
            old = stored[read.path]
            rows = [old[key] if (key := _key(read, piece)) in old else next(vectors).tobytes() for piece in read.pieces]
            with transaction(self.connection):
                self.forget(read.path)
                self.store(read, rows)
            (self.report.changed if read.path in self.known else self.report.added).append(read.path)
        self.done_bytes += sum(read.listed_size for read in group)

    def embed(self, texts: list[str], size: int, path: str) -> np.ndarray:
        """float32 [len(texts), d]; progress counts the bytes of the group by the share of its texts that are done."""
        done = 0

        def advance(newly: int) -> None:
            nonlocal done
            done += newly
            self.progress(self.done_bytes + size * done // len(texts), self.total_bytes, path)

        return self.embedder().encode_passages(texts, advance)

    def stored_vectors(self, path: str) -> dict[tuple[str, str], bytes]:
        """The vectors of a document that is about to change, by title path and text."""
        if path not in self.known:
            return {}
        rows = self.connection.execute(
            "SELECT headings, text, vector FROM passages WHERE document_id = ?", (self.known[path].id,)
        )
        return {(headings, text): vector for headings, text, vector in rows}

    def forget(self, path: str) -> None:
        """Remove a document, if it is stored; inside a transaction."""
        if known := self.known.get(path):
            passages = "SELECT id FROM passages WHERE document_id = ?"
            self.connection.execute(f"DELETE FROM full_text WHERE rowid IN ({passages})", (known.id,))
            self.connection.execute("DELETE FROM passages WHERE document_id = ?", (known.id,))
            self.connection.execute("DELETE FROM documents WHERE id = ?", (known.id,))
            self.next_generation(traces=True)

    def store(self, read: _Read, vectors: list[bytes]) -> None:
        """Add a document with its passages; inside a transaction."""
        text = read.document.text
        document_id = self.connection.execute(
            "INSERT INTO documents (path, size, mtime_ns, sha256, warning, text) VALUES (?, ?, ?, ?, ?, ?)",
            (read.path, read.size, read.mtime_ns, read.sha256, read.document.warning, text),
        ).lastrowid
        line, counted = 1, 0
        for piece, vector in zip(read.pieces, vectors, strict=True):
            line, counted = line + text.count("\n", counted, piece.start), piece.start
            headings = json.dumps(piece.headings, ensure_ascii=False)
            passage = text[piece.start : piece.end]
            passage_id = self.connection.execute(
                "INSERT INTO passages (document_id, start, end, line, page, headings, text, vector) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (document_id, piece.start, piece.end, line, piece.page, headings, passage, vector),
            ).lastrowid
            words = words_of("\n\n".join([*piece.headings, passage]))
            self.connection.execute("INSERT INTO full_text (rowid, words) VALUES (?, ?)", (passage_id, " ".join(words)))
        self.next_generation()

    def next_generation(self, traces: bool = False) -> None:
        generation = read_built_with(self.connection)["generation"] + 1
        save_built_with(self.connection, {"generation": generation} | ({"traces": True} if traces else {}))

    def erase_traces(self) -> None:
        """Overwrite what the full-text segments and the write-ahead log still hold of removed documents."""
        if read_built_with(self.connection).get("traces"):
            self.connection.execute("INSERT INTO full_text (full_text) VALUES ('optimize')")
            (busy, *_) = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:  # a reader still needs the log: the next update tries again
                with transaction(self.connection):
                    save_built_with(self.connection, {"traces": False})


def _key(read: _Read, piece: Piece) -> tuple[str, str]:
    """What decides a passage's vector, as :meth:`_Update.stored_vectors` has it."""
    return json.dumps(piece.headings, ensure_ascii=False), read.document.text[piece.start : piece.end]
