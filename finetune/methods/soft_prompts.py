"""The methods that train a soft prompt, vectors before the text, and leave all weights of the model frozen.

    p-tuning-v2     keys and values before the text in every layer; of ChatGLM in its own layout, else peft's prefix
    prefix-tuning   the same, shorter
    prompt-tuning   embeddings before the text
    p-tuning        embeddings before the text, computed by a small network

Soft prompts without a network are initialised from text: the keys, values or embeddings of everyday questions. From
random values the model talks nonsense at first (Li & Liang 2021, section 7.4; Lester et al. 2021, section 3.2).
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig

from base_models.loaded_model import LoadedModel
from base_models.probe import evaluating
from domain import FinetuneConfig
from finetune.replay import PROMPTS
from finetune.trainable_model import TrainableModel, check_shapes, with_peft, write_tensors


def prefix_tuning(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> TrainableModel:
    return _peft_prefix(base, model, config, default_length=30)


def _peft_prefix(base: LoadedModel, model: Any, config: FinetuneConfig, default_length: int) -> TrainableModel:
    length = config.num_virtual_tokens or default_length
    peft_config = PrefixTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=length,
        prefix_projection=config.prefix_projection,
        encoder_hidden_size=model.config.hidden_size,
    )
    initial = None if config.prefix_projection else _keys_and_values(base, model, length)
    trainable = replace(with_peft(base, model, peft_config), use_cache=True)
    if initial is not None:
        trainable.model.prompt_encoder["default"].embedding.weight.data.copy_(initial)
    return trainable


def prompt_tuning(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> TrainableModel:
    length = config.num_virtual_tokens or 20
    peft_config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=length)
    ids = torch.tensor(_initial_text(base, length)[:length], device=model.device)
    initial = model.get_input_embeddings()(ids).detach()
    trainable = replace(with_peft(base, model, peft_config), virtual_tokens=length)
    trainable.model.prompt_encoder["default"].embedding.weight.data.copy_(initial)
    return trainable


def p_tuning(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> TrainableModel:
    peft_config = PromptEncoderConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=config.num_virtual_tokens or 20,
        encoder_hidden_size=model.config.hidden_size,
    )
    return replace(with_peft(base, model, peft_config), virtual_tokens=peft_config.num_virtual_tokens)


def p_tuning_v2(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> TrainableModel:
    """ChatGLM's native prefix, in the layout of the released training code
    (``base_models/chatglm/adapters_of_2023.py``); for other models peft's prefix of the same length."""
    if model.config.model_type != "chatglm":
        return _peft_prefix(base, model, config, default_length=128)
    from base_models.chatglm.adapters_of_2023 import P_TUNING_V2, PREFIX, add_prefix, remove_prefix

    length = config.num_virtual_tokens or 128
    initial = None if config.prefix_projection else _keys_and_values(base, model, length)
    add_prefix(model, length, config.prefix_projection)
    if initial is not None:
        model.transformer.prefix_encoder.embedding.weight.data.copy_(initial)

    def save(folder: Path) -> None:
        prefix = model.transformer.prefix_encoder.state_dict()
        tensors = {f"{PREFIX}{name}": value.detach().cpu().contiguous() for name, value in prefix.items()}
        write_tensors(tensors, folder / "adapter_model.safetensors")
        facts = {"peft_type": P_TUNING_V2, "base_model_name_or_path": base.name}
        facts |= {name: getattr(model.config, name) for name in ("pre_seq_len", "prefix_projection")}
        (folder / "adapter_config.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")

    def start_from(tensors: dict[str, torch.Tensor]) -> None:
        prefix = {name.removeprefix(PREFIX): value for name, value in tensors.items()}
        check_shapes(prefix, model.transformer.prefix_encoder.state_dict())
        model.transformer.prefix_encoder.load_state_dict(prefix)

    return TrainableModel(model, save, lambda: remove_prefix(model), start_from)


def _initial_text(base: LoadedModel, length: int) -> list[int]:
    """Ids of everyday questions, at least ``length`` of them besides the special tokens."""
    lines: list[str] = []
    while len(ids := base.tokenizer("\n".join(lines)).input_ids) < length + 2:  # ChatGLM's two closing tokens
        lines.append(PROMPTS[len(lines) % len(PROMPTS)])
    return list(ids)


@torch.no_grad()
def _keys_and_values(base: LoadedModel, model: Any, length: int) -> torch.Tensor:
    """The cache of every layer after :func:`_initial_text`, as a prefix: [length, layers * 2 * heads * head_dim]."""
    ids = _initial_text(base, length)
    with evaluating(model):
        cache = model(input_ids=torch.tensor([ids], device=model.device), use_cache=True).past_key_values
    layers = [torch.stack((layer.keys[0], layer.values[0])) for layer in cache.layers]  # [2, heads, tokens, head_dim]
    return torch.stack(layers)[..., :length, :].permute(3, 0, 1, 2, 4).flatten(1)
