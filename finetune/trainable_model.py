"""A base model made trainable: what a method hands to the training loop, and how peft's adapters are made and saved."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import (
    PeftConfig,
    PromptLearningConfig,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors import SafetensorError
from safetensors.torch import save_file

from base_models.loaded_model import LoadedModel, without_peft


def _nothing(*_: Any) -> Any:
    return {}


@dataclass
class TrainableModel:
    """A base model made trainable, and the hooks that its method needs in the training loop."""

    model: Any
    save: Callable[[Path], None] = _nothing
    """Write adapter_model.safetensors and adapter_config.json into a folder."""
    undo: Callable[[], None] = _nothing
    """Restore the base model as it was before."""
    start_from: Callable[[dict[str, torch.Tensor]], Any] = _nothing
    """Load the weights of another adapter; ValueError where they do not fit."""
    virtual_tokens: int = 0
    """How many trained vectors stand before the text; the logits have positions for them too."""
    use_cache: bool = False
    """Whether the trained vectors are passed as a cache of keys and values."""
    keeps_best: bool = True
    """Whether the best state of a run may be kept; False where an adapter is whole only at the end of the schedule."""
    penalty: Callable[[], Any] = lambda: 0.0
    """Added to the loss of each optimiser step."""
    after_step: Callable[[int], Any] = _nothing
    """Called with the number of each optimiser step, from 1, before the gradients are cleared."""
    state: Callable[[], dict[str, torch.Tensor]] = _nothing
    """What a checkpoint must hold besides the trained parameters."""
    restore: Callable[[dict[str, torch.Tensor]], Any] = _nothing


def with_peft(base: LoadedModel, model: Any, config: PeftConfig) -> TrainableModel:
    """The model with a new adapter of peft's, whose weights are float32."""
    wrapped = get_peft_model(model, config)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # steps are smaller than what half precision can tell apart

    def save(folder: Path) -> None:
        tensors = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
        save_peft(folder, tensors, wrapped.peft_config["default"], base)

    def start_from(tensors: dict[str, torch.Tensor]) -> None:
        check_shapes(tensors, get_peft_model_state_dict(wrapped, save_embedding_layers=False))
        if isinstance(config, PromptLearningConfig):  # the file holds the network's output, not the network
            raise ValueError("its file lacks the network that computes the soft prompt")
        with torch.no_grad():
            set_peft_model_state_dict(wrapped, tensors)

    return TrainableModel(wrapped, save, lambda: without_peft(wrapped), start_from)


def check_shapes(tensors: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """ValueError with the first tensor that is missing, unknown or of another shape."""
    for name in sorted(set(tensors) ^ set(expected)):
        raise ValueError(f"only {'it' if name in tensors else 'the new run'} has {name}")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(f"{name} has shape {list(tensor.shape)} there and {list(expected[name].shape)} here")


def write_tensors(tensors: dict[str, torch.Tensor], file: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file; OSError where the disk is full, for which safetensors has an error of its own."""
    try:
        save_file(tensors, file, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"{file} could not be written: {error}") from None


def save_peft(folder: Path, tensors: dict[str, torch.Tensor], config: PeftConfig, base: LoadedModel) -> None:
    """As peft would, but a tensor that has two names is written twice, and no path of this machine is written."""
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_tensors(whole, folder / "adapter_model.safetensors")
    mode, config.inference_mode = config.inference_mode, True
    config.base_model_name_or_path = base.name
    config.save_pretrained(str(folder))
    config.inference_mode = mode
