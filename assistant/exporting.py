"""A copy of a whole domain that is safe while it is in use.

Databases are copied by SQLite's own backup, which sees one state even while another process writes; other files of
ours are whole or absent at any moment. Locks, caches that are made again, unfinished files and links are left out.
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
"""Of our own files; whatever the user calls documents is copied as it is."""


def export_domain(domain: Domain, target: Path, progress: Callable[[str, int, int], None]) -> None:
    """Copy ``domain`` into the new folder ``target``, which is there whole or not at all.

    Raises :class:`AssistantError` where the target exists or lies inside the domain, or a file cannot be copied.
    """
    if target.exists():
        raise AssistantError(f"{target} exists already; name a folder that does not.")
    if target.resolve().is_relative_to(domain.path.resolve()):
        raise AssistantError(f"{target} lies inside the domain; name a folder outside of it.")
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
                elif file.exists():  # a file may go while others are copied
                    shutil.copy2(file, copy)
                progress("copying (files)", number, len(files))
            for name in ("documents", "questions"):
                (partial / name).mkdir(exist_ok=True)
    except (OSError, sqlite3.Error) as error:
        raise AssistantError(f"{domain.path} could not be copied: {error}; nothing was left in {target}.") from None


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
