"""What a run will take, told before it begins; and a refusal where memory cannot hold it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from base_models.forecast import activation_bytes
from base_models.loaded_model import LoadedModel
from base_models.packing import can_share
from domain import FinetuneConfig
from finetune.batches import shared_beginnings, windows
from finetune.data import Chosen
from finetune.errors import FinetuneError
from finetune.tuned import Tuned

OPTIMIZER_BYTES = {"adamw_torch": 12, "adamw_8bit": 6}
"""Of each weight that learns, beside itself: its gradient and AdamW's two moments."""


@dataclass(frozen=True)
class Forecast:
    """Told before the first step."""

    examples: int
    """How many are read; with max_steps, or less than one epoch, not all that are there."""
    steps: int
    tokens: int
    trained_parameters: int
    memory_bytes: int
    """What the run takes beyond the loaded model: gradients, moments, and what a forward pass keeps."""
    free_bytes: int
    least_seconds: float
    """At the rate of this machine's matrix products; small models and short texts do not reach it."""


def forecast(base: LoadedModel, tuned: Tuned, chosen: Chosen, config: FinetuneConfig) -> Forecast:
    """Count and measure, in a second or two."""
    model = tuned.model
    plan = windows(chosen.examples, config, can_share(model))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    shapes = [
        _shape([chosen.examples[index] for index in indices], config.packing, can_share(model))
        for window in plan
        for indices in window
    ]
    rows, longest = max(shapes, key=lambda shape: shape[0] * shape[1])
    kept = activation_bytes(model.config, model.dtype, rows, longest, config.gradient_checkpointing, base.task)
    tokens = sum(len(chosen.examples[index].ids) for window in plan for indices in window for index in indices)
    computed = sum(longest for _, longest in shapes) if config.packing else tokens
    passes = 3 if config.method == "full" else 2  # forward, to the inputs, to the weights; each 2 flop a weight
    passes += config.gradient_checkpointing
    weights = sum(part.in_features * part.out_features for part in model.modules() if isinstance(part, torch.nn.Linear))
    return Forecast(
        examples=len({index for window in plan for indices in window for index in indices}),
        steps=len(plan),
        tokens=tokens,
        trained_parameters=trained,
        memory_bytes=trained * OPTIMIZER_BYTES[config.optim] + kept,
        free_bytes=_free(base.device),
        least_seconds=passes * 2 * weights * computed / _flop_rate(model),
    )


def refuse_what_does_not_fit(told: Forecast, config: FinetuneConfig) -> None:
    """Raise a :class:`FinetuneError` that says what to lower."""
    if told.memory_bytes <= told.free_bytes:
        return
    advice = ["lower max_length or per_device_train_batch_size"]
    if not config.gradient_checkpointing:
        advice.append("take gradient_checkpointing")
    if config.optim == "adamw_torch" and config.method in ("full", "freeze"):
        advice.append("take optim adamw_8bit, or method lora")
    if config.quantization == "none" and config.method not in ("full", "freeze"):
        advice.append("take quantization nf4")
    raise FinetuneError(
        f"the run needs about {told.memory_bytes / 1e9:.1f} GB beside the loaded model, and "
        f"{told.free_bytes / 1e9:.1f} GB are free: {'; '.join(advice)}."
    )


def _shape(examples: Sequence[Any], packing: bool, share: bool) -> tuple[int, int]:
    """Rows and columns of the forward pass that holds these examples, padding included."""
    lengths = [len(example.ids) for example in examples]
    if not packing:
        return len(lengths), max(lengths)
    return 1, sum(lengths) - (sum(shared_beginnings(examples)) if share else 0)


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def _flop_rate(model: Any) -> float:
    """Floating-point operations a second of one product as the model has them, the best of three."""
    width = model.config.hidden_size
    left = torch.ones(256, width, dtype=model.dtype, device=model.device)
    right = torch.ones(4 * width, width, dtype=model.dtype, device=model.device)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        (left @ right.T)[0, 0].item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 2 * 256 * width * 4 * width / min(seconds[1:])
