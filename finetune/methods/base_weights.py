"""The methods that train weights of the base model itself: freeze (its last blocks) and full (all of them).

The trained parts are copies that stand beside the originals, as peft's ``modules_to_save``, so that the adapter can be
switched off. Not supported: packed weights.
"""

from typing import Any

import torch
from peft import LoraConfig
from peft.utils.constants import DUMMY_TARGET_MODULES

from base_models.loaded_model import LoadedModel
from domain import FinetuneConfig
from finetune.errors import FinetuneError
from finetune.trainable_model import TrainableModel, with_peft


def freeze(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> TrainableModel:
    """The last ``trainable_layers`` blocks; all else is frozen."""
    blocks = _blocks(model)
    if config.trainable_layers > len(blocks):
        raise FinetuneError(
            f"trainable_layers is {config.trainable_layers}, but {base.name} has {len(blocks)} layers; lower it, or "
            "use method full."
        )
    return _with_copies(base, model, blocks[-config.trainable_layers :], tied=False)


def full(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> TrainableModel:
    """Every block, and every other module that holds weights; an output head tied to the embedding stays tied."""
    blocks = _blocks(model)
    others = [
        name
        for name, part in model.named_modules()
        if list(part.parameters(recurse=False)) and not any(name.startswith(f"{block}.") for block in blocks)
    ]
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    if tied:
        head = next(name for name, part in model.named_modules() if part is model.get_output_embeddings())
        others.remove(head)
    return _with_copies(base, model, [*blocks, *others], tied)


def _with_copies(base: LoadedModel, model: Any, modules: list[str], tied: bool) -> TrainableModel:
    peft_config = LoraConfig(
        task_type="CAUSAL_LM",
        target_modules=DUMMY_TARGET_MODULES,
        modules_to_save=modules,
        ensure_weight_tying=tied,
    )
    return with_peft(base, model, peft_config)


def _blocks(model: Any) -> list[str]:
    """Names of the transformer blocks, first to last: the members of the model's longest list of modules."""
    lists = [(name, part) for name, part in model.named_modules() if isinstance(part, torch.nn.ModuleList)]
    name, blocks = max(lists, key=lambda pair: len(pair[1]))
    return [f"{name}.{number}" for number in range(len(blocks))]
