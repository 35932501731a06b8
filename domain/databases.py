"""Reading SQLite files, also where this user may not write."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def reading_database(path: Path, wait_seconds: float = 5.0) -> Iterator[sqlite3.Connection]:
    """A connection to an SQLite file for reading only, in autocommit mode; others may be writing to it.

    A file in write-ahead mode is read by means of files beside it. Where there are none and this user cannot make
    them, nobody is writing, and the file is read as it lies. Should its owner begin to write meanwhile, what was read
    is no one state of it: then :class:`sqlite3.OperationalError` is raised at the end.
    """
    as_it_lies = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    before = _state(path) if as_it_lies else None
    uri = f"{path.absolute().as_uri()}?mode={'ro&immutable=1' if as_it_lies else 'rw'}"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=wait_seconds)) as connection:
            yield connection
    finally:
        if as_it_lies and _state(path) != before:
            raise sqlite3.OperationalError("another user wrote to it while it was read")


def _state(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
