"""Examples as the tensors of one forward pass: padded rows, or one packed row."""

from collections.abc import Sequence
from typing import Any

import torch

from base_models.classifier import Classified
from base_models.messages import Encoded
from base_models.packing import can_share, packed
from finetune.batch_plan import shared_prefixes

IGNORED = -100
"""Label of a token without a loss (torch's cross_entropy ignores it)."""


def collate(examples: Sequence[Encoded], pad_token_id: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Pad on the right: ``input_ids``, ``attention_mask`` and ``labels``, each [batch, longest]."""
    return _padded(examples, [_labels(example) for example in examples], pad_token_id, device)


def collate_packed(model: Any, examples: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    """One row that holds all examples, none of which attends to another; the first token of each has no label, because
    what stands before it may belong to another example. Neighbours with a common prefix hold it once."""
    shared = shared_prefixes(examples) if can_share(model) else [0] * len(examples)
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
    return [token if labelled else IGNORED for token, labelled in zip(example.ids, example.labelled, strict=True)]
