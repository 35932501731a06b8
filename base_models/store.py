"""The store of downloaded files: ``files/<sha256>`` in the cache, into which only checked bytes come.

What is still coming lies beside it as ``<sha256>.part``; a ``.part`` is a beginning of the file and can be continued.
"""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from base_models.catalogue_entry import File

logger = logging.getLogger(__name__)

Report = Callable[[File, int], object]
"""Called with a file and how many of its bytes are here."""


class Unavailable(Exception):
    """A source cannot deliver; the text says why in a few words."""


unreachable: dict[str, str] = {}
"""Hosts that refused or did not answer, and why; they are not asked again while this process lives."""


def part_of(file: File, store: Path) -> Path:
    """Where the beginning of a file lies while it is coming."""
    return store / f"{file.sha256}.part"


def is_right(path: Path, file: File) -> bool:
    """Whether the bytes at ``path`` are those of ``file``."""
    if path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def accept(file: File, store: Path, source: str) -> None:
    """Move the finished ``.part`` of ``file`` into the store; one with other bytes is deleted, and that is said."""
    part = part_of(file, store)
    if not is_right(part, file):
        part.unlink()
        logger.warning("%s: what %s delivered has a wrong size or SHA-256; deleted.", file.name, source)
        raise Unavailable(f"delivered {file.name} with a wrong size or SHA-256, which was deleted")
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(store / file.sha256)


def already_there(file: File, store: Path) -> bool:
    """Whether the store holds the file; one that has gone bad on the disk is deleted."""
    stored = store / file.sha256
    if not stored.exists():
        return False
    if is_right(stored, file):
        return True
    logger.warning("%s has changed on the disk since it was downloaded; deleted.", stored)
    stored.unlink()
    return False
