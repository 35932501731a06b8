"""Open a file of the documents folder, and never the target of a link, even if names are swapped meanwhile."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path, PurePosixPath

from indexes.errors import IndexingError


def open_document(folder: Path, name: str) -> BufferedReader:
    """Open the regular file ``name`` under ``folder``; no part of ``name`` may be a link, ``folder`` may be one.

    Raises :class:`OSError`, and for anything but a regular file :class:`IndexingError` with the end of a sentence.
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
    """Open each folder relative to the one above it, so that none can be replaced by a link meanwhile."""
    *folders, last = PurePosixPath(name).parts
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for one in folders:
            inner = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = inner
        return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)  # a pipe would block
    finally:
        os.close(place)


def _and_compared(folder: Path, name: str) -> int:
    """Where folders cannot be opened (Windows): the opened file must be the one found without following links."""
    opened = os.open(folder / name, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        found = (folder / name).resolve(strict=True)
        if not (found.is_relative_to(folder.resolve()) and os.path.samestat(os.fstat(opened), found.stat())):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    except BaseException:
        os.close(opened)
        raise
    return opened
