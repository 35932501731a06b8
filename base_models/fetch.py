"""Models in the user's cache: downloaded once, checked by SHA-256, converted once into folders that load.

    <cache>/files/<sha256>               what was downloaded, only ever whole and checked (store.py)
    <cache>/models/<name>-<fingerprint>/ the folder for transformers or sentence-transformers
    <cache>/models/from-bin-<fingerprint>/  the user's own folder of .bin shards, converted (its name is never a path)
    <cache>/fingerprints/                what was computed for the user's own model folders

The cache is `platformdirs.user_cache_dir("lorewright")`, or LOREWRIGHT_CACHE. It is shared by all clones and processes.
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

from base_models import convert_bin, convert_e5, convert_gguf
from base_models.catalogue import CATALOGUE, find
from base_models.catalogue_entry import Entry, File
from base_models.errors import ModelError
from base_models.pins import pin, pinned
from base_models.sources import obtain
from domain import whole_folder, write_text

CONVERTER_VERSIONS = {"none": 1, "gguf": convert_gguf.VERSION, "e5": convert_e5.VERSION}
MODEL_FILES = {".json", ".safetensors", ".jinja", ".model", ".txt"}
SLOW_TO_HASH = 1_000_000_000  # bytes whose hash takes more than a second
PARTIAL = ".partial"  # the suffix of what domain.whole_folder has not finished


def cache_folder() -> Path:
    """The folder that holds all downloaded models."""
    return Path(os.environ.get("LOREWRIGHT_CACHE") or user_cache_dir("lorewright", appauthor=False))


def fetch(name: str, progress: bool = True) -> Path:
    """The folder of the catalogue's model ``name``, ready to load; downloads and converts it when it is not there yet.

    Progress goes to stderr. It can be interrupted and goes on where it stopped; two processes may ask at once.
    Raises :class:`ModelError` when the model is unknown, cannot be had or cannot be used yet, or the disk is full.
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
            console.print(f"Another process is fetching {name}; waiting for it.")
            lock.acquire()
        try:
            if not folder.is_dir():
                _make(entry, folder, console)
        finally:
            lock.release()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(entry) from None
        raise ModelError(
            f"{name} could not be fetched: {error}. If {cache_folder()} cannot be written, set LOREWRIGHT_CACHE to "
            "a folder that can."
        ) from error
    return folder


def is_fetched(name: str) -> bool:
    """Whether :func:`fetch` would return at once."""
    entry = pinned(find(name), cache_folder())
    return bool(entry.files) and _folder(entry).is_dir()


def cached_models() -> list[tuple[str, Path, int]]:
    """The models in the cache: name, folder and bytes on the disk; also those that an older Lorewright converted."""
    folders = [path for path in sorted((cache_folder() / "models").glob("*")) if path.suffix != PARTIAL]
    return [
        (path.name.rsplit("-", 1)[0], path, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))
        for path in folders
    ]


