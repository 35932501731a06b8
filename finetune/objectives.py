"""Objectives: how examples become the tensors of a forward pass, and their summed loss.

    answers     the next token, on the assistant's tokens only; a causal model
    classes     one class for each text, or one tag for each labelled token; an encoder

The training loop divides by the number of targets of an optimiser step, however they fall into its micro-batches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from finetune.batches import IGNORED, collate, collate_classes, collate_packed
from finetune.trainable_model import TrainableModel

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Objective:
    """What differs between objectives; the training loop is the same."""

    collate: Callable[[Sequence[Any]], Batch]
    """Turns examples into the tensors of one forward pass."""
    loss: Callable[[Batch], torch.Tensor]
    """The loss of these tensors, in nats, summed over their targets."""


def answers(trainable: TrainableModel, pad_token_id: int, packing: bool = False) -> Objective:
    """Next tokens of conversations and texts; with ``packing`` several examples in one row."""

    def rows(examples: Sequence[Any]) -> Batch:
        model = trainable.model
        return collate_packed(model, examples) if packing else collate(examples, pad_token_id, model.device)

    return Objective(rows, lambda batch: summed_loss(trainable, **batch))


def classes(trainable: TrainableModel, pad_token_id: int) -> Objective:
    """Classes of texts (logits [texts, classes]), or of their labelled tokens (logits [texts, tokens, classes])."""

    def loss(batch: Batch) -> torch.Tensor:
        logits = trainable.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        targets = batch["labels"].flatten()
        return cross_entropy(logits.flatten(0, -2).float(), targets, ignore_index=IGNORED, reduction="sum")

    return Objective(lambda examples: collate_classes(examples, pad_token_id, trainable.model.device), loss)


def summed_loss(
    trainable: TrainableModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    labels: torch.Tensor,
    position_ids: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-entropy summed over the labelled tokens; the head runs only on positions where some row predicts one."""
    predicts = (labels[:, 1:] != IGNORED).any(dim=0).nonzero().flatten()
    positions = {} if position_ids is None else {"position_ids": position_ids}
    logits = trainable.model(
        input_ids=input_ids,
        attention_mask=attention_mask,
        logits_to_keep=predicts + trainable.virtual_tokens,
        use_cache=trainable.use_cache,
        **positions,
    ).logits
    targets = labels[:, predicts + 1]
    return cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum")
