"""Opens SQLite files for reading, also on read-only storage."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def reading_database(path: Path, wait_seconds: float = 5.0) -> Iterator[sqlite3.Connection]:
    """A read-only connection to an SQLite file, in autocommit mode; other processes may write to it.

    Reading a file in write-ahead mode needs files beside it (-wal, -shm). Where there are none and this user cannot
    create them, nobody is writing, and the file is opened as immutable. If its owner writes meanwhile,
    :class:`sqlite3.OperationalError` is raised at the end, because the reads may not be of one state.
    """
    immutable = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    before = _state(path) if immutable else None
    uri = f"{path.absolute().as_uri()}?mode={'ro&immutable=1' if immutable else 'rw'}"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=wait_seconds)) as connection:
            yield connection
    finally:
        if immutable and _state(path) != before:
            raise sqlite3.OperationalError("another user wrote to it while it was read")


def _state(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
