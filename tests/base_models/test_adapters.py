"""Adapters: the right one changes the answer and nothing else, any other is refused and the base stays usable."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_answers import write_adapter

from base_models import ModelError, Sampling, generate, load
from base_models.adapter_manifest import read_manifest, seal_adapter
from base_models.loaded_model import LoadedModel

ASK = [[{"role": "user", "content": "tea?"}]]
Tensors = dict[str, torch.Tensor]


def logits(loaded: LoadedModel, adapter: Path | None) -> torch.Tensor:
    with loaded.using(adapter) as model, torch.inference_mode():
        return model(torch.arange(5, 25)[None]).logits


@pytest.fixture
def adapter(tiny: LoadedModel, tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "first", tiny, seed=1)


def test_switching_gives_exactly_the_base_again(smollm2: LoadedModel, tmp_path: Path) -> None:
    base = logits(smollm2, None)
    first, second = (write_adapter(tmp_path / name, smollm2, seed) for seed, name in enumerate(("first", "second")))
    with_first, with_second = logits(smollm2, first), logits(smollm2, second)
    assert not torch.allclose(with_first, base)
    assert not torch.allclose(with_first, with_second)
    for adapter, wanted in [
        (None, base),
        (first, with_first),
        (second, with_second),
        (None, base),
        (first, with_first),
    ]:
        assert torch.equal(logits(smollm2, adapter), wanted)


def test_an_adapter_does_what_its_matrices_say(tiny: LoadedModel, adapter: Path) -> None:
    """Hu et al. 2021: W + BA * alpha / r, put into the weights by hand."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    tuned = logits(tiny, adapter)
    merged = load(tiny.name, dtype="float32")
    tensors = load_file(adapter / "adapter_model.safetensors")
    for key in tensors:
        if "lora_A" in key:
            layer = merged.model.get_submodule(key.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
            b = tensors[key.replace("lora_A", "lora_B")]
            layer.weight.data += b @ tensors[key] * config["lora_alpha"] / config["r"]
    torch.testing.assert_close(logits(merged, None), tuned)


def test_the_adapter_given_to_load_answers_unless_another_is_named(
    tiny: LoadedModel, adapter: Path, tmp_path: Path
) -> None:
    sampling = Sampling(max_new_tokens=6)
    other = write_adapter(tmp_path / "other", tiny, seed=2)
    loaded = load(tiny.name, adapter=str(adapter), dtype="float32")
    assert generate(loaded, ASK, sampling) == generate(tiny, ASK, sampling, adapter=adapter)
    assert generate(loaded, ASK, sampling, adapter=other) == generate(tiny, ASK, sampling, adapter=other)
    assert generate(loaded, ASK, sampling) != generate(tiny, ASK, sampling)
    assert torch.equal(logits(loaded, None), logits(tiny, None))


def test_an_adapter_replaced_on_disk_under_the_same_name_is_loaded_anew(tiny: LoadedModel, tmp_path: Path) -> None:
    before = logits(tiny, write_adapter(tmp_path / "run", tiny, seed=1))
    shutil.rmtree(tmp_path / "run")
    fresh = load(tiny.name, dtype="float32")
    write_adapter(tmp_path / "run", fresh, seed=2)
    after = logits(tiny, tmp_path / "run")
    assert not torch.equal(after, before)
    assert torch.equal(after, logits(fresh, tmp_path / "run"))


def refused(loaded: LoadedModel, folder: Path, match: str) -> None:
    """The adapter is refused at once and again, the base answers as before, and a good adapter can be put on after."""
    bare = logits(loaded, None)
    for _ in range(2):
        with pytest.raises(ModelError, match=match):
            logits(loaded, folder)
        assert torch.equal(logits(loaded, None), bare)


def changed(folder: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """Change the tensors of an adapter and seal it again, as someone might who wants it to load."""
    tensors = change(load_file(folder / "adapter_model.safetensors"))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "adapter_model.safetensors")
    facts = {key: value for key, value in read_manifest(folder).items() if key not in ("format", "adapter_sha256")}
    seal_adapter(folder, facts)
    return folder


def test_an_adapter_of_another_base_is_refused(tiny: LoadedModel, smollm2: LoadedModel, tmp_path: Path) -> None:
    foreign = write_adapter(tmp_path / "foreign", smollm2)
    refused(
        tiny,
        foreign,
        f"adapter foreign was trained on smollm2-135m-instruct .weights {smollm2.fingerprint[:12]}., not on the "
        f"loaded model .weights {tiny.fingerprint[:12]}.; load the former, or train again",
    )


def test_an_adapter_of_another_chat_format_is_refused(tiny_folder: Path, tiny: LoadedModel, adapter: Path) -> None:
    loaded = load(tiny_folder, dtype="float32")
    loaded.chat_format = "0" * 64
    refused(loaded, adapter, "adapter first was trained with another chat format or vocabulary; train it again")


def test_changed_or_missing_weights_are_refused(tiny: LoadedModel, adapter: Path) -> None:
    weights = adapter / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    refused(tiny, adapter, r"adapter_model\.safetensors is missing or damaged \(its hash differs from manifest\.json\)")
    weights.unlink()
    refused(tiny, adapter, r"adapter_model\.safetensors is missing or damaged")


def test_an_untrained_adapter_is_not_sealed_and_not_loaded(tiny: LoadedModel, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is untrained: every lora_B is zero; train longer"):
        write_adapter(tmp_path / "empty", tiny, size=0)
    assert not (tmp_path / "empty" / "manifest.json").exists()
    manifest = read_manifest(adapter)
    shutil.copyfile(tmp_path / "empty" / "adapter_model.safetensors", adapter / "adapter_model.safetensors")
    from base_models.adapter_manifest import file_hash

    manifest["adapter_sha256"] = file_hash(adapter / "adapter_model.safetensors")
    (adapter / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    refused(tiny, adapter, "is untrained: every lora_B is zero")


def test_an_adapter_with_numbers_that_are_not_finite_is_not_sealed(adapter: Path) -> None:
    with pytest.raises(ModelError, match="contains NaN or infinite values; train again with a lower learning_rate"):
        changed(adapter, lambda tensors: {name: tensor * float("inf") for name, tensor in tensors.items()})


def test_missing_tensors_are_refused(tiny: LoadedModel, adapter: Path) -> None:
    changed(adapter, lambda tensors: dict(list(tensors.items())[1:]))
    refused(tiny, adapter, "adapter first does not fit .*: 1 tensors are missing and 0 are unexpected")


def test_unknown_tensors_are_refused(tiny: LoadedModel, adapter: Path) -> None:
    extra = "base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight"
    changed(adapter, lambda tensors: tensors | {extra: torch.ones(4, 64)})
    refused(tiny, adapter, "adapter first does not fit .*: 0 tensors are missing and 1 are unexpected")


def test_tensors_of_other_shapes_are_refused(tiny: LoadedModel, adapter: Path) -> None:
    changed(adapter, lambda tensors: {n: t[:2] if "lora_A" in n else t[:, :2] for n, t in tensors.items()})
    refused(tiny, adapter, "adapter first does not fit .*: its tensors have different names or shapes; train it again")


def test_a_refused_adapter_does_not_disturb_those_in_use(tiny: LoadedModel, adapter: Path, tmp_path: Path) -> None:
    wanted = logits(tiny, adapter)
    bad = changed(write_adapter_beside(tiny, tmp_path / "bad"), lambda tensors: dict(list(tensors.items())[1:]))
    refused(tiny, bad, "adapter bad does not fit")
    assert torch.equal(logits(tiny, adapter), wanted)


def write_adapter_beside(loaded: LoadedModel, folder: Path) -> Path:
    """Write an adapter without touching those that are on the model."""
    return write_adapter(folder, load(loaded.name, dtype="float32"), seed=3)


def test_a_folder_that_is_no_adapter_is_told(tiny: LoadedModel, adapter: Path, tmp_path: Path) -> None:
    refused(tiny, tmp_path / "nowhere", r"nowhere does not exist; give the folder of a finished adapter")
    (adapter / "manifest.json").write_text("{", encoding="utf-8")
    refused(tiny, adapter, r"manifest\.json is damaged .*; train again")
    (adapter / "manifest.json").write_text('{"format": 99}', encoding="utf-8")
    refused(tiny, adapter, r"manifest\.json has format 99, but this version reads 1; train again")
