"""Stored engine choices for a model on this machine (``<cache>/engines.json``), and the folders of exports."""

import importlib.util
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from rich.console import Console

from base_models.acquire.fetch import cache_folder, fingerprint
from base_models.processor import processor
from domain import write_text

VERSION = 2
"""Bump when the exported graphs change; older exports and choices are then ignored."""


@dataclass(frozen=True)
class Choice:
    """An engine, and the reason for it."""

    engine: Literal["transformers", "openvino"]
    reason: str
    seconds: dict[str, float]
    """Measured times by engine; empty if nothing was timed."""


def known_choice(name_or_path: str | Path) -> Choice | None:
    """The stored choice for a model on this machine, if any."""
    if importlib.util.find_spec("openvino") is None:
        return None
    stored = _choices().get(_key(name_or_path))
    with suppress(TypeError):  # damaged: measured again
        return Choice(**stored) if stored else None
    return None


def store_choice(name_or_path: str | Path, choice: Choice) -> Choice:
    """Store a choice, if the cache is writable, and return it."""
    with suppress(OSError):
        (cache_folder() / "locks").mkdir(parents=True, exist_ok=True)
        with FileLock(cache_folder() / "locks" / "engines.lock"):
            stored = _choices() | {_key(name_or_path): asdict(choice)}
            write_text(cache_folder() / "engines.json", json.dumps(stored, indent=1, ensure_ascii=False))
    return choice


def export_folder(name_or_path: str | Path) -> Path:
    """The folder for the export of a model."""
    return cache_folder() / "openvino" / f"{fingerprint(name_or_path)[:16]}-v{VERSION}"


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write ``export.json``, the last file of an export, with the sizes of the others."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    write_text(folder / "export.json", json.dumps(facts | {"files": sizes}, ensure_ascii=False, indent=1))


def read_facts(folder: Path) -> dict[str, Any] | None:
    """What :func:`write_facts` wrote; None if there is no complete export."""
    try:
        facts = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == size for name, size in facts["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return facts if whole else None


def remove_older_exports(target: Path) -> None:
    """Delete exports of the model of ``target`` by earlier versions."""
    fingerprint_part = target.name.removesuffix(f"-v{VERSION}")
    for older in target.parent.glob(f"{fingerprint_part}-v*"):
        if older != target:
            shutil.rmtree(older, ignore_errors=True)


def export_lock(target: Path) -> FileLock:
    """Held by the process that exports to ``target``."""
    (cache_folder() / "locks").mkdir(parents=True, exist_ok=True)
    return FileLock(cache_folder() / "locks" / f"openvino-{target.name}.lock")


def print_step(name_or_path: str | Path, step: str) -> None:
    """Print a one-time step for a model and a machine on stderr."""
    Console(stderr=True, highlight=False).print(f"{name_or_path}, first use: {step}", soft_wrap=True)


def _choices() -> dict[str, Any]:
    """The stored choices; empty if the file is damaged, so they are measured again."""
    try:
        stored = json.loads((cache_folder() / "engines.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _key(name_or_path: str | Path) -> str:
    """Model, versions and machine, with a GPU as far as it is visible without torch."""
    versions = f"torch {version('torch')} openvino {version('openvino')} export {VERSION}"
    gpu = "gpu" if shutil.which("nvidia-smi") else "no gpu"
    return f"{fingerprint(name_or_path)[:16]} {processor()} x{os.cpu_count()} {gpu} {versions}"
