"""The methods that adapt linear layers: LoRA and its variants, AdaLoRA, IA3.

    h = W x + alpha / r * B A x       W [out, in] frozen; A [r, in] and B [out, r] trained, B from zero

rsLoRA scales by alpha / sqrt(r). DoRA trains magnitude and direction of the rows of W + B A separately. PiSSA
initialises A and B from the principal singular components of W. LoRA+ (in training_loop.py) gives B a higher learning
rate than A. AdaLoRA trains B E A with a diagonal E, and zeroes its least important entries during the run. IA3 trains a
factor for each output.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import AdaLoraConfig, IA3Config, LoraConfig, get_peft_model_state_dict
from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as IA3_FEEDFORWARD
from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as IA3_TARGETS

from base_models.classifier import poolers
from base_models.loaded_model import LoadedModel
from domain import FinetuneConfig
from domain.finetune_settings import RunConfig, TrainingConfig
from finetune.errors import FinetuneError
from finetune.trainable_model import TrainableModel, save_peft, with_peft

ADALORA_STEPS = 10
"""With fewer optimiser steps there is nothing to allocate ranks by."""


def lora(base: LoadedModel, model: Any, config: RunConfig, steps: int) -> TrainableModel:
    targets = _targets(base, model, config)
    peft_config = LoraConfig(
        task_type=base.task,
        r=config.r,
        lora_alpha=_alpha(config),  # type: ignore[arg-type]  # peft takes fractions too
        lora_dropout=config.lora_dropout,
        target_modules=targets,
        use_rslora=config.use_rslora,
        use_dora=config.use_dora,
        init_lora_weights=True if config.init_lora_weights == "default" else config.init_lora_weights,
        modules_to_save=["pooler"] if base.task == "SEQ_CLS" and poolers(model) else None,  # peft adds the head
    )
    if config.init_lora_weights == "pissa":
        return _pissa(base, model, peft_config, targets)
    return with_peft(base, model, peft_config)


def _pissa(base: LoadedModel, model: Any, peft_config: LoraConfig, targets: list[str]) -> TrainableModel:
    """PiSSA trains the principal singular components of a matrix and subtracts them from the base meanwhile.

    What is saved is an ordinary LoRA of twice the rank on the original base, [A, A0] and [B, -B0] (section 3 of the
    paper), so that it loads and merges like any other.
    """
    original = {
        name: part.weight.detach().clone()
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Linear) and any(f".{name}".endswith(f".{target}") for target in targets)
    }
    trainable = with_peft(base, model, peft_config)
    initial = {
        name: value.clone()
        for name, value in get_peft_model_state_dict(trainable.model, save_embedding_layers=False).items()
    }
    scaling = peft_config.lora_alpha / (peft_config.r**0.5 if peft_config.use_rslora else peft_config.r)

    def restore(state: dict[str, torch.Tensor]) -> None:
        """Subtract the initial components of the stopped run from the base; a new decomposition may differ in bits."""
        initial.update({name: value.to(model.device) for name, value in state.items()})
        with torch.no_grad():
            for name, weight in original.items():
                down, up = (initial[f"base_model.model.{name}.lora_{matrix}.weight"] for matrix in "AB")
                layer = model.get_submodule(name).base_layer
                layer.weight.copy_(weight.float() - scaling * up @ down)  # in peft's order, to round alike

    def save(folder: Path) -> None:
        current = get_peft_model_state_dict(trainable.model, save_embedding_layers=False)
        tensors = {
            name: torch.cat((value, initial[name]), 0) if "lora_A" in name else torch.cat((value, -initial[name]), 1)
            for name, value in current.items()
        }
        saved = trainable.model.peft_config["default"]
        r, alpha, start = saved.r, saved.lora_alpha, saved.init_lora_weights
        root_two = 2**0.5 if saved.use_rslora else 2  # alpha / r, or alpha / sqrt(r), stays what it was
        saved.r, saved.lora_alpha, saved.init_lora_weights = 2 * r, root_two * alpha, True
        save_peft(folder, tensors, saved, base)
        saved.r, saved.lora_alpha, saved.init_lora_weights = r, alpha, start

    def undo() -> None:
        trainable.undo()
        with torch.no_grad():
            for name, weight in original.items():
                model.get_submodule(name).weight.copy_(weight)

    return replace(trainable, save=save, undo=undo, state=lambda: initial, restore=restore)


def adalora(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> TrainableModel:
    """Starts with 1.5 times the rank of the settings, as the paper does, and reduces it between a tenth of the
    steps and the last third."""
    peft_config = AdaLoraConfig(
        task_type="CAUSAL_LM",
        init_r=max(config.r + 1, round(1.5 * config.r)),
        target_r=config.r,
        lora_alpha=_alpha(config),  # type: ignore[arg-type]
        lora_dropout=config.lora_dropout,
        target_modules=_targets(base, model, config),
        tinit=steps // 10,
        tfinal=steps // 3,
        deltaT=1,
        total_step=steps,
    )
    if steps < ADALORA_STEPS:
        raise FinetuneError(
            f"adalora needs at least {ADALORA_STEPS} steps, and this run has {steps}; use more examples, raise "
            "num_train_epochs, or lower gradient_accumulation_steps."
        )
    trainable = with_peft(base, model, peft_config)
    allocator = trainable.model.base_model.rankallocator
    averages = ("ipt", "exp_avg_ipt", "exp_avg_unc")

    def penalty() -> torch.Tensor:
        """Orthogonality regularisation of the matrices (equation 4 of the paper)."""
        distances = []
        for name, matrix in trainable.model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                square = matrix @ matrix.T if "lora_A" in name else matrix.T @ matrix
                distances.append(torch.linalg.norm(square - torch.eye(len(square), device=square.device)))
        return peft_config.orth_reg_weight * torch.stack(distances).mean()

    def state() -> dict[str, torch.Tensor]:
        held = {f"{kind}.{name}": value for kind in averages for name, value in getattr(allocator, kind).items()}
        pattern = trainable.model.peft_config["default"].rank_pattern or {}
        return held | {f"rank_pattern.{name}": torch.tensor(kept) for name, kept in pattern.items()}

    def restore(state: dict[str, torch.Tensor]) -> None:
        pattern = {}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            if kind == "rank_pattern":
                pattern[name] = value.tolist()
            else:
                getattr(allocator, kind)[name] = value.to(model.device)
        trainable.model.peft_config["default"].rank_pattern = pattern or None

    return replace(
        trainable,
        keeps_best=False,
        penalty=penalty,
        after_step=trainable.model.base_model.update_and_allocate,
        state=state,
        restore=restore,
    )


def ia3(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> TrainableModel:
    kind = model.config.model_type
    targets = _targets(base, model, config) if config.target_modules or kind not in IA3_TARGETS else IA3_TARGETS[kind]
    feedforward = IA3_FEEDFORWARD.get(kind, [])
    feedforward = [name for name in feedforward if any(name.endswith(target) for target in targets)]
    return with_peft(
        base, model, IA3Config(task_type="CAUSAL_LM", target_modules=targets, feedforward_modules=feedforward)
    )


def _alpha(config: TrainingConfig) -> float:
    return config.lora_alpha or config.r


def _targets(base: LoadedModel, model: Any, config: TrainingConfig) -> list[str]:
    """Names of the linear layers to adapt. A name that fits none is refused, and a rank larger than a layer allows."""
    targets = list(config.target_modules) or base.lora_target_modules
    layers = {name: part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    wrong = [target for target in targets if not any(f".{layer}".endswith(f".{target}") for layer in layers)]
    if wrong or not targets:
        known = sorted({layer.rpartition(".")[2] for layer in layers})
        raise FinetuneError(
            f"target_modules: {repr(wrong[0]) if wrong else 'an empty list'} matches no linear layer of {base.name}; "
            f"choose from {', '.join(known)}."
        )
    for name, part in layers.items():
        smallest = min(part.in_features, part.out_features)
        if config.r > smallest and any(f".{name}".endswith(f".{target}") for target in targets):
            raise FinetuneError(
                f"r is {config.r}, but {name} of {base.name} is {part.out_features} x {part.in_features}, so its rank "
                f"is at most {smallest}; lower r."
            )
    return targets
