"""What is learnt: how examples lie in a forward pass, and the loss summed over what they teach.

    answers     the next token, on the assistant's tokens only; a causal model
    classes     one class for each text, or one tag for each labelled token; an encoder

The training loop divides by the number of targets of an optimiser step, however they fall into its forward passes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from finetune.batches import IGNORED, collate, collate_classes, collate_packed
from finetune.tuned import Tuned

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Objective:
    """The two things that the loop does not know."""

    collate: Callable[[Sequence[Any]], Batch]
    """Examples to the tensors of one forward pass."""
    loss: Callable[[Batch], torch.Tensor]
    """The loss of such tensors, in nats, summed over their targets."""


def answers(tuned: Tuned, pad_token_id: int, packing: bool = False) -> Objective:
    """Next tokens of conversations and texts; with ``packing`` several of them in one row."""

    def rows(examples: Sequence[Any]) -> Batch:
        model = tuned.model
        return collate_packed(model, examples) if packing else collate(examples, pad_token_id, model.device)

    return Objective(rows, lambda batch: summed_loss(tuned, **batch))


def classes(tuned: Tuned, pad_token_id: int) -> Objective:
    """Classes of texts (logits [texts, classes]), or of their labelled tokens (logits [texts, tokens, classes])."""

    def loss(batch: Batch) -> torch.Tensor:
        logits = tuned.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        targets = batch["labels"].flatten()
        return cross_entropy(logits.flatten(0, -2).float(), targets, ignore_index=IGNORED, reduction="sum")

    return Objective(lambda examples: collate_classes(examples, pad_token_id, tuned.model.device), loss)


def summed_loss(
    tuned: Tuned,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    labels: torch.Tensor,
    position_ids: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-entropy summed over the labelled tokens, with the head run only where some row predicts one of them."""
    predicts = (labels[:, 1:] != IGNORED).any(dim=0).nonzero().flatten()
    positions = {} if position_ids is None else {"position_ids": position_ids}
    logits = tuned.model(
        input_ids=input_ids,
        attention_mask=attention_mask,
        logits_to_keep=predicts + tuned.tokens_before,
        use_cache=tuned.use_cache,
        **positions,
    ).logits
    targets = labels[:, predicts + 1]
    return cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum")
