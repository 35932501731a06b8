"""Lists the models for `lorewright models`: whether each is downloaded, fits this machine, and how fast it is.

Also selects the chat model for `lorewright new`.
"""

import shutil

import psutil
from rich.console import Console
from rich.padding import Padding

from base_models import CATALOGUE, Entry, find
from base_models.acquire.fetch import cache_folder, is_fetched
from base_models.acquire.sources import hub_is_reachable
from base_models.engines.choices import known_choice
from base_models.hardware import gpu_memory
from base_models.reader import reader_of
from domain import Settings

BYTES = {"chat": 2.4, "embedder": 4.8, "reranker": 4.8}
"""Bytes of memory per parameter: 16-bit weights (32-bit for encoders), plus a fifth for working memory. Estimated."""
TIMED_SHARE = 0.4
"""The timed answer (256 tokens of prompt, 24 of answer) as a share of a typical one (600 and 64). By tokens."""

MOST_SECONDS = 12
"""Maximum time of a typical answer with the model selected for a new domain, on a CPU. Chosen."""


def print_models() -> None:
    """Print the catalogue, and which of its models are in the cache."""
    console = Console(highlight=False)
    for entry in CATALOGUE.values():
        here = "from your own folder" if entry.missing else "downloaded" if is_fetched(entry.name) else "not downloaded"
        console.print(f"[bold]{entry.name}[/bold]: {entry.kind}, {entry.licence}, {here}", soft_wrap=True)
        facts = [
            f"{entry.parameters / 1e9:.2g} billion parameters",
            f"context of {entry.context_length:,} tokens",
            f"needs about {memory(entry) / 1e9:.1f} GB" + ("" if fits(entry) else ", too much for this machine"),
        ]
        if reader_of(entry.name):
            facts.append("with a reader")
        if entry.kind == "chat" and not entry.missing and fits(entry) and (seconds := seconds_of_an_answer(entry)):
            facts.append(f"about {seconds:.0f} s per answer here")
        console.print(Padding(f"{entry.summary} {'; '.join(facts)}.", (0, 0, 1, 4)))
    console.print(
        f"Cache: {cache_folder()}. You can also give the folder of any safetensors model that transformers can load."
    )


def memory(entry: Entry) -> float:
    """Approximate memory of a model in bytes."""
    return entry.parameters * BYTES[entry.kind]


def fits(entry: Entry) -> bool:
    """Whether a model leaves a tenth of this machine's memory free; GPU memory is not checked."""
    return memory(entry) < 0.9 * psutil.virtual_memory().total


def seconds_of_an_answer(entry: Entry) -> float | None:
    """Seconds of a typical answer: as timed on this machine, or scaled from the timed model nearest in size."""
    timed = {
        other.parameters: choice.seconds[choice.engine]
        for other in CATALOGUE.values()
        if other.kind == "chat" and is_fetched(other.name) and (choice := known_choice(other.name)) and choice.seconds
    }
    if not timed:
        return None
    nearest = min(timed, key=lambda parameters: abs(parameters - entry.parameters))
    return timed[nearest] * entry.parameters / nearest / TIMED_SHARE


def best_chat_model() -> Entry:
    """The largest chat model that fits, is available, and on a CPU answers within :data:`MOST_SECONDS`.

    A model that is not downloaded is available if the hub may be used and is reachable. If nothing has been timed yet,
    or no larger model is fast enough, returns the default. On a GPU (untested) only the size counts.
    """
    default = find(Settings().base_model)
    on_gpu = gpu_memory() if shutil.which("nvidia-smi") else 0  # avoids loading torch, which takes seconds

    def is_quick(entry: Entry) -> bool:
        if on_gpu:
            return memory(entry) < 0.9 * on_gpu
        seconds = seconds_of_an_answer(entry)
        return fits(entry) and seconds is not None and seconds <= MOST_SECONDS

    larger = [
        entry
        for entry in CATALOGUE.values()
        if entry.kind == "chat" and not entry.missing and entry.parameters > default.parameters and is_quick(entry)
    ]
    larger.sort(key=lambda entry: -entry.parameters)
    if any(not is_fetched(entry.name) for entry in larger) and not hub_is_reachable():
        larger = [entry for entry in larger if is_fetched(entry.name)]
    return next(iter(larger), default)
