"""The cache of models: each is downloaded once, checked by SHA-256, and converted once into a folder that loads.

    <cache>/files/<sha256>               downloaded files, complete and checked (store.py)
    <cache>/models/<name>-<fingerprint>/ a folder that transformers or sentence-transformers loads
    <cache>/models/from-bin-<fingerprint>/  a user's folder of .bin shards, converted
    <cache>/fingerprints/                fingerprints of the user's own model folders

The cache is `platformdirs.user_cache_dir("lorewright")`, or LOREWRIGHT_CACHE. All processes share it.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_dir
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from base_models.acquire import convert_bin, convert_e5, convert_gguf
from base_models.acquire.pins import pin, pinned
from base_models.acquire.sources import obtain
from base_models.catalogue import CATALOGUE, find
from base_models.catalogue_entry import Entry, File
from base_models.errors import ModelError
from domain import whole_folder, write_text

CONVERTER_VERSIONS = {"none": 1, "gguf": convert_gguf.VERSION, "e5": convert_e5.VERSION}
MODEL_FILES = {".json", ".safetensors", ".jinja", ".model", ".txt"}
SLOW_TO_HASH = 1_000_000_000
"""Bytes from which hashing shows a progress bar: it takes more than a second. Chosen."""
PARTIAL = ".partial"
"""Suffix of the unfinished folders of domain.whole_folder."""


def cache_folder() -> Path:
    """The folder that holds all downloaded models."""
    return Path(os.environ.get("LOREWRIGHT_CACHE") or user_cache_dir("lorewright", appauthor=False))


def fetch(name: str, progress: bool = True) -> Path:
    """The folder of the catalogue's model ``name``, ready to load; downloads and converts it when it is not there yet.

    Progress goes to stderr. An interrupted download is resumed; two processes may fetch the same model.
    Raises :class:`ModelError` when the model is unknown, unavailable or not usable yet, or the disk is full.
    """
    entry = find(name)
    if entry.missing:
        raise ModelError(entry.missing)
    console = Console(stderr=True, quiet=not progress)
    entry = _with_files(entry)
    folder = _folder(entry)
    if folder.is_dir():
        return folder
    try:
        _check_space(entry)
        (cache_folder() / "locks").mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache_folder() / "locks" / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            console.print(f"Another process is downloading {name}; waiting for it.")
            lock.acquire()
        try:
            if not folder.is_dir():
                _download_and_convert(entry, folder, console)
        finally:
            lock.release()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(entry) from None
        raise ModelError(
            f"{name} could not be downloaded: {error}. If {cache_folder()} is not writable, set LOREWRIGHT_CACHE "
            "to a folder that is."
        ) from error
    return folder


def is_fetched(name: str) -> bool:
    """Whether :func:`fetch` would return at once."""
    entry = pinned(find(name), cache_folder())
    return bool(entry.files) and _folder(entry).is_dir()


def cached_models() -> list[tuple[str, Path, int]]:
    """The models in the cache: name, folder and size on disk; also those that older versions converted."""
    folders = [path for path in sorted((cache_folder() / "models").glob("*")) if path.suffix != PARTIAL]
    return [
        (path.name.rsplit("-", 1)[0], path, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))
        for path in folders
    ]


def fingerprint(name_or_path: str | Path) -> str:
    """SHA-256 (hex) of a model: equal for two models with the same weights, tokenizer and configuration.

    For a catalogue model it is computed from the hashes of its files and the version of the conversion, so the model
    need not be downloaded (the hub is asked once for hashes that the catalogue lacks). For a folder it is computed from
    its files, and cached until one of them changes.
    """
    if str(name_or_path) in CATALOGUE:
        entry = _with_files(CATALOGUE[str(name_or_path)])
        files = [[file.name, file.sha256] for file in entry.files]
        text = json.dumps([files, entry.conversion, CONVERTER_VERSIONS[entry.conversion]])
        return hashlib.sha256(text.encode()).hexdigest()
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        find(str(name_or_path))
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is not a model folder, because it has no config.json; give another folder.")
    return _folder_fingerprint(folder.resolve())


def chat_folder(name_or_path: str | Path) -> Path:
    """The folder of a chat model, by catalogue name (fetched first if needed) or by path."""
    if str(name_or_path) in CATALOGUE:
        entry = find(str(name_or_path))
        if entry.kind != "chat":
            article = "an" if entry.kind == "embedder" else "a"
            raise ModelError(
                f"{entry.name} is {article} {entry.kind}, not a chat model; for a list, run: lorewright models"
            )
        return fetch(entry.name)
    folder = Path(name_or_path).expanduser()
    if not (folder / "config.json").is_file():
        find(str(name_or_path))  # raises, naming the nearest catalogue names
    return folder


def loadable(folder: Path, progress: bool = True) -> Path:
    """The model of ``folder`` as safetensors: the folder itself, or its converted copy in the cache.

    ``.bin`` shards are converted the first time, with a progress bar on stderr. Raises :class:`ModelError` when one is
    missing or damaged, or when the disk is full.
    """
    if any(folder.glob("*.safetensors")) or not (shards := convert_bin.shards_of(folder)):
        return folder
    target = cache_folder() / "models" / f"from-bin-{fingerprint(folder)[:12]}-v{convert_bin.VERSION}"
    if target.is_dir():
        return target
    needed, free = sum(shard.stat().st_size for shard in shards), shutil.disk_usage(cache_folder()).free
    if free < needed:
        raise ModelError(
            f"{folder} has .bin shards; converting them to safetensors needs {needed / 1e9:.1f} GB in "
            f"{cache_folder()}, where only {free / 1e9:.1f} GB are free. Set LOREWRIGHT_CACHE to a folder on another "
            "disk."
        )
    with FileLock(cache_folder() / "locks" / f"{target.name}.lock"):
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            with _bar(Console(stderr=True, quiet=not progress)) as bar, whole_folder(target) as partial:
                task = bar.add_task(f"convert {folder.name}", total=needed)
                convert_bin.convert_bin(folder, partial, lambda done, total: bar.update(task, completed=done))
    return target


def _folder_fingerprint(folder: Path) -> str:
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in MODEL_FILES and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    if not any(file.suffix == ".safetensors" for file in files):
        files += convert_bin.shards_of(folder)
    if not any(file.suffix in (".safetensors", ".bin") for file in files):
        raise ModelError(f"{folder} has neither .safetensors nor .bin weights; give the folder of a complete model.")
    sizes = [file.stat().st_size for file in files]
    names = [file.relative_to(folder).as_posix() for file in files]
    stats = [[name, size, file.stat().st_mtime_ns] for file, name, size in zip(files, names, sizes, strict=True)]
    stored_file = cache_folder() / "fingerprints" / f"{hashlib.sha256(str(folder).encode()).hexdigest()}.json"
    if stored_file.exists():
        stored = json.loads(stored_file.read_text(encoding="utf-8"))
        if stored["files"] == stats:
            return stored["fingerprint"]
    digest = hashlib.sha256()
    with _bar(Console(stderr=True, quiet=sum(sizes) < SLOW_TO_HASH)) as bar:
        task = bar.add_task(f"hash {folder.name}", total=sum(sizes))
        for file, name, size in zip(files, names, sizes, strict=True):
            digest.update(f"{name}\n{size}\n".encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
            bar.advance(task, size)
    write_text(stored_file, json.dumps({"files": stats, "fingerprint": digest.hexdigest()}))
    return digest.hexdigest()


def _bar(console: Console) -> Progress:
    """A progress bar that counts bytes."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _with_files(entry: Entry) -> Entry:
    """The entry with its files from the catalogue or its pin; pins it first if it has neither."""
    entry = pinned(entry, cache_folder())
    return entry if entry.files else pin(entry, cache_folder())


