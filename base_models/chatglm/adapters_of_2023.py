"""Read and write adapters of ChatGLM-6B from 2023: P-tuning v2 prefixes and LoRA files of early peft versions.

A prefix checkpoint is a folder with config.json (pre_seq_len, prefix_projection) and ``pytorch_model.bin``, whose keys
are those of the model's ``transformer.prefix_encoder``. peft's prefix tuning is different: it shifts positions.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from base_models.acquire.convert_bin import read_bin
from base_models.chatglm.layers import PrefixEncoder
from base_models.chatglm.modeling_chatglm import ChatGLMForConditionalGeneration
from base_models.errors import ModelError
from domain import whole_folder

PREFIX = "transformer.prefix_encoder."
P_TUNING_V2 = "P_TUNING_V2"
"""The peft_type of such a prefix in Lorewright's adapter folders; peft has no such type."""


def add_prefix(model: ChatGLMForConditionalGeneration, pre_seq_len: int, prefix_projection: bool = False) -> None:
    """Add a new P-tuning v2 prefix in float32 and freeze all other parameters."""
    model.config.pre_seq_len, model.config.prefix_projection = pre_seq_len, prefix_projection
    model.requires_grad_(False)
    model.transformer.prefix_encoder = PrefixEncoder(model.config).to(model.device, torch.float32)


def remove_prefix(model: ChatGLMForConditionalGeneration) -> None:
    """Remove the prefix."""
    model.config.pre_seq_len = None
    del model.transformer.prefix_encoder


def load_prefix(model: ChatGLMForConditionalGeneration, folder: Path) -> None:
    """Load a trained prefix from a checkpoint folder of the released training code or of :func:`save_prefix`."""
    tensors = _prefix_tensors(folder)
    weight = tensors.get("embedding.weight")
    if weight is None:
        raise ModelError(f"{folder} has no P-tuning v2 prefix (no {PREFIX}embedding.weight); give another folder.")
    projection = "trans.0.weight" in tensors
    config = model.config
    width = config.hidden_size if projection else 2 * config.num_layers * config.hidden_size
    if weight.shape[1] != width:
        raise ModelError(
            f"the prefix in {folder} has width {weight.shape[1]}, but this model needs {width}; load the model that "
            "it was trained on."
        )
    add_prefix(model, weight.shape[0], projection)
    model.transformer.prefix_encoder.load_state_dict({name: value.float() for name, value in tensors.items()})
    model.eval()


def save_prefix(model: ChatGLMForConditionalGeneration, folder: Path, for_old_code: bool = False) -> None:
    """Write the prefix to ``folder`` and replace its content: config.json and model.safetensors.

    ``for_old_code`` writes ``pytorch_model.bin`` instead of the latter, for code of 2023.
    """
    tensors = {
        f"{PREFIX}{name}": value.detach().cpu().contiguous()
        for name, value in model.transformer.prefix_encoder.state_dict().items()
    }
    config = {name: getattr(model.config, name) for name in ("model_type", "pre_seq_len", "prefix_projection")}
    with whole_folder(folder) as partial:
        (partial / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        if for_old_code:
            torch.save(tensors, partial / "pytorch_model.bin")
        else:
            save_file(tensors, partial / "model.safetensors", metadata={"format": "pt"})


def _prefix_tensors(folder: Path) -> dict[str, torch.Tensor]:
    ours, safe, old = (folder / n for n in ("adapter_model.safetensors", "model.safetensors", "pytorch_model.bin"))
    safe = ours if ours.is_file() else safe
    if not safe.is_file() and not old.is_file():
        raise ModelError(f"{folder} has neither model.safetensors nor pytorch_model.bin; give another folder.")
    tensors = load_file(safe) if safe.is_file() else read_bin(old)
    return {name.removeprefix(PREFIX): value for name, value in tensors.items() if name.startswith(PREFIX)}


def convert_merged_linear(tensors: dict[str, torch.Tensor], config: dict[str, Any]) -> dict[str, Any]:
    """Convert an adapter of peft <= 0.2 for a single target, in place, to today's format; returns its configuration.

    That peft had ``MergedLinear`` layers: with ``enable_lora = [True, False, True]`` the output is cut in thirds, the
    first and last of which get an adapter each. lora_A [2r, in] holds both; lora_B [2/3 of out, r, 1] is a grouped
    convolution. Equivalent to one LoRA of rank 2r: B holds each group in its own rows and columns, and zeros elsewhere.
    """
    enabled = config.get("enable_lora")
    names = [name for name in tensors if name.endswith("lora_B.weight") and tensors[name].ndim == 3]
    if not names:
        return config
    if not enabled or not any(enabled):
        raise ModelError(
            "adapter_config.json lacks enable_lora, which says what parts its MergedLinear layers adapt; add it."
        )
    groups = sum(enabled)
    for name in names:
        old = tensors[name].squeeze(-1)
        height, rank = old.shape[0] // groups, old.shape[1]
        new = old.new_zeros(height * len(enabled), groups * rank)
        for group, part in enumerate(index for index, on in enumerate(enabled) if on):
            new[part * height : (part + 1) * height, group * rank : (group + 1) * rank] = old[
                group * height : (group + 1) * height
            ]
        tensors[name] = new
    # alpha / r is unchanged
    return {key: value for key, value in config.items() if key not in ("enable_lora", "merge_weights")} | {
        "r": groups * config["r"],
        "lora_alpha": groups * config["lora_alpha"],
    }
