"""Atomic writes: a file or folder is whole or absent, also when the process is killed or the disk is full.

It is written under a temporary name beside its destination, flushed to the disk, and then renamed; rename is atomic on
POSIX and on NTFS. A crash leaves a name with the suffix ``.partial`` and the number of its process; the next write to
the same place removes it.
"""

import glob
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PARTIAL = ".partial"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; on leaving without an error it becomes ``path``, flushed to the disk."""
    partial = _partial(path)
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
        _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; on leaving without an error it becomes ``path``, replacing an older one.

    The older folder is renamed before it is deleted, so that ``path`` is never half a folder. A process that is killed
    between the two renames leaves no folder there; the next write to the same place first restores the older one.
    """
    partial = _partial(path)
    older = partial.with_suffix(f".older{PARTIAL}")
    partial.mkdir()
    try:
        yield partial
        for file in [*partial.rglob("*"), partial]:
            _flush(file)
        if path.exists():
            path.replace(older)
        partial.replace(path)
        _flush(path.parent)
    finally:
        if older.exists() and not path.exists():
            older.replace(path)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically, as UTF-8 with ``\\n`` line ends."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def _partial(path: Path) -> Path:
    """A temporary name beside ``path``; removes what killed processes left there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f"{os.getpid()}-{threading.get_ident()}"
    for left in path.parent.glob(f"{glob.escape(path.name)}.*{PARTIAL}"):
        writer = re.fullmatch(r"((\d+)-\d+)(\.older)?", left.name[len(path.name) + 1 : -len(PARTIAL)])
        if not writer or (writer[1] != own and psutil.pid_exists(int(writer[2]))):
            continue
        if writer[3] and not path.exists():
            left.replace(path)
        else:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    return path.with_name(f"{path.name}.{own}{PARTIAL}")


def _flush(path: Path) -> None:
    """fsync a file or folder. Windows flushes only writable files: no folders, and nothing marked as read-only."""
    windows = os.name == "nt"
    if windows and (path.is_dir() or not os.access(path, os.W_OK)):
        return
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
