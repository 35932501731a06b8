"""A base model made ready for training: what a method hands to the loop, and how peft's are made and saved."""

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
class Tuned:
    """A base model made ready for training, and what its method wants of the loop."""

    model: Any
    save: Callable[[Path], None] = _nothing
    """Write adapter_model.safetensors and adapter_config.json into a folder."""
    undo: Callable[[], None] = _nothing
    """Leave the base model as it was before."""
    start_from: Callable[[dict[str, torch.Tensor]], Any] = _nothing
    """Put the weights of another adapter in the place of the new ones; ValueError where they do not fit."""
    tokens_before: int = 0
    """So many learnt vectors stand before the text, and their places are counted among the logits."""
    use_cache: bool = False
    """Whether what is learnt lies in the cache of keys and values."""
    may_stop_anywhere: bool = True
    """False where what was learnt is whole only at the end of the schedule."""
    penalty: Callable[[], Any] = lambda: 0.0
    """Added to the loss of each optimiser step."""
    after_step: Callable[[int], Any] = _nothing
    """Told the number of each optimiser step, from 1, before the gradients are dropped."""
    state: Callable[[], dict[str, torch.Tensor]] = _nothing
    """What a checkpoint must hold beside the parameters that learn."""
    restore: Callable[[dict[str, torch.Tensor]], Any] = _nothing


def with_peft(base: LoadedModel, model: Any, made: PeftConfig) -> Tuned:
    """The model with a new adapter of peft's, whose weights are float32."""
    tuned = get_peft_model(model, made)
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # steps are smaller than what half precision can tell apart

    def save(folder: Path) -> None:
        save_peft(
            folder, get_peft_model_state_dict(tuned, save_embedding_layers=False), tuned.peft_config["default"], base
        )

    def start_from(tensors: dict[str, torch.Tensor]) -> None:
        wanted = get_peft_model_state_dict(tuned, save_embedding_layers=False)
        same_shapes(tensors, wanted)
        with torch.no_grad():
            if isinstance(made, PromptLearningConfig):  # what is saved is what its network makes, and not the network
                raise ValueError("a learnt beginning is saved without what made it")
            set_peft_model_state_dict(tuned, tensors)

    return Tuned(tuned, save, lambda: without_peft(tuned), start_from)


def same_shapes(tensors: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    """ValueError with the first tensor that is not as wanted."""
    for name in sorted(set(tensors) ^ set(wanted)):
        raise ValueError(f"only {'it' if name in tensors else 'the new run'} has {name}")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise ValueError(f"{name} is {list(tensor.shape)} there and {list(wanted[name].shape)} here")


def write_tensors(tensors: dict[str, torch.Tensor], file: Path, metadata: dict[str, str] | None = None) -> None:
    """As safetensors; an OSError where the disk is full, which safetensors has an error of its own for."""
    try:
        save_file(tensors, file, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"{file} could not be written: {error}") from None


def save_peft(folder: Path, tensors: dict[str, torch.Tensor], made: PeftConfig, base: LoadedModel) -> None:
    """As peft would, but one tensor that is there under two names is written twice, and no path of this machine."""
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_tensors(whole, folder / "adapter_model.safetensors")
    trained, made.inference_mode = made.inference_mode, True
    made.base_model_name_or_path = base.name
    made.save_pretrained(str(folder))
    made.inference_mode = trained