def _folder(entry: Entry) -> Path:
    return cache_folder() / "models" / f"{entry.name}-{fingerprint(entry.name)[:12]}"


def _download_and_convert(entry: Entry, folder: Path, console: Console) -> None:
    """Download and convert; the caller holds the lock."""
    for unfinished in folder.parent.glob(f"{folder.name}.*{PARTIAL}"):
        shutil.rmtree(unfinished, ignore_errors=True)
    with _bar(console) as bar:
        task = bar.add_task(f"download {entry.name}", total=entry.download_bytes)
        done_by_file: dict[str, int] = {}

        def downloaded(file: File, done: int) -> None:
            done_by_file[file.sha256] = done
            bar.update(task, completed=sum(done_by_file.values()))

        files = obtain(entry, cache_folder() / "files", downloaded)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task(f"convert {entry.name}", total=None)
        with whole_folder(folder) as partial:
            _convert(entry, files, partial, lambda done, total: bar.update(task, completed=done, total=total))


def _convert(entry: Entry, files: list[Path], folder: Path, report: Callable[[int, int], None]) -> None:
    from safetensors import SafetensorError

    try:
        if entry.conversion == "gguf":
            convert_gguf.convert_gguf(files[0], folder, report)
        elif entry.conversion == "e5":
            convert_e5.convert_e5(files[0], folder, report)
        else:
            for done, (file, stored) in enumerate(zip(entry.files, files, strict=True), start=1):
                (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(stored, folder / file.name)
                report(done, len(files))
    except SafetensorError as error:
        if "No space left" in str(error):  # safetensors writes in Rust and raises no OSError
            raise OSError(errno.ENOSPC, str(error)) from None
        raise


def _space_needed(entry: Entry) -> int:
    """Bytes for the download, a second copy while its parts are joined, and the converted weights in 16 bits."""
    return 2 * entry.download_bytes + 2 * entry.parameters


def _check_space(entry: Entry) -> None:
    cache_folder().mkdir(parents=True, exist_ok=True)
    have = sum(file.size for file in entry.files if (cache_folder() / "files" / file.sha256).exists())
    if shutil.disk_usage(cache_folder()).free < _space_needed(entry) - 2 * have:
        raise _disk_full(entry)


def _disk_full(entry: Entry) -> ModelError:
    needed, free = _space_needed(entry) / 1e9, shutil.disk_usage(cache_folder()).free / 1e9
    return ModelError(
        f"The disk of {cache_folder()} is too full: {entry.name} needs about {needed:.1f} GB, and {free:.1f} GB "
        "are free. Free some space, or set LOREWRIGHT_CACHE to a folder on another disk."
    )
