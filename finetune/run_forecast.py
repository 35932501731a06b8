"""What a run will take, computed before its first step: examples, steps, memory, time. One that memory cannot hold is
refused."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from base_models.forecast import activation_bytes
from base_models.loaded_model import LoadedModel
from base_models.packing import can_share
from domain.finetune_settings import RunConfig
from finetune.batch_plan import shared_prefixes
from finetune.errors import FinetuneError
from finetune.methods import METHODS
from finetune.training_loop import TrainingTask

OPTIMIZER_BYTES = {"adamw_torch": 12, "adamw_8bit": 6}
"""For each trained weight, besides itself: its gradient and AdamW's two moments."""


@dataclass(frozen=True)
class Forecast:
    """Reported before the first step."""

    examples: int
    """How many are read; with max_steps, or less than one epoch, not all."""
    steps: int
    tokens: int
    trained_parameters: int
    memory_bytes: int
    """Beyond the loaded model: gradients, moments, and the activations of a forward pass."""
    free_bytes: int
    least_seconds: float
    """At the speed of this machine's matrix products; small models and short texts do not reach it."""


def forecast_run(base: LoadedModel, task: TrainingTask) -> Forecast:
    """Count and measure, in a second or two."""
    model, plan, config = task.trainable.model, task.plan, task.config
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    shapes = [
        _shape([task.data.examples[index] for index in batch], config.packing, can_share(model))
        for batch in plan.micro_batches
    ]
    rows, longest = max(shapes, key=lambda shape: shape[0] * shape[1])
    activations = activation_bytes(model.config, model.dtype, rows, longest, config.gradient_checkpointing, base.task)
    tokens = sum(plan.step_tokens)
    computed = sum(columns for _, columns in shapes) if config.packing else tokens
    passes = 3 if config.method == "full" else 2  # forward, to the inputs, to the weights; each 2 flop a weight
    passes += config.gradient_checkpointing
    weights = sum(part.in_features * part.out_features for part in model.modules() if isinstance(part, torch.nn.Linear))
    return Forecast(
        examples=plan.examples_read,
        steps=len(plan.steps),
        tokens=tokens,
        trained_parameters=trained,
        memory_bytes=trained * OPTIMIZER_BYTES[config.optim] + activations,
        free_bytes=_free(base.device),
        least_seconds=passes * 2 * weights * computed / _flop_rate(model),
    )


def check_memory(forecast: Forecast, config: RunConfig) -> None:
    """Raise a :class:`FinetuneError` that says what to lower, where the run does not fit."""
    if forecast.memory_bytes <= forecast.free_bytes:
        return
    adapter = not METHODS[config.method].trains_base_weights
    advice = ["lower max_length or per_device_train_batch_size"]
    if not config.gradient_checkpointing:
        advice.append("use gradient_checkpointing")
    if config.optim == "adamw_torch" and not adapter:
        advice.append("use optim adamw_8bit or method lora")
    if config.quantization == "none" and adapter:
        advice.append("use quantization nf4")
    raise FinetuneError(
        f"the run needs about {forecast.memory_bytes / 1e9:.1f} GB of memory besides the loaded model, but only "
        f"{forecast.free_bytes / 1e9:.1f} GB are free; {'; '.join(advice)}."
    )


def _shape(examples: Sequence[Any], packing: bool, share_prefixes: bool) -> tuple[int, int]:
    """Rows and columns of the forward pass of these examples, padding included."""
    lengths = [len(example.ids) for example in examples]
    if not packing:
        return len(lengths), max(lengths)
    return 1, sum(lengths) - (sum(shared_prefixes(examples)) if share_prefixes else 0)


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def _flop_rate(model: Any) -> float:
    """Floating-point operations a second of one matrix product of the model's size, the best of three."""
    width = model.config.hidden_size
    left = torch.ones(256, width, dtype=model.dtype, device=model.device)
    right = torch.ones(4 * width, width, dtype=model.dtype, device=model.device)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        (left @ right.T)[0, 0].item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 2 * 256 * width * 4 * width / min(seconds[1:])
