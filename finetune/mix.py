"""Several sources of examples become one, each with its weight."""

import random
from collections.abc import Sequence
from pathlib import Path

from base_models.messages import Message
from finetune.errors import FinetuneError
from finetune.read import read_data


def named_source(entry: str, folder: Path) -> tuple[Path, float]:
    """The file and weight of an entry like ``chats.jsonl`` or ``chats.jsonl=0.5``; a path is taken from ``folder``."""
    name, _, weight = entry.rpartition("=")
    try:
        share = float(weight) if name else 1.0
    except ValueError:  # the = belongs to the name of the file
        name, share = "", 1.0
    if not 0 < share <= 1000:
        raise FinetuneError(f"data: the weight of {entry!r} must be above 0 and at most 1000.")
    return folder / (name or entry), share


def mixed(
    conversations: Sequence[Sequence[Message]], sources: Sequence[tuple[Path, float]], seed: int
) -> list[Sequence[Message]]:
    """The conversations, and beside them those of each file as often as its weight says.

    1 takes each of them once an epoch, 2 twice, 0.5 a half of them, drawn by ``seed``; 1.5 each once and a half again.
    """
    chance = random.Random(seed)
    result = list(conversations)
    for path, weight in sources:
        there = read_data(path)
        whole, rest = divmod(weight, 1)
        taken = there * int(whole) + chance.sample(there, round(rest * len(there)))
        if not taken:
            raise FinetuneError(f"data: {weight:g} takes none of the {len(there)} examples of {path}; raise it.")
        result += taken
    return result