def fingerprint(name_or_path: str | Path) -> str:
    """SHA-256 (hex) that is equal exactly where the model is: same weights, tokenizer and configuration.

    Of a catalogue model it is made from the hashes of its files and the version of the conversion, so the model need
    not be here (but the hub is asked, once, for hashes that the catalogue does not know). Of a folder it is made from
    its files, and remembered in the cache until one of them changes.
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
        raise ModelError(f"{folder} has no config.json, so it is no folder of a model.")
    return _folder_fingerprint(folder.resolve())


def chat_folder(name_or_path: str | Path) -> Path:
    """The folder of a chat model: of the catalogue, fetched first if need be, or the one that was named."""
    if str(name_or_path) in CATALOGUE:
        entry = find(str(name_or_path))
        if entry.kind != "chat":
            article = "an" if entry.kind == "embedder" else "a"
            raise ModelError(f"{entry.name} is {article} {entry.kind} and cannot chat; see: lorewright models")
        return fetch(entry.name)
    folder = Path(name_or_path).expanduser()
    if not (folder / "config.json").is_file():
        find(str(name_or_path))  # raises, naming the nearest catalogue names
    return folder


def loadable(folder: Path, progress: bool = True) -> Path:
    """The model in the user's own ``folder`` as safetensors: the folder itself, or its copy that the cache then keeps.

    Shards of ``.bin`` are converted the first time, with a bar on stderr. Raises :class:`ModelError` when one is
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
            f"{folder} holds .bin shards, which are converted to safetensors once; that needs {needed / 1e9:.1f} GB in "
            f"{cache_folder()}, where {free / 1e9:.1f} GB are free. Set LOREWRIGHT_CACHE to a folder on another disk."
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
        raise ModelError(f"{folder} holds neither .safetensors nor .bin weights, so it is no model that can be loaded.")
    sizes = [file.stat().st_size for file in files]
    names = [file.relative_to(folder).as_posix() for file in files]
    stats = [[name, size, file.stat().st_mtime_ns] for file, name, size in zip(files, names, sizes, strict=True)]
    note = cache_folder() / "fingerprints" / f"{hashlib.sha256(str(folder).encode()).hexdigest()}.json"
    if note.exists():
        remembered = json.loads(note.read_text(encoding="utf-8"))
        if remembered["files"] == stats:
            return remembered["fingerprint"]
    digest = hashlib.sha256()
    with _bar(Console(stderr=True, quiet=sum(sizes) < SLOW_TO_HASH)) as bar:
        task = bar.add_task(f"hash {folder.name}", total=sum(sizes))
        for file, name, size in zip(files, names, sizes, strict=True):
            digest.update(f"{name}\n{size}\n".encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
            bar.advance(task, size)
    write_text(note, json.dumps({"files": stats, "fingerprint": digest.hexdigest()}))
    return digest.hexdigest()


def _bar(console: Console) -> Progress:
    """A bar that counts bytes."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _with_files(entry: Entry) -> Entry:
    """The entry with the files of the catalogue, or of its pin, which is made if need be."""
    entry = pinned(entry, cache_folder())
    return entry if entry.files else pin(entry, cache_folder())


def _folder(entry: Entry) -> Path:
    return cache_folder() / "models" / f"{entry.name}-{fingerprint(entry.name)[:12]}"


def _make(entry: Entry, folder: Path, console: Console) -> None:
    """Download and convert under the lock."""
    for left_by_a_crash in folder.parent.glob(f"{folder.name}.*{PARTIAL}"):
        shutil.rmtree(left_by_a_crash, ignore_errors=True)
    with _bar(console) as bar:
        task = bar.add_task(f"fetch {entry.name}", total=entry.download_bytes)
        here: dict[str, int] = {}

        def downloaded(file: File, done: int) -> None:
            here[file.sha256] = done
            bar.update(task, completed=sum(here.values()))

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
        if "No space left" in str(error):  # its writer is not Python's, so neither is its error
            raise OSError(errno.ENOSPC, str(error)) from None
        raise


def _space_needed(entry: Entry) -> int:
    """Bytes for the download, once more for joining its parts, and for the converted folder in two bytes a weight."""
    return 2 * entry.download_bytes + 2 * entry.parameters


def _check_space(entry: Entry) -> None:
    cache_folder().mkdir(parents=True, exist_ok=True)
    have = sum(file.size for file in entry.files if (cache_folder() / "files" / file.sha256).exists())
    if shutil.disk_usage(cache_folder()).free < _space_needed(entry) - 2 * have:
        raise _disk_full(entry)


def _disk_full(entry: Entry) -> ModelError:
    needed, free = _space_needed(entry) / 1e9, shutil.disk_usage(cache_folder()).free / 1e9
    return ModelError(
        f"The disk of {cache_folder()} is too full for {entry.name}: it needs about {needed:.1f} GB and {free:.1f} GB "
        "are free. Free some space, or set LOREWRIGHT_CACHE to a folder on another disk."
    )
