"""The training loop: plain torch, one visible path from example to optimiser step.

The objective (objectives.py) decides what is trained: of conversations the assistant's tokens only. The output head
runs on just the positions that predict them, for with retrieved passages in the prompt nine tokens of ten have no
label, and the head is a quarter of a small model's work. The loss of an optimiser step is the mean over all its
targets, however they fall into its micro-batches.

Not supported: more than one process. The scaling of float16 gradients on CUDA could not be run on our machines.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import get_scheduler

from base_models.probe import evaluating
from domain.finetune_settings import RunConfig
from finetune.batch_plan import BatchPlan
from finetune.checkpoint import Checkpoint, TrainingState
from finetune.data.examples import TrainingData
from finetune.errors import FinetuneError
from finetune.logs import StepLog
from finetune.methods import METHODS, learning_rate
from finetune.objectives import Objective
from finetune.steps import Best, Step
from finetune.trainable_model import TrainableModel


@dataclass(frozen=True)
class TrainingTask:
    """What the loop computes: it trains ``trainable`` for the ``objective`` on ``data``, in the order of ``plan``."""

    trainable: TrainableModel
    objective: Objective
    data: TrainingData
    plan: BatchPlan
    config: RunConfig


def train(
    task: TrainingTask,
    checkpoint: Checkpoint | None = None,
    log: StepLog | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> list[Step]:
    """Train; return one :class:`Step` for each optimiser step.

    The first loss or gradient that is not finite raises a :class:`FinetuneError`. With a ``checkpoint`` the run resumes
    from the state it holds, if any. Held-out examples are evaluated every ``eval_steps`` and at the end; the parameters
    with the lowest loss are kept, and after ``early_stopping_patience`` evaluations without a lower one the run ends.
    """
    steps, patience = task.plan.steps, task.config.early_stopping_patience
    state = _initial_state(task)
    history, best = checkpoint.restore(state) if checkpoint else ([], Best())
    if log:
        log.start(history)
    precision = _precision(task)
    started = time.monotonic() - (history[-1].tokens / history[-1].tokens_per_second if history else 0)
    with _training_mode(task):
        for number in range(len(history) + 1, len(steps) + 1):
            if best.evals_since and best.evals_since == patience:
                break
            loss, rate = _optimizer_step(task, state, number, precision)
            held_out_loss = _held_out_loss(task, number, precision)
            # the first step of a warm-up has rate 0 and changes nothing
            if held_out_loss is not None and (rate or history):
                best = _better(best, held_out_loss, number, state)
            history.append(_step(task, number, loss, rate, held_out_loss, time.monotonic() - started))
            if checkpoint and number < len(steps):
                checkpoint.save(state, history, best)
            if log:
                log.write(history[-1])
            if on_step:
                on_step(history[-1])
        _restore_best(state, best)
    task.trainable.model.eval()
    return history


def mean_loss(
    model: Any, examples: Sequence[Any], objective: Objective, precision: AbstractContextManager | None = None
) -> float:
    """Mean loss a target, in nats, of examples that are not trained on; each is evaluated alone."""
    total = 0.0
    for example in examples:
        with evaluating(model), precision or nullcontext():
            total += objective.loss(objective.collate([example])).item()
    return total / sum(example.targets for example in examples)


@contextmanager
def _training_mode(task: TrainingTask) -> Iterator[None]:
    model, checkpointing = task.trainable.model, task.config.gradient_checkpointing
    if checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    try:
        yield
    finally:
        if checkpointing:
            model.gradient_checkpointing_disable()
            model.disable_input_require_grads()


def _optimizer_step(
    task: TrainingTask, state: TrainingState, number: int, precision: AbstractContextManager
) -> tuple[float, float]:
    """Accumulate the gradients of all micro-batches of a step and apply them; its loss and learning rate."""
    batches, examples, scaler = task.plan.steps[number - 1], task.data.examples, state.scaler
    targets = sum(examples[index].targets for batch in batches for index in batch)
    total = 0.0
    for batch in batches:
        with precision:
            loss = task.objective.loss(task.objective.collate([examples[index] for index in batch])) / targets
        if not torch.isfinite(loss):
            raise _not_finite("loss", loss, number, [task.data.numbers[index] for index in batch])
        total += loss.item()
        scaler.scale(loss + task.trainable.penalty() / len(batches)).backward()
    scaler.unscale_(state.optimizer)
    norm = torch.nn.utils.clip_grad_norm_(state.parameters, task.config.max_grad_norm)
    if not torch.isfinite(norm) and not scaler.is_enabled():  # a scaler skips such a step and scales less
        used = [task.data.numbers[index] for batch in batches for index in batch]
        raise _not_finite("gradient", norm, number, used)
    rate = state.scheduler.get_last_lr()[0]
    scaler.step(state.optimizer)
    scaler.update()
    state.scheduler.step()
    task.trainable.after_step(number)
    state.optimizer.zero_grad(set_to_none=True)
    return total, rate


def _held_out_loss(task: TrainingTask, number: int, precision: AbstractContextManager) -> float | None:
    """None after steps without an evaluation, and where nothing is held out."""
    count = len(task.plan.steps)
    every = task.config.eval_steps or -(-count // 10)
    if not task.data.held_out or (number % every and number != count):
        return None
    return mean_loss(task.trainable.model, task.data.held_out, task.objective, precision)


def _step(
    task: TrainingTask, number: int, loss: float, rate: float, held_out_loss: float | None, seconds: float
) -> Step:
    tokens = sum(task.plan.step_tokens[:number])
    speed = tokens / seconds
    left = sum(task.plan.step_tokens[number:]) / speed
    return Step(number, len(task.plan.steps), loss, rate, tokens, speed, left, held_out_loss)


def _better(best: Best, loss: float, step: int, state: TrainingState) -> Best:
    if loss >= best.loss:
        return replace(best, evals_since=best.evals_since + 1)
    kept = [value.detach().clone() for value in state.parameters] if state.trainable.keeps_best else None
    return Best(loss, step, parameters=kept)


def _restore_best(state: TrainingState, best: Best) -> None:
    if best.parameters:
        with torch.no_grad():
            for parameter, value in zip(state.parameters, best.parameters, strict=True):
                parameter.copy_(value)


def _initial_state(task: TrainingTask) -> TrainingState:
    model, config, steps = task.trainable.model, task.config, len(task.plan.steps)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = _optimizer(model, config)
    scheduler = get_scheduler(config.lr_scheduler_type, optimizer, _warmup(config, steps), steps)
    half = torch.float16 in (model.dtype, _autocast_dtype(task))
    device = model.device.type
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda" and half)  # else gradients of float16 would vanish
    return TrainingState(task.trainable, parameters, optimizer, scheduler, scaler)


def _optimizer(model: Any, config: RunConfig) -> torch.optim.Optimizer:
    """AdamW over the trained parameters; with LoRA+ the matrices B in a group of a higher rate (arXiv:2402.12354)."""
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
            "optim adamw_8bit needs bitsandbytes; run: pip install 'lorewright[quantization]', or use adamw_torch"
        ) from None
    return AdamW8bit(groups, weight_decay=config.weight_decay)  # type: ignore[no-any-return]


def _warmup(config: RunConfig, steps: int) -> int:
    """Optimiser steps of warm-up; the first of them has rate 0, and one step must have another."""
    warmup = config.warmup_steps if config.warmup_steps >= 1 else config.warmup_steps * steps
    return min(math.ceil(warmup), steps - 1)


def _precision(task: TrainingTask) -> AbstractContextManager:
    dtype = _autocast_dtype(task)
    return torch.autocast(task.trainable.model.device.type, dtype) if dtype else nullcontext()


def _autocast_dtype(task: TrainingTask) -> torch.dtype | None:
    """The fastest type of this machine for trained weights of the base model, which are float32. None for adapters,
    which are float32 beside a base of that type already."""
    from base_models.hardware import choose_dtype

    fastest = choose_dtype("auto", task.trainable.model.device.type)
    return fastest if METHODS[task.config.method].trains_base_weights and fastest != torch.float32 else None


def _not_finite(what: str, value: torch.Tensor, step: int, examples: Sequence[int]) -> FinetuneError:
    return FinetuneError(
        f"the {what} became {value.item()} at step {step} on example {', '.join(map(str, examples))}; "
        "no adapter was saved. Lower learning_rate, or train in float32 if the model ran in float16."
    )
