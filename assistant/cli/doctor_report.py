"""Diagnostics for ``lorewright doctor``: machine, packages, models, engines, environment and a domain."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.domain_adapters import finished_adapter, is_shipped
from base_models import CATALOGUE, fingerprint
from base_models.acquire.fetch import cache_folder, cached_models, is_fetched
from base_models.adapter_manifest import read_manifest
from base_models.reader import reader_of
from domain import Domain, DomainError, read_questions

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
    "openvino",
    "bitsandbytes",
    "numba",
    "rapidocr",
]
OPTIONAL = ("openvino", "bitsandbytes", "numba", "rapidocr")
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


def print_report(domain: Path | None) -> None:
    """Print versions, processor, memory, disk, cache, models, environment variables, and the state of a domain."""
    console = Console()
    for title, rows in (
        ("This machine", _machine()),
        ("Packages", _packages()),
        ("Models", _models()),
        ("Engines", _engines()),
        ("Environment", _environment()),
        *([(f"Domain {domain}", _domain(domain))] if domain else []),
    ):
        table = Table(
            title=escape(title), box=None, show_header=False, title_justify="left", title_style="bold", padding=(0, 2)
        )
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")  # paths are never truncated
        for name, value in rows:
            table.add_row(escape(name), escape(value))
        console.print(table, "")


def print_forecast(model: str, batch: int, length: int) -> None:
    """Print how much memory answering and training with a model need, and whether this machine has it."""
    import psutil

    from assistant.cli.terminal import waiting
    from base_models.forecast import forecast

    with waiting(f"measuring one layer of {model} on {batch} x {length} tokens"):
        needs = forecast(model, batch, length)
    free = psutil.virtual_memory().available
    table = Table(title=escape(f"{model}, {batch} x {length} tokens, in GiB"), title_justify="left", title_style="bold")
    for title in ("", "weights", "working memory", "total", "free now"):
        table.add_column(title, justify="right" if title else "left")
    for need in needs:
        fits = "enough" if need.total < free else "TOO LITTLE"
        figures = (f"{size / 2**30:.1f}" for size in (need.weights, need.working, need.total))
        table.add_row(need.use, *figures, f"{free / 2**30:.1f}, {fits}")
    Console().print(table)


def _machine() -> list[tuple[str, str]]:
    import psutil
    import torch

    from base_models.hardware import choose_device, choose_dtype

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
            f"{device}; transformers computes in {str(choose_dtype('auto', device)).removeprefix('torch.')} "
            "(the faster dtype here); the engine of each model is listed below",
        ),
        (
            "memory",
            f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free; the default model needs about 2",
        ),
        ("cache disk", f"{disk.free / 2**30:.1f} GiB free; the default models need about 2"),
    ]


def _packages() -> list[tuple[str, str]]:
    rows = []
    for name in PACKAGES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed (optional)" if name in OPTIONAL else "MISSING; run: make install"))
    return rows


def _engines() -> list[tuple[str, str]]:
    """The engine of each downloaded model, with the reason for it, and the OCR engine."""
    from base_models.engines.choices import known_choice
    from indexes.readers.images.ocr import find_engine

    ocr = find_engine()
    pictures = ("OCR", ocr.name if ocr else 'none; pictures and scans need one: pip install "lorewright[ocr]"')
    if not importlib.util.find_spec("openvino"):
        return [
            ("transformers", 'for all models; OpenVINO is faster on a CPU: pip install "lorewright[openvino]"'),
            pictures,
        ]
    names = [entry.name for entry in CATALOGUE.values() if not entry.missing and is_fetched(entry.name)]
    rows = []
    for name in names:
        choice = known_choice(name)
        told = f"{choice.engine}: {choice.reason}" if choice else f"not timed yet; run: lorewright pull {name}"
        rows.append((name, told))
    return [*(rows or [("", "no model is downloaded yet")]), pictures]


def _models() -> list[tuple[str, str]]:
    rows = [("cache", f"{cache_folder()}, {_size(cache_folder()) / 2**20:.0f} MiB in total")]
    rows += [("OpenVINO exports", f"{_size(cache_folder() / 'openvino') / 2**20:.0f} MiB")]
    rows += [(name, f"{size / 2**20:.0f} MiB, {path.name}") for name, path, size in cached_models()]
    absent = [entry.name for entry in CATALOGUE.values() if not entry.missing and not is_fetched(entry.name)]
    return [*rows, ("not downloaded", ", ".join(absent) or "none")]


def _environment() -> list[tuple[str, str]]:
    from langsmith.utils import tracing_is_enabled

    rows = [(name, os.environ[name]) for name in VARIABLES if os.environ.get(name)]
    if tracing_is_enabled():
        rows.append(
            ("warning", "LangSmith tracing is on and sends every question and answer to a server; unset its variables.")
        )
    if not importlib.util.find_spec("pip"):
        rows.append(("warning", "pip is missing, so models cannot be downloaded from the package index."))
    return rows or [("", "no variable is set that affects Lorewright")]


def _domain(path: Path) -> list[tuple[str, str]]:
    try:
        domain = Domain.open(path)
    except DomainError as error:
        return [("problem", str(error))]
    checks: list[tuple[str, Callable[[], str]]] = [
        ("base model", lambda: _model(domain.settings.base_model)),
        ("embedder", lambda: _model(domain.settings.embedder)),
        ("adapters", lambda: ", ".join(domain.adapter_names()) or "none"),
        ("active adapter", lambda: _adapter(domain)),
        ("training questions", lambda: _questions(domain.train_questions)),
        ("held-out questions", lambda: _questions(domain.held_out_questions)),
        ("index", lambda: _index(domain)),
    ]
    rows = []
    for name, check in checks:
        try:
            rows.append((name, check()))
        except DomainError as error:
            rows.append((name, f"PROBLEM: {error}"))
    return rows


def _model(name: str) -> str:
    """A model's name and whether it is downloaded; raises an error if it is neither in the catalogue nor a folder."""
    if name not in CATALOGUE:
        fingerprint(name)
        return name
    return name if is_fetched(name) else f"{name}, not downloaded yet; run: lorewright pull {name}"


def _adapter(domain: Domain) -> str:
    name = domain.settings.adapter
    if is_shipped(domain, name) and reader_of(domain.settings.base_model):
        return "reader, shipped with Lorewright"
    if not name or is_shipped(domain, name):
        return "none, the base model is used as it is"
    base = read_manifest(finished_adapter(domain, name))["base_model"]
    return name if base == domain.settings.base_model else f"{name}, PROBLEM: it was trained on {base}"


def _questions(file: Path) -> str:
    if not file.is_file():
        return "none"
    questions = read_questions(file)
    return f"{len(questions)}, of which {sum(not question.answerable for question in questions)} unanswerable"


def _index(domain: Domain) -> str:
    from assistant.answering.refusal import Refusal
    from indexes import Index

    with Index.open(domain) as index:
        return f"{len(index.documents())} documents; refusal: {Refusal.of(index).describe()}"


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
