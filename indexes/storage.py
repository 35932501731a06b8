"""``index/passages.sqlite`` stores documents, passages, full-text rows and vectors, and caches sentence vectors.

This file is the single source of truth of an index. Every change is one transaction in write-ahead mode: a reader sees
the state before or after it, and never waits. A process killed at any time leaves what it had committed. Each use opens
its own connection, so any number of threads and processes may read; one at a time may write (``writer_lock.py``).

Guarantees, tested in ``tests/indexes``: a passage id is never reused, even after a rebuild; the text, words and vectors
of a deleted document are overwritten in the file (``secure_delete``, and FTS5's ``optimize``, which drops what its
segments still contain).
"""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from domain import reading_database
from indexes.errors import IndexingError
from indexes.filters import has_metadata
from indexes.migrations import FORMATS, WORDS_SINCE, migrate

WAIT_SECONDS = 10.0
"""How long SQLite waits for a lock of another connection."""


@dataclass(frozen=True)
class BuiltWith:
    """The settings that an index depends on; any other value changes its passages or vectors."""

    embedder: str
    fingerprint: str
    splitter: int
    segmenter: int
    passage_tokens: int
    dictionary: str
    """SHA-256 of the custom dictionary; empty if there is none."""


class Storage:
    """The SQLite file of one index; holds no connection, so it may be shared between threads."""

    def __init__(self, path: Path, command: str) -> None:
        """``command`` builds or updates this index; it appears in messages."""
        self.path = path
        self.command = command

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection with one snapshot; raises :class:`IndexingError` if there is no index yet."""
        if not self.exists():
            raise IndexingError(f"There is no index in {self.path.parent} yet; build it with: {self.command}")
        with self._explained(), self._connected() as connection:
            self._check_format(connection)
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection for :func:`transaction`; creates the file or migrates it to the current format if needed."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._explained(), self._connected(create=True) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            self._migrate(connection)
            _new_ids_from_now(connection)
            yield connection

    def exists(self) -> bool:
        return self.path.exists()

    def is_sound(self) -> bool:
        """Whether SQLite finds no damage in the file; reads the whole file."""
        try:
            with self._explained(), self._connected() as connection:
                return connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
        except IndexingError as error:
            if _is_damage(error.__cause__):
                return False
            raise

    def erase(self) -> None:
        """Remove the file and its SQLite side files; it must not be in use."""
        for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
            self.path.with_name(name).unlink(missing_ok=True)

    def replace_by(self, other: "Storage") -> Path | None:
        """Copy the content of ``other`` in one transaction; current readers continue to see the old content.

        A damaged file, or one of a newer version, is moved aside instead; returns its new path.
        """
        aside = None
        if self.exists() and not (self.is_sound() and self._format() <= len(FORMATS)):
            aside = self.path.with_suffix(".damaged.sqlite")
            self.path.replace(aside)
            self.erase()
        with other._connected() as source, self.writing() as target:
            source.backup(target)
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return aside

    @contextmanager
    def _connected(self, create: bool = False) -> Iterator[sqlite3.Connection]:
        uri = f"{self.path.absolute().as_uri()}?mode=rwc"
        with (
            closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=WAIT_SECONDS))
            if create
            else reading_database(self.path, WAIT_SECONDS)
        ) as connection:
            connection.create_function("has_metadata", 2, has_metadata, deterministic=True)
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Convert SQLite errors into messages for users."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            reason = str(error)
            if "full" in reason or "disk I/O" in reason:
                advice = "free some space and run the command again; finished work is kept"
            elif "locked" in reason:
                advice = "another process is writing to it; try again later"
            elif "another user wrote" in reason:
                advice = "try again"
            elif "readonly" in reason or "unable to open" in reason:
                advice = "check that the folder exists and is writable"
            elif _is_damage(error):
                advice = f"the index is damaged; rebuild it with: {self.command} --rebuild"
            else:
                advice = "finished work is kept; run the command again, with --debug if it fails again"
            raise IndexingError(f"{self.path}: {reason}; {advice}.") from error

    def _format(self) -> int:
        with self._connected() as connection:
            return connection.execute("PRAGMA user_version").fetchone()[0]

    def _check_format(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(FORMATS):
            raise IndexingError(
                f"{self.path} was built by a newer Lorewright (format {version}, this one supports {len(FORMATS)}); "
                f"update Lorewright, or rebuild the index with: {self.command} --rebuild"
            )
        if version < len(FORMATS):
            command = f"{self.command} --rebuild" if version < WORDS_SINCE else self.command
            raise IndexingError(f"{self.path} has the older format {version}; migrate it with: {command}")

    def _migrate(self, connection: sqlite3.Connection) -> None:
        with transaction(connection):
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            migrate(connection, version)
            if version == 0:
                save_built_with(connection, {"generation": 0, "rows": 0, "words": 0})
                connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('passages', 0)")
                renew(connection)
        self._check_format(connection)


def _is_damage(error: BaseException | None) -> bool:
    """Whether SQLite reports that the file is damaged or not a database."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block atomically: commit at its end, roll back if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def renew(connection: sqlite3.Connection, above: int = 0) -> None:
    """Give the file a new identity, so that caches of other files do not match and passage ids are never reused.

    Ids continue from ``above`` or from the current time in microseconds, whichever is higher.
    """
    save_built_with(connection, {"identity": uuid.uuid4().hex})
    _new_ids_from_now(connection, above)


def newest_id(connection: sqlite3.Connection) -> int:
    """The highest passage id ever assigned."""
    return connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'passages'").fetchone()[0]


def _new_ids_from_now(connection: sqlite3.Connection, above: int = 0) -> None:
    """Continue ids from the current time in microseconds, so that ids of a lost or restored file are not reused."""
    now = max(time.time_ns() // 1000, above)
    connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'passages'", (now,))


def read_built_with(connection: sqlite3.Connection) -> dict[str, Any]:
    """The fields of :class:`BuiltWith`, if set, and ``identity``, ``generation``, ``rows`` and ``words``."""
    return {key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM built_with")}


def save_built_with(connection: sqlite3.Connection, values: dict[str, Any] | BuiltWith) -> None:
    """Set some of the values that :func:`read_built_with` returns."""
    pairs = asdict(values) if isinstance(values, BuiltWith) else values
    rows = [(key, json.dumps(value)) for key, value in pairs.items()]
    connection.executemany("INSERT OR REPLACE INTO built_with VALUES (?, ?)", rows)
