"""Which examples each optimiser step reads, and in which forward passes: planned once, before a run begins.

The order of every epoch is drawn from the seed alone, so that a resumed run draws the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

import torch

from base_models.messages import Encoded
from domain.finetune_settings import RunConfig

MIN_SHARED_PREFIX = 64
"""Examples with fewer first tokens in common do not share them: more than the system prompt. Chosen."""
GROUPED_BATCHES = 50
"""With group_by_length, examples are sorted by length within stretches of so many batches. Chosen."""


@dataclass(frozen=True)
class BatchPlan:
    """All forward passes of a run."""

    steps: list[list[list[int]]]
    """For each optimiser step its micro-batches, for each of them the indices of its examples."""
    lengths: list[int]
    """Tokens of every example."""

    @cached_property
    def micro_batches(self) -> list[list[int]]:
        return [batch for step in self.steps for batch in step]

    @cached_property
    def step_tokens(self) -> list[int]:
        """How many tokens each optimiser step reads."""
        return [sum(self.lengths[index] for batch in step for index in batch) for step in self.steps]

    @cached_property
    def examples_read(self) -> int:
        """With max_steps, or less than one epoch, not all examples."""
        return len({index for batch in self.micro_batches for index in batch})


def plan_batches(examples: Sequence[Any], config: RunConfig, share_prefixes: bool = False) -> BatchPlan:
    """Plan a run over these examples.

    With ``share_prefixes`` and packing, examples that begin with the same tokens stand side by side, so that a row
    holds those tokens once.
    """
    batches = list(_micro_batches(examples, config, share_prefixes))
    size = config.gradient_accumulation_steps
    steps = [batches[start : start + size] for start in range(0, len(batches), size)]
    return BatchPlan(steps[: config.max_steps] if config.max_steps else steps, [len(one.ids) for one in examples])


def _micro_batches(examples: Sequence[Any], config: RunConfig, share_prefixes: bool) -> Iterator[list[int]]:
    """Every epoch in a new order, the last one cut at its share."""
    generator = torch.Generator().manual_seed(config.seed)
    lengths = [len(example.ids) for example in examples]
    left = round(len(lengths) * config.num_train_epochs) or 1
    size = config.per_device_train_batch_size
    groups = _prefix_groups(examples) if config.packing and share_prefixes else range(len(examples))
    while left > 0:
        order = torch.randperm(len(lengths), generator=generator)[:left].tolist()
        left -= len(order)
        if config.packing:
            yield from _packed_rows(order, examples, groups, config.max_length * size)
            continue
        if config.group_by_length and size > 1:
            order = _grouped_by_length(order, lengths, size, generator)
        for start in range(0, len(order), size):
            yield order[start : start + size]


def _packed_rows(order: Sequence[int], examples: Sequence[Any], groups: Sequence[int], room: int) -> list[list[int]]:
    """Rows of at most ``room`` tokens: each example goes to those of its group if it fits there, else into the first
    row where it fits, in the order given."""
    by_group: dict[int, list[int]] = {}
    for index in order:
        by_group.setdefault(groups[index], []).append(index)
    rows: list[list[int]] = []
    free: list[int] = []
    for members in by_group.values():
        row, head = -1, members[0]
        for index in members:
            length = len(examples[index].ids)
            needed = length - _shared_prefix(examples[head], examples[index]) if row >= 0 else length
            if row < 0 or free[row] < needed:
                head, needed = index, length
                row = next((number for number, left in enumerate(free) if left >= length), len(rows))
            if row == len(rows):
                rows.append([])
                free.append(room)
            rows[row].append(index)
            free[row] -= needed
    return rows


def _prefix_groups(examples: Sequence[Encoded]) -> list[int]:
    """For each example the index of the one whose prefix it shares; its own if it shares none."""
    groups = list(range(len(examples)))
    head = -1
    for index in sorted(groups, key=lambda index: examples[index].ids):
        head = head if head >= 0 and _shared_prefix(examples[head], examples[index]) else index
        groups[index] = head
    return groups


def shared_prefixes(examples: Sequence[Encoded]) -> list[int]:
    """How many of the first ids of each example of a row it shares with the last example before it that has 0 here."""
    shared: list[int] = []
    head = examples[0]
    for example in examples:
        shared.append(_shared_prefix(head, example) if shared else 0)
        head = head if shared[-1] else example
    return shared


def _shared_prefix(head: Encoded, example: Encoded) -> int:
    """How many first ids both have in common, short of the first labelled one of ``example``; 0 for fewer than
    :data:`MIN_SHARED_PREFIX`."""
    labelled = example.labelled.index(True) if True in example.labelled else len(example.ids)
    first = list(takewhile(lambda pair: pair[0] == pair[1], zip(head.ids, example.ids[: labelled - 1], strict=False)))
    return len(first) if len(first) >= MIN_SHARED_PREFIX else 0


def _grouped_by_length(order: list[int], lengths: Sequence[int], size: int, generator: torch.Generator) -> list[int]:
    """The same examples, sorted by length within stretches of GROUPED_BATCHES; the batches in a new order."""
    batches: list[list[int]] = []
    for start in range(0, len(order), GROUPED_BATCHES * size):
        stretch = sorted(order[start : start + GROUPED_BATCHES * size], key=lambda index: -lengths[index])
        batches += [stretch[first : first + size] for first in range(0, len(stretch), size)]
    last = [batch for batch in batches if len(batch) < size]  # a short batch stays at the end, or sizes would shift
    full = [batch for batch in batches if len(batch) == size]
    shuffled = [full[index] for index in torch.randperm(len(full), generator=generator).tolist()]
    return [index for batch in [*shuffled, *last] for index in batch]
