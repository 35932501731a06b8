"""peft's LoRA files -> the LoRA inputs of an OpenVINO graph.

Not supported, as :func:`unsupported` reports: other kinds of adapter, DoRA, trained copies of base weights or biases,
layers that are not in the graph.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from base_models.engines.openvino_graph import Matrices
from base_models.errors import ModelError
from base_models.tensors import read_tensors, tensor_names

NOT_IN_THE_GRAPH = {
    "use_dora": "DoRA",
    "modules_to_save": "trained copies of weights",
    "trainable_token_indices": "trained token embeddings",
    "layer_replication": "replicated layers",
    "alora_invocation_tokens": "activated LoRA",
    "target_parameters": "LoRA on parameters",
}
"""Keys of adapter_config.json for more than low-rank updates of linear layers."""
IN_A_LAYER = re.compile(r"base_model\.model\.model\.layers\.\d+\..+\.lora_[AB]\.weight$")
"""Names of the tensors of LoRA on linear layers of the decoder; the graph has none on embeddings or the head."""
CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Values of init_lora_weights with which peft changes the base model's weights when it loads the adapter."""


def unsupported(folder: Path) -> str:
    """The part of an adapter that this engine cannot compute; empty if there is none."""
    config = _config(folder)
    if config.get("peft_type") != "LORA" or config.get("task_type") != "CAUSAL_LM":
        return f"{config.get('peft_type')} adapters"
    if config.get("bias", "none") != "none" or config.get("lora_bias"):
        return "trained biases"
    if isinstance(start := config.get("init_lora_weights"), str) and start.startswith(CHANGES_THE_BASE):
        return f"the initialisation {start} (it changes the base weights)"
    if what := next((what for key, what in NOT_IN_THE_GRAPH.items() if config.get(key)), ""):
        return what
    others = (name for name in tensor_names(folder / "adapter_model.safetensors") if not IN_A_LAYER.match(name))
    return next((f"tensors of {_layer(name)}" for name in others), "")


def lora_matrices(folder: Path, inputs: Matrices) -> Matrices:
    """The scaled float32 matrices of an adapter by the graph's input names; ``inputs`` are all the graph has.

    Raises :class:`ModelError` if a tensor of the adapter belongs to no layer of the graph.
    """
    if reason := unsupported(folder):
        raise ModelError(
            f'adapter {folder.name} has {reason}; the engine "openvino" does not support that, so use "auto".'
        )
    config = _config(folder)
    matrices: Matrices = {}
    for name, tensor in read_tensors(folder / "adapter_model.safetensors"):
        layer, _, part = name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        expected = inputs.get(f"{layer}.{part}")
        if expected is None or tensor.shape[part == "lora_A"] != expected.shape[part == "lora_A"]:
            raise ModelError(
                f"adapter {folder.name}: its tensor {name} fits no layer of the exported model; train it again."
            )
        matrices[f"{layer}.{part}"] = tensor
    for name in [name for name in matrices if name.endswith(".lora_B")]:
        layer = name.removesuffix(".lora_B")
        matrices[name] = matrices[name] * np.float32(_scale(config, layer, matrices[name].shape[1]))
    return matrices


def _scale(config: dict[str, Any], layer: str, rank: int) -> float:
    """alpha / r, or alpha / sqrt(r) for rsLoRA (Kalajdzievski 2023, arXiv:2312.03732)."""
    patterns = config.get("alpha_pattern") or {}
    alpha = next(
        (value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", layer)), config["lora_alpha"]
    )
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _layer(tensor: str) -> str:
    """``lm_head`` of ``base_model.model.lm_head.lora_A.weight``, and of ``base_model.model.lm_head.weight``."""
    return tensor.split(".lora_")[0].removesuffix(".weight").removesuffix(".base_layer").rpartition(".")[2]


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "adapter_config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = None
    if not isinstance(config, dict):
        raise ModelError(f"{file} is missing or damaged; train the adapter again.")
    return config
