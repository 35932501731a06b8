"""Opening a file of the documents folder, and never one to which a link leads, whatever is swapped meanwhile."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path, PurePosixPath

from indexes.errors import IndexingError


def open_document(folder: Path, name: str) -> BufferedReader:
    """The regular file that lies at ``name`` under ``folder``; no part of ``name`` may be a link, ``folder`` may.

    Raises :class:`IndexingError`, the end of a sentence, for what is no file, and :class:`OSError`.
    """
    opened = _step_by_step(folder, name) if os.open in os.supports_dir_fd else _and_compared(folder, name)
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise IndexingError("is not a regular file")
    except BaseException:
        os.close(opened)
        raise
    return os.fdopen(opened, "rb")


def _step_by_step(folder: Path, name: str) -> int:
    """Each folder is opened from the one above it, so that none can be replaced by a link on the way."""
    *folders, last = PurePosixPath(name).parts
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for one in folders:
            inner = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = inner
        return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)  # a pipe would keep it waiting
    finally:
        os.close(place)


def _and_compared(folder: Path, name: str) -> int:
    """Where folders cannot be opened (Windows): what was opened must be what lies there without any link."""
    opened = os.open(folder / name, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        found = (folder / name).resolve(strict=True)
        if not (found.is_relative_to(folder.resolve()) and os.path.samestat(os.fstat(opened), found.stat())):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    except BaseException:
        os.close(opened)
        raise
    return opened
