"""A run reports what it will take before its first step; one that memory cannot hold is refused."""

from pathlib import Path
from typing import Any

import pytest

from base_models.loaded_model import LoadedModel
from domain import FinetuneConfig
from finetune import FinetuneError, Forecast, finetune

TALKS = [
    [{"role": "user", "content": f"{number}? {'and ' * 40}"}, {"role": "assistant", "content": f"{number}!"}]
    for number in range(8)
]


def told_of(base: LoadedModel, output: Path, **settings: Any) -> Forecast:
    told: list[Forecast] = []

    def stop(one: Forecast) -> None:
        told.append(one)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(base, TALKS, output, FinetuneConfig(**settings), on_start=stop)
    return told[0]


def test_it_counts_what_will_be_done(tiny: LoadedModel, tmp_path: Path) -> None:
    told = told_of(tiny, tmp_path / "run", num_train_epochs=3, gradient_accumulation_steps=4, r=4)
    report = finetune(
        tiny, TALKS, tmp_path / "run", FinetuneConfig(num_train_epochs=3, gradient_accumulation_steps=4, r=4)
    )
    assert (told.examples, told.steps, told.tokens) == (8, len(report.steps), report.tokens)
    assert told.trained_parameters == report.trained_parameters
    assert told.least_seconds > 0
    assert told.memory_bytes < told.free_bytes


def test_memory_grows_with_the_widest_forward_pass_and_with_what_learns(tiny: LoadedModel, tmp_path: Path) -> None:
    one = told_of(tiny, tmp_path / "run").memory_bytes
    four = told_of(tiny, tmp_path / "run", per_device_train_batch_size=4).memory_bytes
    packed = told_of(tiny, tmp_path / "run", packing=True, max_length=64 * 8).memory_bytes
    assert 3.5 * one < four < 4.5 * one
    assert packed > 3 * one
    weights = sum(parameter.numel() for parameter in tiny.model.parameters())
    assert told_of(tiny, tmp_path / "run", method="full").memory_bytes > one + 0.95 * weights * 12
    less = told_of(tiny, tmp_path / "run", per_device_train_batch_size=4, gradient_checkpointing=True).memory_bytes
    assert less < four


def test_what_memory_cannot_hold_is_refused_with_what_to_lower(tiny: LoadedModel, tmp_path: Path) -> None:
    long = [[{"role": "user", "content": "and " * 1500}, {"role": "assistant", "content": f"{n}"}] for n in range(400)]
    config = FinetuneConfig(per_device_train_batch_size=400, num_train_epochs=1)
    said = (
        r"the run needs about \d+\.\d GB of memory besides the loaded model, "
        r"but only \d+\.\d GB are free; lower max_length or per_"
    )
    with pytest.raises(FinetuneError, match=said) as raised:
        finetune(tiny, long, tmp_path / "run", config)
    assert "use gradient_checkpointing; use quantization nf4" in str(raised.value)
    assert list(tmp_path.iterdir()) == []
