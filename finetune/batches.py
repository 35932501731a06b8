"""Which examples go into which forward pass, and how they lie in it.

The order is drawn anew for every epoch from the seed alone, so that a run that goes on draws what it drew before.
"""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

import torch

from base_models.classifier import Classified
from base_models.messages import Encoded
from base_models.packing import can_share, packed
from domain import FinetuneConfig

IGNORED = -100
"""Label of a token that is not learnt (torch's cross_entropy ignores it)."""
SHARED = 64
"""Tokens that examples must begin with alike to hold them once: more than the system prompt. Chosen."""
GROUPED = 50
"""With group_by_length, batches are made of like lengths among so many batches' worth of examples."""


def windows(examples: Sequence[Any], config: FinetuneConfig, share: bool = False) -> list[list[list[int]]]:
    """For each optimiser step its forward passes, and for each of them the numbers of its examples, from 0.

    With ``share`` and packing, examples that begin alike stand side by side and hold that beginning once.
    """
    passes = list(_passes(examples, config, share))
    each = config.gradient_accumulation_steps
    steps = [passes[start : start + each] for start in range(0, len(passes), each)]
    return steps[: config.max_steps] if config.max_steps else steps


def _passes(examples: Sequence[Any], config: FinetuneConfig, share: bool) -> Iterator[list[int]]:
    """Every epoch in a new order, the last one cut at its share."""
    generator = torch.Generator().manual_seed(config.seed)
    lengths = [len(example.ids) for example in examples]
    left = round(len(lengths) * config.num_train_epochs) or 1
    size = config.per_device_train_batch_size
    alike = _alike(examples) if config.packing and share else range(len(examples))
    while left > 0:
        order = torch.randperm(len(lengths), generator=generator)[:left].tolist()
        left -= len(order)
        if config.packing:
            yield from _filled(order, examples, alike, config.max_length * size)
            continue
        if config.group_by_length and size > 1:
            order = _grouped(order, lengths, size, generator)
        for start in range(0, len(order), size):
            yield order[start : start + size]


def _filled(order: Sequence[int], examples: Sequence[Any], alike: Sequence[int], room: int) -> list[list[int]]:
    """Rows of at most ``room`` tokens: each example goes to those that begin alike if it fits there, else into the
    first row where it fits, in the order given."""
    groups: dict[int, list[int]] = {}
    for index in order:
        groups.setdefault(alike[index], []).append(index)
    rows: list[list[int]] = []
    free: list[int] = []
    for members in groups.values():
        home, head = -1, members[0]
        for index in members:
            length = len(examples[index].ids)
            more = length - _common(examples[head], examples[index]) if home >= 0 else length
            if home < 0 or free[home] < more:
                head, more = index, length
                home = next((row for row, left in enumerate(free) if left >= length), len(rows))
            if home == len(rows):
                rows.append([])
                free.append(room)
            rows[home].append(index)
            free[home] -= more
    return rows


def _alike(examples: Sequence[Encoded]) -> list[int]:
    """For each example the number of the one whose beginning it has, its own if none has it."""
    alike = list(range(len(examples)))
    head = -1
    for index in sorted(alike, key=lambda index: examples[index].ids):
        head = head if head >= 0 and _common(examples[head], examples[index]) else index
        alike[index] = head
    return alike


def shared_beginnings(examples: Sequence[Encoded]) -> list[int]:
    """How many of the first ids of each example lie in the row already, as those of the last example with 0 here."""
    shared: list[int] = []
    head = examples[0]
    for example in examples:
        shared.append(_common(head, example) if shared else 0)
        head = head if shared[-1] else example
    return shared


def _common(head: Encoded, example: Encoded) -> int:
    """How many ids both begin with, short of the first that ``example`` learns; 0 for fewer than :data:`SHARED`."""
    learnt = example.labelled.index(True) if True in example.labelled else len(example.ids)
    first = list(takewhile(lambda pair: pair[0] == pair[1], zip(head.ids, example.ids[: learnt - 1], strict=False)))
    return len(first) if len(first) >= SHARED else 0


def _grouped(order: list[int], lengths: Sequence[int], size: int, generator: torch.Generator) -> list[int]:
    """The same examples, sorted by length within stretches of GROUPED batches; the batches in a new order."""
    batches: list[list[int]] = []
    for start in range(0, len(order), GROUPED * size):
        stretch = sorted(order[start : start + GROUPED * size], key=lambda index: -lengths[index])
        batches += [stretch[first : first + size] for first in range(0, len(stretch), size)]
    last = [batch for batch in batches if len(batch) < size]  # a short batch stays at the end, or sizes would shift
    full = [batch for batch in batches if len(batch) == size]
    shuffled = [full[index] for index in torch.randperm(len(full), generator=generator).tolist()]
    return [index for batch in [*shuffled, *last] for index in batch]


def collate(examples: Sequence[Encoded], pad_token_id: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Pad on the right: ``input_ids``, ``attention_mask`` and ``labels``, each [batch, longest]."""
    return _padded(examples, [_labels(example) for example in examples], pad_token_id, device)


def collate_packed(model: Any, examples: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    """One row that holds all of them, none of which reads another; the first token of each has no label, for what
    stands before it may belong to another example. Neighbours that begin alike hold the beginning once."""
    shared = shared_beginnings(examples) if can_share(model) else [0] * len(examples)
    labels = [
        label
        for example, common in zip(examples, shared, strict=True)
        for label in [IGNORED, *_labels(example)[common + 1 :]]
    ]
    return packed(model, [example.ids for example in examples], shared) | {
        "labels": torch.tensor([labels], device=model.device)
    }


def collate_classes(examples: Sequence[Classified], pad_token_id: int, device: torch.device) -> dict[str, torch.Tensor]:
    """As :func:`collate`; ``labels`` is [batch, 1] where each text has one class."""
    return _padded(examples, [example.labels for example in examples], pad_token_id, device)


def _padded(
    examples: Sequence[Encoded | Classified], labels: list[list[int]], pad_token_id: int, device: torch.device
) -> dict[str, torch.Tensor]:
    def tensor(rows: list[list[int]], value: int) -> torch.Tensor:
        longest = max(map(len, rows))
        return torch.tensor([row + [value] * (longest - len(row)) for row in rows], device=device)

    return {
        "input_ids": tensor([example.ids for example in examples], pad_token_id),
        "attention_mask": tensor([[1] * len(example.ids) for example in examples], 0),
        "labels": tensor(labels, IGNORED),
    }


def _labels(example: Encoded) -> list[int]:
    return [token if learn else IGNORED for token, learn in zip(example.ids, example.labelled, strict=True)]
