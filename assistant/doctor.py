"""What a user, or who helps one, needs to know when something does not work."""

import importlib.util
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from base_models import CATALOGUE, cache_folder, cached_models, is_fetched
from domain import Domain, DomainError

PACKAGES = [
    "lorewright",
    "torch",
    "transformers",
    "peft",
    "safetensors",
    "langchain",
    "langgraph",
    "faiss-cpu",
    "sentence-transformers",
    "streamlit",
    "bitsandbytes",
]
VARIABLES = [
    "LOREWRIGHT_CACHE",
    "LOREWRIGHT_MODELS",
    "LOREWRIGHT_MIRROR",
    "HF_HUB_OFFLINE",
    "HF_ENDPOINT",
    "LANGSMITH_TRACING",
    "LANGSMITH_TRACING_V2",
    "LANGCHAIN_TRACING_V2",
    "OMP_NUM_THREADS",
    "HTTPS_PROXY",
]


def print_models() -> None:
    """Print the catalogue, and what of it is in the cache."""
    console = Console(highlight=False)
    for entry in CATALOGUE.values():
        here = "from a folder of yours" if entry.missing else "here" if is_fetched(entry.name) else "not fetched"
        console.print(f"[bold]{entry.name}[/bold]: {entry.kind}, {entry.licence}, {here}", soft_wrap=True)
        console.print(Padding(entry.summary, (0, 0, 1, 4)))
    console.print(f"Cache: {cache_folder()}. Any folder of safetensors that transformers loads can be named too.")


def print_report(domain: Path | None) -> None:
    """Print versions, processor, memory, disk, cache, models, settings from outside, and the state of a domain."""
    console = Console()
    for title, rows in (
        ("This machine", _machine()),
        ("Packages", _packages()),
        ("Models", _models()),
        ("Environment", _environment()),
        *([(f"Domain {domain}", _domain(domain))] if domain else []),
    ):
        table = Table(
            title=escape(title), box=None, show_header=False, title_justify="left", title_style="bold", padding=(0, 2)
        )
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")  # a path must be there whole
        for name, value in rows:
            table.add_row(escape(name), escape(value))
        console.print(table, "")


def _machine() -> list[tuple[str, str]]:
    import psutil
    import torch

    from base_models.loading import choose_device, choose_dtype

    device = choose_device()
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(_existing(cache_folder()))
    return [
        (
            "system",
            f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}",
        ),
        (
            "processor",
            f"{psutil.cpu_count()} cores, {torch.get_num_threads()} used; {torch.backends.cpu.get_cpu_capability()}",
        ),
        (
            "device",
            f"{device}, weights in {str(choose_dtype('auto', device)).removeprefix('torch.')} (the faster here)",
        ),
        (
            "memory",
            f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free; the default model needs about 2",
        ),
        ("disk of the cache", f"{disk.free / 2**30:.1f} GiB free; the default models need about 2"),
    ]


def _packages() -> list[tuple[str, str]]:
    rows = []
    for name in PACKAGES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed (optional)" if name == "bitsandbytes" else "MISSING: run make install"))
    return rows


def _models() -> list[tuple[str, str]]:
    rows = [("cache", str(cache_folder()))]
    rows += [(name, f"{size / 2**20:.0f} MiB, {path.name}") for name, path, size in cached_models()]
    absent = [entry.name for entry in CATALOGUE.values() if not entry.missing and not is_fetched(entry.name)]
    return [*rows, ("not fetched", ", ".join(absent) or "none")]


def _environment() -> list[tuple[str, str]]:
    from langsmith.utils import tracing_is_enabled

    rows = [(name, os.environ[name]) for name in VARIABLES if os.environ.get(name)]
    if tracing_is_enabled():
        rows.append(
            ("warning", "LangSmith tracing is on: it sends every question and answer away. Unset its variables.")
        )
    if not importlib.util.find_spec("pip"):
        rows.append(("warning", "pip is missing, so models cannot be had from the package index."))
    return rows or [("", "nothing set that changes how Lorewright behaves")]


def _domain(path: Path) -> list[tuple[str, str]]:
    from indexes import Index

    try:
        domain = Domain.open(path)
        rows = [
            ("base model", domain.settings.base_model),
            ("embedder", domain.settings.embedder),
            ("adapters", ", ".join(domain.adapter_names()) or "none"),
            ("adapter that answers", domain.settings.adapter or "none, the base model answers"),
        ]
        with Index.open(domain) as index:
            return [*rows, ("documents in the index", str(len(index.documents())))]
    except DomainError as error:
        return [("problem", str(error))]


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
