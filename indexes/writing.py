"""Stores documents in the tables and removes them. The caller, the only writer, opens the transactions."""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from indexes.dictionary import Dictionary
from indexes.duplicates import saying_of
from indexes.language import language_of
from indexes.migrations import embedding_key
from indexes.readers import Extracted
from indexes.search_words import indexed_words
from indexes.spellings import date_order
from indexes.splitting import Piece
from indexes.storage import WAIT_SECONDS, read_built_with, save_built_with, transaction


@dataclass(frozen=True)
class Record:
    """The stored metadata of a document."""

    path: str
    """Path under ``documents/``; the id for an added text."""
    given: bool
    """Whether it is an added text, which an update of the folder does not change, and not a file."""
    size: int
    mtime_ns: int
    """Compared with the file by the next update; -1 forces a check of the content."""
    ctime_ns: int
    """Compared too: detects a file replaced by another one with the same name, size and time."""
    modified_ns: int
    """When the document was last modified, for date filters."""
    sha256: str
    metadata: str = "{}"


class Writer:
    """Stores and removes documents through one connection."""

    def __init__(self, connection: sqlite3.Connection, dictionary: Dictionary) -> None:
        self.connection = connection
        self.dictionary = dictionary

    def store(self, record: Record, document: Extracted, pieces: Sequence[Piece], vectors: Sequence[bytes]) -> None:
        """Add a document with its passages; passages with a text that is already stored get no second full-text row."""
        document_id = self.connection.execute(
            "INSERT INTO documents (path, given, size, mtime_ns, ctime_ns, modified_ns, sha256, metadata, format, "
            "needs_ocr, warning, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(record.path, record.given, record.size, record.mtime_ns, record.ctime_ns, record.modified_ns),
                *(record.sha256, record.metadata, document.format, document.needs_ocr, document.warning, document.text),
            ),
        ).lastrowid
        line, counted, order = 1, 0, date_order(document.text)
        for piece, vector in zip(pieces, vectors, strict=True):
            line, counted = line + document.text.count("\n", counted, piece.start), piece.start
            headings = json.dumps(piece.headings, ensure_ascii=False)
            text = document.text[piece.start : piece.end]
            saying = saying_of(headings, text)
            same = self.connection.execute("SELECT id FROM passages WHERE saying = ? AND same_as IS NULL", (saying,))
            same_as = next((row[0] for row in same), None)
            passage = self.connection.execute(
                "INSERT INTO passages (document_id, start, end, line, page, slide, sheet, headings, language, text, "
                "key, saying, same_as) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(document_id, piece.start, piece.end, line, piece.page, piece.slide, piece.sheet, headings),
                    *(language_of(text), text, embedding_key(piece.embedded), saying, same_as),
                ),
            ).lastrowid
            assert passage is not None
            self.connection.execute("INSERT INTO vectors (passage_id, vector) VALUES (?, ?)", (passage, vector))
            if same_as is None:
                self._make_searchable(passage, headings, text, order)
        self.next_generation()

    def forget(self, document_id: int, vectors: dict[bytes, bytes] | None = None) -> None:
        """Remove a document; if other passages refer to a passage of it as the same text, one of them replaces it.

        ``vectors`` receives the removed vectors by embedding key, for reuse if the same text appears again.
        """
        if vectors is not None:
            vectors.update(
                self.connection.execute(
                    "SELECT key, vector FROM passages JOIN vectors ON passage_id = id WHERE document_id = ?",
                    (document_id,),
                )
            )
        here = "SELECT id FROM passages WHERE document_id = ?"
        heirs = self.connection.execute(
            f"SELECT same_as, min(id) FROM passages WHERE same_as IN ({here}) AND document_id != ? GROUP BY same_as",
            (document_id, document_id),
        ).fetchall()
        kept = f"{here} AND same_as IS NULL"
        rows = self.connection.execute(
            f"SELECT words FROM full_text WHERE rowid IN ({kept})", (document_id,)
        ).fetchall()
        self._count(-len(rows), -sum(words.count(" ") + 1 for (words,) in rows if words))
        self.connection.execute(f"DELETE FROM full_text WHERE rowid IN ({kept})", (document_id,))
        self.connection.execute(f"DELETE FROM vectors WHERE passage_id IN ({here})", (document_id,))
        for gone, heir in heirs:
            self.connection.execute("UPDATE passages SET same_as = ? WHERE same_as = ?", (heir, gone))
            self.connection.execute("UPDATE passages SET same_as = NULL WHERE id = ?", (heir,))
            headings, text, document = self.connection.execute(
                "SELECT p.headings, p.text, d.text FROM passages p JOIN documents d ON d.id = p.document_id "
                "WHERE p.id = ?",
                (heir,),
            ).fetchone()
            self._make_searchable(heir, headings, text, date_order(document))
        self.connection.execute("UPDATE passages SET same_as = NULL WHERE document_id = ?", (document_id,))
        self.connection.execute("DELETE FROM passages WHERE document_id = ?", (document_id,))
        self.connection.execute("DELETE FROM documents WHERE id = ?", (document_id,))
        self.next_generation(traces=True)

    def next_generation(self, traces: bool = False) -> None:
        """Record a change; ``traces`` means that content was removed and the file may still contain remains of it.

        Generations follow the clock, so that those of a file restored from a backup are not reused.
        """
        generation = max(read_built_with(self.connection)["generation"] + 1, time.time_ns() // 1000)
        save_built_with(self.connection, {"generation": generation} | ({"traces": True} if traces else {}))

    def erase_traces(self) -> None:
        """Overwrite what the full-text segments and the write-ahead log still contain of removed documents.

        Opens its own transaction.
        """
        if read_built_with(self.connection).get("traces"):
            self.connection.execute("INSERT INTO full_text (full_text) VALUES ('optimize')")
            self.connection.execute("PRAGMA busy_timeout = 0")
            (busy, *_) = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self.connection.execute(f"PRAGMA busy_timeout = {int(1000 * WAIT_SECONDS)}")
            if not busy:  # a reader still needs the log: the next update tries again
                with transaction(self.connection):
                    save_built_with(self.connection, {"traces": False})

    def erase_unstored(self) -> None:
        """Delete vectors that an interrupted update saved and no later one used: their text may be deleted."""
        if _has_unstored(self.connection):
            with transaction(self.connection):
                left = self.connection.execute("SELECT count(*) FROM unstored").fetchone()[0]
                self.connection.execute("DROP TABLE unstored")
                if left:
                    save_built_with(self.connection, {"traces": True})

    def _make_searchable(self, passage: int, headings: str, text: str, order: str) -> None:
        titles = json.loads(headings)
        words = indexed_words("\n\n".join([*titles, text]), self.dictionary, order)
        self.connection.execute("INSERT INTO full_text (rowid, words) VALUES (?, ?)", (passage, " ".join(words)))
        self._count(1, len(words))

    def _count(self, rows: int, words: int) -> None:
        """Maintain the full-text totals: BM25 needs them, and counting a million rows takes as long as a search."""
        built = read_built_with(self.connection)
        save_built_with(self.connection, {"rows": built["rows"] + rows, "words": built["words"] + words})


def stored_vectors(connection: sqlite3.Connection, keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """The stored vectors with these embedding keys, from any document."""
    found = {}
    for key in set(keys):
        row = connection.execute(
            "SELECT vector FROM passages JOIN vectors ON passage_id = passages.id WHERE key = ? LIMIT 1", (key,)
        ).fetchone()
        if row:
            found[key] = row[0]
    return found


_UNSTORED = """
    CREATE TABLE IF NOT EXISTS unstored (
        key BLOB NOT NULL, fingerprint TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (key, fingerprint)
    )
"""
"""Vectors of documents that are being embedded. The table exists from the first of them to the end of a successful
update; searches do not read it, so no format of ``migrations.py`` includes it."""


def keep_unstored(connection: sqlite3.Connection, fingerprint: str, vectors: dict[bytes, bytes]) -> None:
    """Save vectors, by embedding key, so that an update can continue after an interruption."""
    with transaction(connection):
        connection.execute(_UNSTORED)
        rows = [(key, fingerprint, vector) for key, vector in vectors.items()]
        connection.executemany("INSERT OR REPLACE INTO unstored VALUES (?, ?, ?)", rows)


def unstored_vectors(connection: sqlite3.Connection, fingerprint: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """The vectors with these keys that an interrupted update saved with the embedder of this fingerprint."""
    if not _has_unstored(connection):
        return {}
    sql = "SELECT key, vector FROM unstored WHERE key = ? AND fingerprint = ?"
    return {key: vector for one in keys for key, vector in connection.execute(sql, (one, fingerprint))}


def forget_unstored(connection: sqlite3.Connection, keys: Iterable[bytes]) -> None:
    """Remove the saved vectors of documents that are stored now."""
    if _has_unstored(connection):
        with transaction(connection):
            connection.executemany("DELETE FROM unstored WHERE key = ?", [(key,) for key in keys])


def _has_unstored(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'unstored'").fetchone() is not None
