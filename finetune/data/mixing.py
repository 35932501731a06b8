"""Mixes several data files, each with a weight."""

import random
from collections.abc import Sequence
from pathlib import Path

from base_models.messages import Message
from finetune.data.data_files import read_data
from finetune.errors import FinetuneError


def named_source(entry: str, folder: Path) -> tuple[Path, float]:
    """The file and weight of an entry like ``chats.jsonl`` or ``chats.jsonl=0.5``; a path is taken from ``folder``."""
    name, _, weight = entry.rpartition("=")
    try:
        share = float(weight) if name else 1.0
    except ValueError:  # the = belongs to the name of the file
        name, share = "", 1.0
    if not 0 < share <= 1000:
        raise FinetuneError(f"data: the weight in {entry!r} must be above 0 and at most 1000.")
    return folder / (name or entry), share


def mixed(
    conversations: Sequence[Sequence[Message]], sources: Sequence[tuple[Path, float]], seed: int
) -> list[Sequence[Message]]:
    """The conversations, and those of each file as often as its weight says.

    Weight 1 takes each of them once an epoch, 2 twice, 0.5 a random half, drawn by ``seed``, 1.5 all and a random half.
    """
    chance = random.Random(seed)
    result = list(conversations)
    for path, weight in sources:
        available = read_data(path)
        whole, rest = divmod(weight, 1)
        taken = available * int(whole) + chance.sample(available, round(rest * len(available)))
        if not taken:
            raise FinetuneError(
                f"data: the weight {weight:g} takes none of the {len(available)} examples in {path}; raise it."
            )
        result += taken
    return result
