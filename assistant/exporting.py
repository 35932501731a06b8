"""Copies a whole domain, safely even while it is in use.

Databases are copied by SQLite's backup API, which reads one consistent state even while another process writes. Other
files of Lorewright are always written atomically. Locks, caches that can be rebuilt, unfinished files and links are
skipped.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from assistant.errors import AssistantError
from domain import Domain, reading_database, whole_folder

_LEFT_OUT = (".lock", ".partial", ".checkpoint", "-wal", "-shm", "-journal", ".faiss", "rebuilding.sqlite")
"""Suffixes of Lorewright's own files that are skipped; the user's documents are copied whatever their name."""


def export_domain(domain: Domain, target: Path, progress: Callable[[str, int, int], None]) -> None:
    """Copy ``domain`` into the new folder ``target``, completely or not at all.

    Raises :class:`AssistantError` if the target exists or is inside the domain, or if a file cannot be copied.
    """
    if target.exists():
        raise AssistantError(f"{target} already exists; choose a new folder.")
    if target.resolve().is_relative_to(domain.path.resolve()):
        raise AssistantError(f"{target} is inside the domain; choose a folder outside it.")
    files = sorted(_files(domain))
    databases = {domain.index / "passages.sqlite", domain.conversations}
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with whole_folder(target) as partial:
            for number, file in enumerate(files, start=1):
                copy = partial / file.relative_to(domain.path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                if file in databases:
                    _copy_database(file, copy)
                elif file.exists():  # may be deleted during the copy
                    shutil.copy2(file, copy)
                progress("copying (files)", number, len(files))
            for name in ("documents", "questions"):
                (partial / name).mkdir(exist_ok=True)
    except (OSError, sqlite3.Error) as error:
        raise AssistantError(
            f"{domain.path} could not be copied to {target}: {error}; no files were left there."
        ) from None


def _files(domain: Domain) -> Iterator[Path]:
    for place, subfolders, names in os.walk(domain.path):
        ours = not Path(place).is_relative_to(domain.documents)
        if ours:
            subfolders[:] = [name for name in subfolders if not name.endswith(_LEFT_OUT)]
        for name in names:
            file = Path(place, name)
            if not (ours and name.endswith(_LEFT_OUT)) and file.is_file() and not file.is_symlink():
                yield file


def _copy_database(file: Path, copy: Path) -> None:
    with reading_database(file) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
