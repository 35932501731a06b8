"""Lists the documents folder without opening a file."""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from indexes.errors import IndexingError
from indexes.readers import NOT_DOCUMENTS, why_not_read


@dataclass
class Found:
    """The documents of a folder, by relative path."""

    files: dict[str, os.stat_result] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Entries that cannot be documents, each with the reason as the end of a sentence."""
    unlisted: list[str] = field(default_factory=list)
    """Files and subfolders that could not be listed, so the state of documents there is unknown."""


def scan(documents: Path) -> Found:
    """List the folder. Links that stay inside are skipped; their targets are read under their own names.

    Raises :class:`IndexingError` if the folder itself cannot be listed.
    """
    found = Found()
    root = documents.resolve()

    def note_unlisted(error: OSError) -> None:
        if Path(error.filename) == root:
            raise IndexingError(f"{documents} cannot be listed: {error.strerror}; the index was not changed.") from None
        folder = Path(error.filename).relative_to(root).as_posix()
        found.unlisted.append(folder)
        found.failed.append((folder, f"cannot be listed: {error.strerror}"))

    for folder, subfolders, names in os.walk(root, onerror=note_unlisted):
        subfolders[:] = [name for name in subfolders if not _is_hidden(name) and not _is_of_a_page(name, names)]
        for name in [*names, *(name for name in subfolders if _is_link(Path(folder, name)))]:
            if not _is_hidden(name) and not NOT_DOCUMENTS.search(name):
                _look_at(Path(folder, name), root, found)
    return found


def _look_at(path: Path, root: Path, found: Found) -> None:
    name = path.relative_to(root).as_posix()
    shown = name.encode(errors="replace").decode()
    if shown != name:
        found.failed.append((shown, "has a file name that is not valid UTF-8; rename it"))
        return
    try:
        status = path.lstat()
    except OSError as error:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            found.unlisted.append(name)
        found.failed.append((name, f"cannot be read: {error.strerror}"))
        return
    if stat.S_ISLNK(status.st_mode):
        try:
            if not path.resolve(strict=True).is_relative_to(root):
                found.failed.append((name, "is a link to a file outside the documents folder; copy the file instead"))
        except (OSError, RuntimeError) as error:
            found.failed.append((name, _why_not_followed(error)))
    elif not stat.S_ISREG(status.st_mode):
        found.failed.append((name, "is not a regular file"))
    elif why := why_not_read(name, status.st_size):
        found.failed.append((name, why))
    else:
        found.files[name] = status


def _is_link(path: Path) -> bool:
    """Whether a subfolder is a link; if that cannot be checked, the walk reports the folder as not listable."""
    try:
        return path.is_symlink()
    except OSError:
        return False


def _why_not_followed(error: OSError | RuntimeError) -> str:
    if isinstance(error, RuntimeError) or error.errno == errno.ELOOP:  # Python 3.11 and 3.12 raise the first
        return "is a circular link; remove it"
    if isinstance(error, FileNotFoundError):
        return "is a broken link; remove it, or copy the file here"
    return f"cannot be read: {error.strerror}"


def _is_of_a_page(folder: str, names: list[str]) -> bool:
    """Whether a browser created the folder for the scripts and pictures of a saved page."""
    stem = next((folder.removesuffix(end) for end in ("_files", ".files", "_文件") if folder.endswith(end)), None)
    return stem is not None and (f"{stem}.html" in names or f"{stem}.htm" in names)


def _is_hidden(name: str) -> bool:
    """Whether it is a hidden file, or a temporary file of an office program or the system."""
    return name.startswith((".", "~$")) or name.lower() in {"thumbs.db", "desktop.ini"}
