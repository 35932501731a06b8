"""The training loop: plain torch, one visible path from example to optimiser step.

What is learnt is the objective's (objectives.py): of conversations the assistant's tokens only, with the output head
run on just the positions that predict them, for with retrieved passages in the prompt nine tokens of ten have no label,
and the head is a quarter of a small model's work. The mean is over all targets of an optimiser step, however they fall
into its forward passes.

Not supported: more than one process. The scaling of float16 gradients on CUDA could not be run on our machines.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from transformers import get_scheduler

from base_models.packing import can_share
from base_models.probe import evaluating
from domain import FinetuneConfig
from finetune.batches import windows
from finetune.checkpoint import Checkpoint, Learning
from finetune.errors import FinetuneError
from finetune.logs import StepLog
from finetune.methods import learning_rate
from finetune.objectives import Objective
from finetune.steps import Best, Step
from finetune.tuned import Tuned


def train(
    tuned: Tuned,
    examples: Sequence[Any],
    config: FinetuneConfig,
    objective: Objective,
    on_step: Callable[[Step], None] | None = None,
    numbers: Sequence[int] | None = None,
    checkpoint: Checkpoint | None = None,
    held_out: Sequence[Any] = (),
    log: StepLog | None = None,
) -> list[Step]:
    """Train what learns in ``tuned``; return one :class:`Step` for each optimiser step.

    ``examples`` are those that the ``objective`` can collate; of each the loop reads its ``ids`` and ``targets``.
    ``numbers`` are what errors call the examples, by default their places from 1. The first loss or gradient that is
    not finite raises a :class:`FinetuneError`. With a ``checkpoint`` the run goes on from the state it holds, if any.
    With ``held_out`` examples their loss is taken every ``eval_steps`` and at the end; the parameters with the lowest
    are the ones that stay, and ``early_stopping_patience`` looks without a lower one end the run.
    """
    model, numbers = tuned.model, numbers or range(1, len(examples) + 1)
    plan = windows(examples, config, can_share(model))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = _optimizer(model, config)
    scheduler = get_scheduler(config.lr_scheduler_type, optimizer, _warmup(config, len(plan)), len(plan))
    precision, scaler = _mixed_precision(model, config)
    learning = Learning(tuned, parameters, optimizer, scheduler, scaler)
    history, best = checkpoint.restore(learning) if checkpoint else ([], Best())
    if log:
        log.begin(history)
    tokens = history[-1].tokens if history else 0
    start = time.monotonic() - (tokens / history[-1].tokens_per_second if history else 0)
    total_tokens = sum(len(examples[index].ids) for window in plan for indices in window for index in indices)
    looks_every = config.eval_steps or -(-len(plan) // 10)
    if config.gradient_checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    for number, window in enumerate(plan[len(history) :], start=len(history) + 1):
        if best.looks_since and best.looks_since == config.early_stopping_patience:
            break
        used = [index for indices in window for index in indices]
        targets = sum(examples[index].targets for index in used)
        window_loss = 0.0
        for indices in window:
            chosen = [examples[index] for index in indices]
            batch = objective.collate(chosen)
            with precision:
                loss = objective.loss(batch) / targets
            if not torch.isfinite(loss):
                raise _not_finite("loss", loss, number, [numbers[index] for index in indices])
            window_loss += loss.item()
            scaler.scale(loss + tuned.penalty() / len(window)).backward()
            tokens += sum(len(example.ids) for example in chosen)
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
        if not torch.isfinite(norm) and not scaler.is_enabled():  # a scaler leaves such a step out, and scales less
            raise _not_finite("gradient", norm, number, [numbers[index] for index in used])
        rate = scheduler.get_last_lr()[0]
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        tuned.after_step(number)
        optimizer.zero_grad(set_to_none=True)
        looks = bool(held_out) and (number % looks_every == 0 or number == len(plan))
        held_out_loss = mean_loss(model, held_out, objective, precision) if looks else None
        if held_out_loss is not None and (
            rate or history
        ):  # the first step of a warm-up has rate 0 and changes nothing
            best = _better(best, held_out_loss, number, parameters if tuned.may_stop_anywhere else None)
        speed = tokens / (time.monotonic() - start)
        left = (total_tokens - tokens) / speed
        history.append(Step(number, len(plan), window_loss, rate, tokens, speed, left, held_out_loss))
        if checkpoint and number < len(plan):
            checkpoint.save(learning, history, best)
        if log:
            log.write(history[-1])
        if on_step:
            on_step(history[-1])
    if best.parameters:
        with torch.no_grad():
            for parameter, value in zip(parameters, best.parameters, strict=True):
                parameter.copy_(value)
    if config.gradient_checkpointing:
        model.gradient_checkpointing_disable()
        model.disable_input_require_grads()
    model.eval()
    return history


def step_count(examples: Sequence[Any], config: FinetuneConfig, share: bool) -> int:
    """How many optimiser steps a run over these examples has; ``share`` as in :func:`windows`."""
    return len(windows(examples, config, share))


def mean_loss(
    model: Any, examples: Sequence[Any], objective: Objective, precision: AbstractContextManager | None = None
) -> float:
    """Mean loss a target of examples that are not learnt from, in nats; each is looked at alone."""
    total = 0.0
    for example in examples:
        with evaluating(model), precision or nullcontext():
            total += objective.loss(objective.collate([example])).item()
    return total / sum(example.targets for example in examples)


def _better(best: Best, loss: float, step: int, parameters: Sequence[torch.Tensor] | None) -> Best:
    if loss >= best.loss:
        return replace(best, looks_since=best.looks_since + 1)
    return Best(loss, step, parameters=[value.detach().clone() for value in parameters] if parameters else None)


def _optimizer(model: Any, config: FinetuneConfig) -> torch.optim.Optimizer:
    """AdamW over what learns; with LoRA+ the matrices B in a group of a higher rate (arXiv:2402.12354)."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    rate = learning_rate(config)
    groups = [{"params": [parameter for name, parameter in named if "lora_B" not in name], "lr": rate}]
    fast = [parameter for name, parameter in named if "lora_B" in name]
    groups += [{"params": fast, "lr": rate * config.loraplus_lr_ratio}] if fast else []
    if config.optim == "adamw_torch":
        return torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError:
        raise FinetuneError(
            "optim adamw_8bit needs bitsandbytes; run: pip install 'lorewright[quantization]', or take adamw_torch"
        ) from None
    return AdamW8bit(groups, weight_decay=config.weight_decay)  # type: ignore[no-any-return]


