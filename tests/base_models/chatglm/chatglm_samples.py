"""The golden vectors (what the released code computed with small random weights), and models that hold those weights.

``golden/`` was made by running the last public revision of THUDM/chatglm-6b with weights drawn for the purpose; its
tensors are named CASE.FIELD. No pretrained weight is in it.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from base_models.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str, case: str) -> dict[str, torch.Tensor]:
    """The fields of one case of ``golden/NAME/cases.safetensors``."""
    file = GOLDEN / (name if name.endswith(".safetensors") else f"{name}/cases.safetensors")
    tensors = load_file(file)
    return {key.split(".", 1)[1]: tensor for key, tensor in tensors.items() if key.split(".", 1)[0] == case}


def meta(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / name / "meta.json").read_text(encoding="utf-8"))


def small_model(name: str = "tiny3", **changes: Any) -> Any:
    """The model of ``golden/NAME`` in float32; ``changes`` are of its configuration."""
    return AutoModelForCausalLM.from_pretrained(GOLDEN / name, dtype=torch.float32, **changes).eval()


def packed_folder(folder: Path, bits: int) -> Path:
    """``golden/quant`` as a user has it: config.json and model.safetensors in a folder."""
    shutil.copy(GOLDEN / "quant" / f"config_int{bits}.json", folder / "config.json")
    shutil.copy(GOLDEN / "quant" / f"model_int{bits}.safetensors", folder / "model.safetensors")
    return folder


def inputs_of(case: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: case[key] for key in ("input_ids", "attention_mask", "position_ids", "labels") if key in case}


def real_tokens(case: dict[str, torch.Tensor]) -> torch.Tensor:
    """[batch, length] False at padding on the left, where the released code computes what means nothing."""
    if "attention_mask" not in case:
        return torch.ones_like(case["input_ids"], dtype=torch.bool)
    return ~case["attention_mask"][:, 0].all(1)


def error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference, relative to the largest value."""
    return float((ours.detach().float() - theirs).abs().max() / theirs.abs().max())


def write_released(folder: Path, tokenizer_from: Path, shards: int = 3, **changes: Any) -> Path:
    """A folder as a user has it since 2023, of a small random model: fp16 ``.bin`` shards, frequencies, auto_map.

    The vocabulary is the real one; everything else is small.
    """
    config = json.loads((tokenizer_from / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_size": 32, "inner_hidden_size": 64, "num_attention_heads": 2, "num_layers": 2, **changes}
    shutil.copytree(tokenizer_from, folder, dirs_exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.manual_seed(0)
    model = ChatGLMForConditionalGeneration(ChatGLMConfig(**config, initializer_range=0.2))
    tensors = {name: value.detach().half() for name, value in model.state_dict().items()}
    for layer in range(config["num_layers"]):
        tensors[f"transformer.layers.{layer}.attention.rotary_emb.inv_freq"] = torch.ones(4).half()
    names = sorted(tensors)
    files = {}
    for number in range(shards):
        file = f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
        part = {name: tensors[name] for name in names[number::shards]}
        torch.save(part, folder / file)
        files |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 13744473856}, "weight_map": files}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder
