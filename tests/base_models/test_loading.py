"""load(): what it takes, what it refuses and in which words, and that an adapter is put on and taken off exactly."""

import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_answers import write_adapter

from base_models import ModelError, Sampling, fingerprint, generate, load
from base_models.hardware import choose_device, choose_dtype
from base_models.loaded_model import LoadedModel

ASK = [[{"role": "user", "content": "What is the capital of France?"}]]


def logits(loaded: LoadedModel, adapter: Path | None) -> torch.Tensor:
    with loaded.using(adapter) as model, torch.inference_mode():
        return model(torch.arange(5, 25)[None]).logits


def test_a_folder_is_loaded_like_a_name(real_model: Callable[[str], Path], smollm2: LoadedModel) -> None:
    by_path = load(real_model("smollm2-135m-instruct"), dtype="float32")
    assert torch.equal(logits(by_path, None), logits(smollm2, None))
    assert by_path.lora_target_modules == sorted(smollm2.lora_target_modules)
    assert by_path.name == str(real_model("smollm2-135m-instruct"))
    assert smollm2.name == "smollm2-135m-instruct"
    assert smollm2.fingerprint == fingerprint("smollm2-135m-instruct")
    assert by_path.chat_format == smollm2.chat_format


def test_a_folder_in_the_home_folder_may_be_written_with_a_tilde(
    tiny_folder: Path, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tiny_folder.parent))
    loaded = load(f"~/{tiny_folder.name}", dtype="float32")
    assert loaded.fingerprint == tiny.fingerprint
    assert not loaded.model.training


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no model 'smollm2-135m' in the catalogue.*did you mean 'smollm2-135m-instr"):
        load("smollm2-135m")


def test_an_embedder_cannot_chat() -> None:
    with pytest.raises(ModelError, match="all-minilm-l6-v2 is an embedder, not a chat model"):
        load("all-minilm-l6-v2")


@pytest.fixture
def changed(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to spoil."""
    return shutil.copytree(tiny_folder, tmp_path / "changed")


def test_a_model_without_chat_template_is_refused(changed: Path) -> None:
    (changed / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="is not a chat model, because it has no chat template; use an instruct model"):
        load(changed)


def test_a_folder_of_bin_weights_loads_as_safetensors(
    changed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path / "cache"))
    weights = load_file(changed / "model.safetensors")
    torch.save(weights, changed / "pytorch_model.bin")
    (changed / "model.safetensors").unlink()
    loaded = load(changed, dtype="float32").model.state_dict()
    assert all(torch.equal(loaded[name], value.float()) for name, value in weights.items())


def test_a_folder_without_weights_is_refused(changed: Path) -> None:
    (changed / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has neither \.safetensors nor \.bin weights"):
        load(changed)


def test_code_that_a_model_brings_is_never_run_nor_asked_about(changed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda question="": "y")
    config = json.loads((changed / "config.json").read_text(encoding="utf-8"))
    del config["architectures"]
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Model"}}
    (changed / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (changed / "own.py").write_text(f"open({str(changed / 'ran')!r}, 'w')", encoding="utf-8")
    with pytest.raises(ModelError, match=r"cannot be loaded as a chat model: .*contains custom code"):
        load(changed)
    assert not (changed / "ran").exists()


def test_a_model_that_lacks_tensors_is_refused(changed: Path) -> None:
    tensors = load_file(changed / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, changed / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"is incomplete: it lacks 1 tensors, such as model\.layers\.1\.mlp\.up_proj\.weight"
    ):
        load(changed, dtype="float32")


def test_a_cut_file_of_weights_is_told(changed: Path) -> None:
    os.truncate(changed / "model.safetensors", 100_000)
    with pytest.raises(ModelError, match="changed cannot be loaded as a chat model: "):
        load(changed, dtype="float32")


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float16"])
def test_a_dtype_is_taken_by_name(tiny_folder: Path, dtype: str) -> None:
    assert load(tiny_folder, dtype=dtype, device="cpu").model.dtype == getattr(torch, dtype)


def test_words_that_are_no_dtype_device_or_quantization_are_refused(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="unknown dtype 'fp32'; use auto, bfloat16, float16 or float32"):
        load(tiny_folder, dtype="fp32")
    with pytest.raises(ModelError, match="unknown device 'gpu'; use auto, cuda, mps or cpu"):
        load(tiny_folder, device="gpu")
    with pytest.raises(ModelError, match="unknown quantization 'int4'; use nf4 or int8"):
        load(tiny_folder, quantization="int4")  # type: ignore[arg-type]


def test_a_device_that_is_not_here_is_refused() -> None:
    absent_here = "mps" if torch.cuda.is_available() else "cuda:1"
    with pytest.raises(ModelError, match=f"torch finds no {absent_here} device on this machine; use auto or cpu"):
        choose_device(absent_here)
    assert choose_device("cpu") == "cpu"
    assert choose_device(choose_device("auto")) == choose_device("auto")


def test_the_fastest_dtype_is_measured_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path))
    measured = choose_dtype("auto", "cpu")
    assert measured in (torch.bfloat16, torch.float32)
    ((key, kept),) = json.loads((tmp_path / "fastest_dtype.json").read_text(encoding="utf-8")).items()
    assert getattr(torch, kept) == measured
    other = {"bfloat16": "float32", "float32": "bfloat16"}[kept]
    (tmp_path / "fastest_dtype.json").write_text(json.dumps({key: other}), encoding="utf-8")
    assert choose_dtype("auto", "cpu") == getattr(torch, other)


@pytest.fixture
def bitsandbytes(absent: Callable[[str], NoReturn]) -> None:
    if not importlib.util.find_spec("bitsandbytes"):
        absent("bitsandbytes is not installed")


@pytest.mark.usefixtures("bitsandbytes")
@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_quantised_model_is_smaller_and_still_knows_paris(
    smollm2: LoadedModel, quantization: str, tmp_path: Path
) -> None:
    loaded = load("smollm2-135m-instruct", quantization=quantization)  # type: ignore[arg-type]
    assert "Paris" in generate(loaded, ASK, Sampling(max_new_tokens=8))[0].text
    layer = loaded.model.model.layers[0].mlp.up_proj.weight
    share = {"nf4": 0.5, "int8": 1.0}[quantization]
    assert layer.numel() * layer.element_size() == smollm2.model.model.layers[0].mlp.up_proj.weight.numel() * share
    assert loaded.fingerprint == smollm2.fingerprint
    adapter = write_adapter(tmp_path / "a", smollm2)
    before = logits(loaded, None)
    assert not torch.equal(logits(loaded, adapter), before)
    assert torch.equal(logits(loaded, None), before)


def test_without_bitsandbytes_quantization_says_how_to_get_it(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(ModelError, match="quantization nf4 needs bitsandbytes; run: pip install bitsandbytes"):
        load(tiny_folder, quantization="nf4")
