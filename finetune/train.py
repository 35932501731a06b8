"""The training loop: plain torch, one visible path from example to optimiser step.

Loss is taken on the assistant's tokens only, and the output head is run on just the positions that predict them: with
retrieved passages in the prompt nine tokens of ten have no label, and the head is a quarter of a small model's work.
The mean is over all labelled tokens of an optimiser step, however they fall into its forward passes.

Not supported yet: packing, held-out loss, more than one process.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import get_scheduler

from base_models import Encoded
from domain import FinetuneConfig
from finetune.checkpoint import Checkpoint
from finetune.data import IGNORED, collate
from finetune.errors import FinetuneError


@dataclass(frozen=True)
class Step:
    """What is told after each optimiser step."""

    step: int
    steps: int
    loss: float
    """Mean negative log-likelihood per labelled token, in nats."""
    learning_rate: float
    tokens: int
    """Tokens read so far, prompts included."""
    tokens_per_second: float
    seconds_left: float


def train(
    model: Any,
    examples: Sequence[Encoded],
    config: FinetuneConfig,
    pad_token_id: int,
    on_step: Callable[[Step], None] | None = None,
    numbers: Sequence[int] | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[Step]:
    """Train the parameters of ``model`` that require gradients; return one :class:`Step` for each optimiser step.

    ``numbers`` are what errors call the examples, by default their places from 1. The first loss or gradient that is
    not finite raises a :class:`FinetuneError`. With a ``checkpoint`` the run goes on from the state it holds, if any.
    """
    numbers = numbers or range(1, len(examples) + 1)
    batches = list(_batches(len(examples), config))
    windows = [
        batches[start : start + config.gradient_accumulation_steps]
        for start in range(0, len(batches), config.gradient_accumulation_steps)
    ]
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    warmup = config.warmup_steps if config.warmup_steps >= 1 else config.warmup_steps * len(windows)
    warmup = min(math.ceil(warmup), len(windows) - 1)  # the first step of a warm-up has rate 0; one step must learn
    scheduler = get_scheduler(config.lr_scheduler_type, optimizer, warmup, len(windows))
    done = checkpoint.restore(parameters, optimizer, scheduler) if checkpoint else []
    history = [Step(**step) for step in done]
    tokens = history[-1].tokens if history else 0
    start = time.monotonic() - (tokens / history[-1].tokens_per_second if history else 0)
    total_tokens = sum(len(examples[index].ids) for batch in batches for index in batch)
    model.train()
    for number, window in enumerate(windows[len(history) :], start=len(history) + 1):
        labelled = sum(sum(examples[index].labelled) for batch in window for index in batch)
        window_loss = 0.0
        for batch in window:
            tensors = collate([examples[index] for index in batch], pad_token_id, model.device)
            loss = summed_loss(model, **tensors) / labelled
            if not torch.isfinite(loss):
                raise _not_finite("loss", loss, number, [numbers[index] for index in batch])
            loss.backward()
            window_loss += loss.item()
            tokens += sum(len(examples[index].ids) for index in batch)
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
        if not torch.isfinite(norm):
            raise _not_finite("gradient", norm, number, [numbers[index] for batch in window for index in batch])
        learning_rate = scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        rate = tokens / (time.monotonic() - start)
        history.append(
            Step(number, len(windows), window_loss, learning_rate, tokens, rate, (total_tokens - tokens) / rate)
        )
        if checkpoint and number < len(windows):
            checkpoint.save(parameters, optimizer, scheduler, history)
        if on_step:
            on_step(history[-1])
    model.eval()
    return history


def summed_loss(
    model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy summed over the labelled tokens, with the head run only where some row predicts one of them."""
    predicts = (labels[:, 1:] != IGNORED).any(dim=0).nonzero().flatten()
    logits = model(input_ids=input_ids, attention_mask=attention_mask, logits_to_keep=predicts, use_cache=False).logits
    targets = labels[:, predicts + 1]
    return cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum")


def _not_finite(what: str, value: torch.Tensor, step: int, examples: Sequence[int]) -> FinetuneError:
    return FinetuneError(
        f"the {what} became {value.item()} at step {step} on example {', '.join(map(str, examples))}; "
        "nothing was saved. Lower learning_rate, or train in float32 if the model ran in float16."
    )


def _batches(count: int, config: FinetuneConfig) -> Iterator[list[int]]:
    """Indices of the examples of each forward pass: every epoch in a new order, the last one cut at its share."""
    generator = torch.Generator().manual_seed(config.seed)
    left = round(count * config.num_train_epochs) or 1
    while left > 0:
        order = torch.randperm(count, generator=generator)[:left].tolist()
        left -= len(order)
        for start in range(0, len(order), config.per_device_train_batch_size):
            yield order[start : start + config.per_device_train_batch_size]
