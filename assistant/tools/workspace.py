"""Tools that list, read and write text files in the folder ``workspace/`` of the domain, and nowhere else.

A name is a relative path with ``/``. Names that leave the folder, that mean a device on Windows, or that look like
another name are refused, and no part of a path may be a link.
"""

import os
import threading
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated

from langchain_core.tools import BaseTool, ToolException
from pydantic import Field

from assistant.tools.results import bounded, make_tool, part_of
from domain import Domain, is_text, write_text
from indexes import IndexingError
from indexes.readers.opening import open_document

MAX_FILE_BYTES = 200_000
MAX_TEXT = 20_000
MAX_FILES = 200
MAX_DEPTH = 5
MAX_NAME = 120
"""Maximum characters of a path; its UTF-8 must also fit into the 255 bytes that most file systems allow a name."""

FileName = Annotated[str, Field(max_length=MAX_NAME, description="Name of the file, for example notes/plan.md.")]


def workspace_tools(domain: Domain) -> list[BaseTool]:
    """``list_files``, ``read_file`` and ``write_file`` over the workspace of a domain."""
    folder = domain.workspace
    lock = threading.Lock()

    def list_files() -> str:
        """List the files in your workspace, with their sizes in bytes."""
        files = files_in(folder)
        return bounded("\n".join(f"{name} ({size} bytes)" for name, size in files.items())) or "There are no files yet."

    def read_file(
        name: FileName,
        part: Annotated[int, Field(ge=1, le=10_000, description="Which part to read; 1 is the beginning.")] = 1,
    ) -> str:
        """Read a text file of your workspace. A long file has several parts."""
        path = checked_name(name)
        try:
            with open_document(folder, path) as file:
                data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise ToolException(f"{path} is larger than {MAX_FILE_BYTES} bytes.")
            return part_of(data.decode("utf-8-sig"), part, path)
        except FileNotFoundError:
            names = ", ".join(list(files_in(folder))[:20]) or "none yet"
            raise ToolException(f"There is no file {path}; the files are: {names}.") from None
        except UnicodeDecodeError:
            raise ToolException(f"{path} is not a UTF-8 text; only texts can be read.") from None
        except IndexingError as error:
            raise ToolException(f"{path} {error}.") from None
        except OSError as error:
            raise ToolException(f"{path} cannot be read ({error.strerror}); links are not followed.") from None

    def write_file(
        name: FileName,
        text: Annotated[str, Field(max_length=MAX_TEXT, description="The whole new text of the file.")],
    ) -> str:
        """Write a text file in your workspace. It replaces a file with the same name."""
        path = checked_name(name)
        if not is_text(text) or "\0" in text:
            raise ToolException("The text is not valid: it contains half a character or a NUL.")
        with lock:
            files = files_in(folder)
            if path not in files and len(files) >= MAX_FILES:
                raise ToolException(f"The workspace has {MAX_FILES} files already; write into one of them.")
            try:
                write_text(_destination(folder, path), text)
            except OSError as error:
                raise ToolException(f"{path} cannot be written ({error.strerror}).") from None
        return f"Wrote {len(text)} characters to {path}."

    return [make_tool(one) for one in (list_files, read_file, write_file)]


def checked_name(name: str) -> str:
    """The relative path, normalised; raises ``ToolException`` if it is not a plain name below the workspace."""
    path = unicodedata.normalize("NFC", name)
    plain = unicodedata.normalize("NFKC", path)  # what some file systems and people take it for
    parts = path.split("/")
    problem = ""
    if not path or not is_text(path) or any(unicodedata.category(one)[0] == "C" for one in path):
        problem = "it is empty or has invisible characters"
    elif len(path) > MAX_NAME or any(len(part.encode()) > 200 for part in parts) or len(parts) > MAX_DEPTH:
        problem = f"it is longer than {MAX_NAME} characters or deeper than {MAX_DEPTH} folders"
    elif PurePosixPath(path).is_absolute() or PureWindowsPath(plain).drive or PureWindowsPath(plain).root:
        problem = "it is an absolute path"
    elif plain.split("/") != [unicodedata.normalize("NFKC", part) for part in parts] or set('\\<>:"|?*') & set(path):
        problem = 'it has one of the characters \\ < > : " | ? *, or another form of a slash'
    elif any(_is_special(part) for part in plain.split("/")):
        problem = "a part of it starts or ends with a dot or a space, or is the name of a device"
    if problem:
        raise ToolException(bounded(f"{name[:MAX_NAME]!r} is no file name: {problem}; use one like plan.md.", 400))
    return path


def _is_special(part: str) -> bool:
    """Whether a part of a path is empty, hidden, ``..``, or a device of Windows such as ``nul.txt``."""
    return part.strip(" .") != part or not part or PureWindowsPath(part).is_reserved() or part.endswith(".partial")


def files_in(folder: Path) -> dict[str, int]:
    """The files below the workspace with their sizes, sorted; without links, hidden files and unfinished writes."""
    found = {}
    for at, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in names:
            path = Path(at) / name
            if not path.is_symlink() and path.is_file() and not name.startswith(".") and not name.endswith(".partial"):
                found[path.relative_to(folder).as_posix()] = path.stat().st_size
    return dict(sorted(found.items()))


def _destination(folder: Path, path: str) -> Path:
    """The file to write, whose folders exist and are no links."""
    folder.mkdir(exist_ok=True)
    at = folder
    for part in PurePosixPath(path).parts[:-1]:
        at = at / part
        if at.is_symlink():
            raise ToolException(f"{path} leads through a link, which is not followed.")
        if at.exists() and not at.is_dir():
            raise ToolException(f"{path} leads through {at.name}, which is a file; choose another name.")
        at.mkdir(exist_ok=True)
    target = at / PurePosixPath(path).name
    if target.is_symlink() or target.is_dir():
        raise ToolException(f"{path} is a folder or a link; choose another name.")
    return target
