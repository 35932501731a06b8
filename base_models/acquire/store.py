"""The store of downloaded files: ``files/<sha256>`` in the cache; every file in it was checked.

``<sha256>.part`` beside it is a partial download, which can be resumed.
"""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from base_models.catalogue_entry import File

logger = logging.getLogger(__name__)

Report = Callable[[File, int], object]
"""Called with a file and the number of its bytes downloaded so far."""


class Unavailable(Exception):
    """A source cannot deliver; the message is the reason in a few words."""


unreachable: dict[str, str] = {}
"""Hosts that refused or did not answer, with the reason; not contacted again in this process."""


def part_of(file: File, store: Path) -> Path:
    """Path of the partial download of a file."""
    return store / f"{file.sha256}.part"


def matches(path: Path, file: File) -> bool:
    """Whether the file at ``path`` has the size and SHA-256 of ``file``."""
    if path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def accept(file: File, store: Path, source: str) -> None:
    """Move the finished ``.part`` of ``file`` into the store; delete it and warn if size or SHA-256 are wrong."""
    part = part_of(file, store)
    if not matches(part, file):
        part.unlink()
        logger.warning("%s: the file from %s has the wrong size or SHA-256 and was deleted.", file.name, source)
        raise Unavailable(f"{file.name} had the wrong size or SHA-256 and was deleted")
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(store / file.sha256)


def is_stored(file: File, store: Path) -> bool:
    """Whether the store holds the file; a damaged copy is deleted."""
    stored = store / file.sha256
    if not stored.exists():
        return False
    if matches(stored, file):
        return True
    logger.warning("%s has changed on the disk since it was downloaded, and was deleted.", stored)
    stored.unlink()
    return False
