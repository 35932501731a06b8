"""The lock that allows one writer at a time: an update, a rebuild, or a call that adds texts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexes.errors import IndexingError

WAIT_SECONDS = 10.0
"""How long a writer waits for another one."""


@contextmanager
def only_writer(lock: Path, wait: float | None = None) -> Iterator[None]:
    """Hold the lock file ``lock``; the operating system releases it even if the process is killed.

    Raises :class:`IndexingError` with the process id of the holder if the lock is not free within ``wait`` seconds
    (default: :data:`WAIT_SECONDS`).
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=WAIT_SECONDS if wait is None else wait)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
        lock.write_text(str(os.getpid()), encoding="ascii")
    except Timeout:
        holder = lock.read_text(encoding="ascii").strip() or "unknown"
        raise IndexingError(f"{lock.parent} is being written by process {holder}; wait until it ends.") from None
    except OSError as error:
        held.release()
        raise IndexingError(f"{lock.parent} is not writable: {error.strerror}.") from None
    try:
        yield
    finally:
        held.release()
