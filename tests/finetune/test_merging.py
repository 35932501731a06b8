"""An adapter proves that it computes what it was trained to compute, and becomes part of its base."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from base_models import ModelError, load, merge_adapter
from base_models.adapter_manifest import read_manifest, seal_adapter
from base_models.loaded_model import LoadedModel
from base_models.messages import encode
from domain import FinetuneConfig
from finetune import finetune

EXAMPLES = [
    [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    for asked, answer in (("Which water?", "Eighty degrees."), ("龙井产自哪里?", "杭州。"))
]


def run(base: LoadedModel, output: Path, **settings: Any) -> Path:
    defaults = {"learning_rate": 2e-2, "num_train_epochs": 8, "gradient_accumulation_steps": 2}
    finetune(base, EXAMPLES, output, FinetuneConfig(**{**defaults, **settings}))
    return output


def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([encode(tokenizer, EXAMPLES[0]).ids])).logits.float()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_merged_model_is_loaded_by_plain_transformers_and_computes_the_same(
    tiny: LoadedModel, tiny_folder: Path, tmp_path: Path, dtype: str
) -> None:
    adapter = run(tiny, tmp_path / "run")
    with tiny.using(adapter) as model:
        wanted = logits(model, tiny.tokenizer)
    result = merge_adapter(str(tiny_folder), adapter, tmp_path / "merged", dtype)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert merged.dtype == getattr(torch, dtype)
    off = (logits(merged, tiny.tokenizer) - wanted).abs().max() / wanted.abs().max()
    assert off < (1e-5 if dtype == "float32" else 4e-2)
    assert result["difference"] <= result["allowed"]
    again = load(tmp_path / "merged", dtype="float32")
    assert again.tokenizer.chat_template == tiny.tokenizer.chat_template
    with pytest.raises(ModelError, match="merged already exists; choose a new folder"):
        merge_adapter(str(tiny_folder), adapter, tmp_path / "merged")


def test_what_cannot_be_merged_says_why(tiny: LoadedModel, tiny_folder: Path, tmp_path: Path) -> None:
    prompt = run(tiny, tmp_path / "prompt", method="prompt-tuning", num_train_epochs=1)
    with pytest.raises(ModelError, match="is a soft prompt, which cannot be merged into weights"):
        merge_adapter(str(tiny_folder), prompt, tmp_path / "merged")
    with pytest.raises(ModelError, match="is not a finished adapter"):
        merge_adapter(str(tiny_folder), tmp_path, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Another program exchanges the tensors, and seals them as ours: only the logits can tell."""
    weights = folder / "adapter_model.safetensors"
    tensors = load_file(weights)
    change(tensors)
    save_file(tensors, weights)
    facts = {key: value for key, value in read_manifest(folder).items() if key not in ("format", "adapter_sha256")}
    seal_adapter(folder, facts)


def random_values(tensors: dict[str, torch.Tensor]) -> None:
    """Random values of the same size."""
    torch.manual_seed(0)
    for value in tensors.values():
        value.copy_(torch.randn_like(value) * value.std())


def test_an_adapter_that_computes_something_else_is_refused(
    tiny: LoadedModel, tiny_folder: Path, tmp_path: Path
) -> None:
    adapter = run(tiny, tmp_path / "run", learning_rate=3e-3, num_train_epochs=20)
    changed(adapter, random_values)
    with (
        pytest.raises(ModelError, match=r"does not reproduce its outputs from training: a logit differs by .*%"),
        tiny.using(adapter),
    ):
        pass
    with tiny.using(None) as model:
        assert type(model).__name__ == "LlamaForCausalLM", "nothing of it is left on the model"
    rounded = load(tiny_folder, dtype="bfloat16", device="cpu")
    with (
        pytest.raises(ModelError, match=r"shifts the logits of this model in another direction .*cosine -?0\."),
        rounded.using(adapter),
    ):
        pass


def test_on_a_base_that_rounds_otherwise_the_shift_is_compared(
    tiny: LoadedModel, tiny_folder: Path, tmp_path: Path, absent: Callable[[str], Any]
) -> None:
    adapter = run(tiny, tmp_path / "run")
    assert read_manifest(adapter)["probe"]["runs_in"] == {"dtype": "float32", "packed": "", "device": "cpu"}
    bases = [load(tiny_folder, dtype="bfloat16", device="cpu")]
    if not importlib.util.find_spec("bitsandbytes"):
        absent("bitsandbytes is not installed")
    bases.append(load(tiny_folder, quantization="nf4", dtype="float32", device="cpu"))
    for base in bases:
        with base.using(adapter) as model:
            assert logits(model, base.tokenizer).isfinite().all()


def test_the_probe_is_in_the_manifest(tiny: LoadedModel, tmp_path: Path) -> None:
    facts = json.loads((run(tiny, tmp_path / "run") / "manifest.json").read_text(encoding="utf-8"))["probe"]
    assert len(facts["tokens"]) == len(facts["base"]) == len(facts["tuned"]) == 32
    shifts = [abs(tuned - base) for base, tuned in zip(facts["base"], facts["tuned"], strict=True)]
    assert shifts == sorted(shifts, reverse=True)
    assert shifts[-1] > 0
