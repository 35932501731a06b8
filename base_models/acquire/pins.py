"""Models whose hashes the catalogue does not hold: the first download pins them.

``<cache>/pins/NAME.json`` then holds the repository, the revision (a commit), and name, size and SHA-256 of each file;
later downloads must match it. Delete it to pin what the repository holds today.
"""

import hashlib
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any

from base_models.acquire.sources import CONNECT_SECONDS, READ_SECONDS, hub_endpoint
from base_models.acquire.store import Unavailable
from base_models.catalogue_entry import Entry, File, Hub
from base_models.errors import ModelError
from domain import whole_file, write_text

SUFFIXES = {".json", ".safetensors", ".jinja", ".model", ".txt"}
"""Suffixes of the files that transformers and sentence-transformers read."""


def pinned(entry: Entry, cache: Path) -> Entry:
    """The entry with its files from the catalogue or its pin; unchanged if it has neither."""
    pin_file = cache / "pins" / f"{entry.name}.json"
    if entry.files or not pin_file.is_file():
        return entry
    stored = json.loads(pin_file.read_text(encoding="utf-8"))
    return _with_files(entry, stored["revision"], [File(**file) for file in stored["files"]])


def pin(entry: Entry, cache: Path) -> Entry:
    """List the model's current files, store the pin, and return the entry with them.

    The user's folder LOREWRIGHT_MODELS comes first, then the hub. Small files, for which the hub gives no SHA-256, are
    downloaded and hashed. Raises :class:`ModelError` if neither has the model.
    """
    failures = []
    for label, list_files in (("local folder", _in_folder), ("hub", _on_hub)):
        try:
            revision, files = list_files(entry, cache / "files")
        except Unavailable as reason:
            failures.append(f"{label}: {reason}")
            continue
        if not any(file.name.endswith(".safetensors") for file in files):
            failures.append(f"{label}: it has no safetensors files")
            continue
        record = {"repo": _hub(entry).repo, "revision": revision, "pinned": time.strftime("%Y-%m-%d")}
        text = json.dumps(record | {"files": [asdict(file) for file in files]}, indent=1)
        write_text(cache / "pins" / f"{entry.name}.json", text + "\n")
        return _with_files(entry, revision, files)
    raise ModelError(
        f"{entry.name} could not be downloaded. Tried: {'; '.join(failures)}. If the hub cannot be reached, set "
        f"HF_ENDPOINT to a mirror of it, or put the model's files into a folder named {entry.name} and set "
        "LOREWRIGHT_MODELS to its parent folder."
    )


def _with_files(entry: Entry, revision: str, files: list[File]) -> Entry:
    sources = tuple(replace(one, revision=revision) if isinstance(one, Hub) else one for one in entry.sources)
    return replace(entry, files=tuple(files), sources=sources)


def _hub(entry: Entry) -> Hub:
    return next(source for source in entry.sources if isinstance(source, Hub))


def _is_needed(name: str) -> bool:
    """Whether a file holds weights or settings: at the root, or in a numbered folder of sentence-transformers."""
    path = PurePosixPath(name)
    folders = path.parts[:-1]
    own_format = path.name.startswith("consolidated")  # Mistral's format, a second copy of the weights
    return path.suffix in SUFFIXES and not own_format and all(folder[:1].isdigit() for folder in folders)


def _in_folder(entry: Entry, store: Path) -> tuple[str, list[File]]:
    setting = os.environ.get("LOREWRIGHT_MODELS")
    if not setting:
        raise Unavailable("LOREWRIGHT_MODELS is not set")
    folder = Path(setting) / entry.name
    if not (folder / "config.json").is_file():
        raise Unavailable(f"there is no {folder} with a config.json")
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    files = []
    for name in filter(_is_needed, names):
        with (folder / name).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        files.append(File(name, (folder / name).stat().st_size, digest))
    return _hub(entry).revision, files


def _on_hub(entry: Entry, store: Path) -> tuple[str, list[File]]:
    """https://huggingface.co/docs/hub/api: a repository's commit and files, with the SHA-256 of large ones."""
    import httpx

    endpoint, repo = hub_endpoint(), _hub(entry).repo
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx.Client(follow_redirects=True, timeout=timeout) as client:

        def get(path: str) -> httpx.Response:
            try:
                answer = client.get(f"{endpoint}/{path}")
            except httpx.HTTPError as error:
                raise Unavailable(f"{endpoint} cannot be reached ({error or type(error).__name__})") from None
            if answer.status_code != 200:
                raise Unavailable(f"{endpoint} answered {answer.status_code} for {path}")
            return answer

        listed: dict[str, Any] = get(f"api/models/{repo}/revision/{_hub(entry).revision}?blobs=true").json()
        revision, files = listed["sha"], []
        for one in sorted(listed["siblings"], key=lambda one: one["rfilename"]):
            name = one["rfilename"]
            if not _is_needed(name):
                continue
            if "lfs" in one:
                files.append(File(name, one["lfs"]["size"], one["lfs"]["sha256"]))
                continue
            data = get(f"{repo}/resolve/{revision}/{name}").content
            if hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() != one["blobId"]:
                raise Unavailable(f"the hash of {name} does not match")
            files.append(File(name, len(data), hashlib.sha256(data).hexdigest()))
            with whole_file(store / files[-1].sha256) as partial:
                partial.write_bytes(data)
    return revision, files