def _warmup(config: FinetuneConfig, steps: int) -> int:
    """Optimiser steps of warm-up; the first of them has rate 0, and one step must learn."""
    warmup = config.warmup_steps if config.warmup_steps >= 1 else config.warmup_steps * steps
    return min(math.ceil(warmup), steps - 1)


def _mixed_precision(model: Any, config: FinetuneConfig) -> tuple[AbstractContextManager, torch.amp.GradScaler]:
    """Weights that learn themselves are float32, and multiply in the type that is fastest here; adapters need nothing,
    for they are float32 beside a base of that type. Gradients of float16 are scaled, or they would vanish."""
    from base_models.hardware import choose_dtype

    kind = model.device.type
    fastest = choose_dtype("auto", kind)
    own_weights = config.method in ("freeze", "full") and fastest != torch.float32
    precision = torch.autocast(kind, fastest) if own_weights else nullcontext()
    half = torch.float16 in (model.dtype, fastest if own_weights else None)
    return precision, torch.amp.GradScaler(kind, enabled=kind == "cuda" and half)


def _not_finite(what: str, value: torch.Tensor, step: int, examples: Sequence[int]) -> FinetuneError:
    return FinetuneError(
        f"the {what} became {value.item()} at step {step} on example {', '.join(map(str, examples))}; "
        "nothing was saved. Lower learning_rate, or train in float32 if the model ran in float16."
    )
