"""Which parameters learn: one function for each method, and the table of them all.

A method takes a base model in memory and leaves a :class:`Tuned`: the model that the loop trains, how what was learnt
is written into an adapter folder, and how the base becomes what it was. All but ChatGLM's P-tuning v2 are peft's.

    lora            low-rank matrices beside frozen ones (arXiv:2106.09685); with use_rslora (2312.03732), use_dora
                    (2402.09353), init_lora_weights = "pissa" (2404.02948), loraplus_lr_ratio (2402.12354); on a base in
                    nf4 it is QLoRA (2305.14314)
    adalora         low-rank matrices whose ranks are shared out by importance (2303.10512)
    ia3             learnt factors of keys, values and feed-forward activations (2205.05638)
    p-tuning-v2     learnt keys and values before the text in every layer (2110.07602); ChatGLM's own, else peft's
    prefix-tuning   the same idea, shorter (2101.00190), not for ChatGLM
    prompt-tuning   learnt embeddings before the text (2104.08691)
    p-tuning        the same, made by a small network (2103.10385)
    freeze          the last blocks themselves, all else frozen
    full            every weight

Not supported: several adapters trained together, targets that are not linear layers.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig
from peft.utils.constants import DUMMY_TARGET_MODULES

from base_models.loaded_model import LoadedModel
from base_models.probe import evaluating
from domain import FinetuneConfig
from finetune.errors import FinetuneError
from finetune.lora import adalora, ia3, lora
from finetune.replay import PROMPTS
from finetune.tuned import Tuned, same_shapes, with_peft, write_tensors

READ_BY = {
    "r": ("lora", "adalora"),
    "lora_alpha": ("lora", "adalora"),
    "lora_dropout": ("lora", "adalora"),
    "target_modules": ("lora", "adalora", "ia3"),
    "num_virtual_tokens": ("p-tuning-v2", "prefix-tuning", "prompt-tuning", "p-tuning"),
    "trainable_layers": ("freeze",),
}
"""Settings that not every method reads, and those that do. In domain.toml they may wait for another method; a flag that
would do nothing is refused."""
ONLY_LORA = {"use_rslora": False, "use_dora": False, "init_lora_weights": "default", "loraplus_lr_ratio": 1.0}


def refuse(config: FinetuneConfig, model_config: Any) -> None:
    """Raise a :class:`FinetuneError` where method and model, or two settings, do not go together; before anything is
    loaded. ``model_config`` is the configuration of the base model."""
    method, chatglm = config.method, model_config.model_type == "chatglm"
    packed = config.quantization != "none" or bool(chatglm and model_config.quantization_bit)
    reason = ""
    if method == "prefix-tuning" and chatglm:
        reason = "shifts ChatGLM's positions; take p-tuning-v2, its native form"
    elif method in ("prompt-tuning", "p-tuning") and chatglm:
        reason = "puts vectors in place of ids, from which ChatGLM reads its positions; take p-tuning-v2"
    elif method in ("freeze", "full") and packed:
        reason = "cannot train packed weights; take lora, or quantization none and a base that is not packed"
    if reason:
        raise FinetuneError(f"method {method} {reason}.")
    for name, off in ONLY_LORA.items():
        if getattr(config, name) != off and method != "lora":
            raise FinetuneError(f"{name} belongs to method lora and does nothing with {method}; leave it out.")
    if packed and config.init_lora_weights == "pissa":
        raise FinetuneError("init_lora_weights pissa changes the base, which is packed; leave one of them out.")
    if config.use_dora and config.init_lora_weights == "pissa":
        raise FinetuneError("use_dora and init_lora_weights pissa do not go together; leave one out.")
    if packed and method == "ia3":
        raise FinetuneError("ia3 cannot learn beside packed weights; take lora, or a base that is not packed.")
    if config.quantization == "int8" and (method == "adalora" or config.use_dora):
        what = "adalora" if method == "adalora" else "use_dora"
        raise FinetuneError(f"{what} cannot learn beside bitsandbytes' int8 weights; take quantization nf4 or none.")
    if config.early_stopping_patience and not config.held_out_share:
        raise FinetuneError("early_stopping_patience looks at held-out examples; set held_out_share too.")
    if config.use_dora and chatglm and model_config.quantization_bit:
        raise FinetuneError("use_dora needs the lengths of a matrix's rows, and this base is packed; leave it out.")
    if config.from_adapter and (method == "adalora" or config.init_lora_weights == "pissa"):
        kind = "adalora" if method == "adalora" else "pissa"
        raise FinetuneError(f"from_adapter does not go with {kind}, which begins in its own way; take plain lora.")
    beginning = method in ("p-tuning-v2", "prefix-tuning", "prompt-tuning", "p-tuning")
    if config.from_adapter and beginning and not (chatglm and method == "p-tuning-v2"):
        raise FinetuneError(f"from_adapter cannot go on with {method}: of a learnt beginning not all is saved.")
    if config.packing and beginning:
        raise FinetuneError(f"packing puts several examples into a row, and {method} has one learnt beginning a row.")
    if config.gradient_checkpointing and method in ("prefix-tuning", "p-tuning-v2") and not chatglm:
        raise FinetuneError(f"gradient_checkpointing and {method} do not go together in peft; leave one out.")
    if config.prefix_projection and method not in ("p-tuning-v2", "prefix-tuning"):
        raise FinetuneError(f"prefix_projection does nothing with method {method}; leave it out.")


def refuse_unread(given: Iterable[str], method: str) -> None:
    """Raise a :class:`FinetuneError` for the first of the settings that the method does not read."""
    for name in given:
        if method not in READ_BY.get(name, (method,)):
            raise FinetuneError(f"{name} does nothing with method {method}; leave it out ({', '.join(READ_BY[name])}).")


def make(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> Tuned:
    """Make ``model``, the bare model of ``base``, ready for a run of so many optimiser steps."""
    function, _ = METHODS[config.method]
    return function(base, model, config, steps)


def learning_rate(config: FinetuneConfig) -> float:
    """The one that was asked for, or the method's own."""
    return config.learning_rate or METHODS[config.method][1]


def _prefix_tuning(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> Tuned:
    return _prefix(base, model, config, length=30)


def _prefix(base: LoadedModel, model: Any, config: FinetuneConfig, length: int) -> Tuned:
    length = config.num_virtual_tokens or length
    made = PrefixTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=length,
        prefix_projection=config.prefix_projection,
        encoder_hidden_size=model.config.hidden_size,
    )
    begins = None if config.prefix_projection else _keys_and_values(base, model, length)
    tuned = replace(with_peft(base, model, made), use_cache=True)
    if begins is not None:
        tuned.model.prompt_encoder["default"].embedding.weight.data.copy_(begins)
    return tuned


def _prompt_tuning(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> Tuned:
    length = config.num_virtual_tokens or 20
    made = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=length)
    begins = model.get_input_embeddings()(torch.tensor(_words(base, length)[:length], device=model.device)).detach()
    tuned = replace(with_peft(base, model, made), tokens_before=length)
    tuned.model.prompt_encoder["default"].embedding.weight.data.copy_(begins)
    return tuned


def _p_tuning(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> Tuned:
    made = PromptEncoderConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=config.num_virtual_tokens or 20,
        encoder_hidden_size=model.config.hidden_size,
    )
    return replace(with_peft(base, model, made), tokens_before=made.num_virtual_tokens)


def _p_tuning_v2(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> Tuned:
    """ChatGLM's native prefix, in the layout of the released training code (``base_models/chatglm/adapters.py``); of
    other models peft's prefix, as long as that."""
    if model.config.model_type != "chatglm":
        return _prefix(base, model, config, length=128)
    from base_models.chatglm.adapters import P_TUNING_V2, PREFIX, add_prefix, remove_prefix

    length = config.num_virtual_tokens or 128
    begins = None if config.prefix_projection else _keys_and_values(base, model, length)
    add_prefix(model, length, config.prefix_projection)
    if begins is not None:
        model.transformer.prefix_encoder.embedding.weight.data.copy_(begins)

    def save(folder: Path) -> None:
        prefix = model.transformer.prefix_encoder.state_dict()
        tensors = {f"{PREFIX}{name}": value.detach().cpu().contiguous() for name, value in prefix.items()}
        write_tensors(tensors, folder / "adapter_model.safetensors")
        facts = {"peft_type": P_TUNING_V2, "base_model_name_or_path": base.name}
        facts |= {name: getattr(model.config, name) for name in ("pre_seq_len", "prefix_projection")}
        (folder / "adapter_config.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")

    def start_from(tensors: dict[str, torch.Tensor]) -> None:
        named = {name.removeprefix(PREFIX): value for name, value in tensors.items()}
        same_shapes(named, model.transformer.prefix_encoder.state_dict())
        model.transformer.prefix_encoder.load_state_dict(named)

    return Tuned(model, save, lambda: remove_prefix(model), start_from)


def _words(base: LoadedModel, length: int) -> list[int]:
    """Everyday questions of at least so many tokens, as the model reads them. A learnt beginning that starts as words
    leaves the model what it was, where one that starts at random makes it talk nonsense first (Li & Liang 2021, section
    7.4; Lester et al. 2021, section 3.2)."""
    lines: list[str] = []
    while len(ids := base.tokenizer("\n".join(lines)).input_ids) < length + 2:  # ChatGLM's two closing tokens
        lines.append(PROMPTS[len(lines) % len(PROMPTS)])
    return list(ids)


@torch.no_grad()
def _keys_and_values(base: LoadedModel, model: Any, length: int) -> torch.Tensor:
    """What every layer keeps of :func:`_words`, in the layout of a prefix: [length, layers * 2 * heads * head_dim]."""
    ids = _words(base, length)
    with evaluating(model):
        cache = model(input_ids=torch.tensor([ids], device=model.device), use_cache=True).past_key_values
    layers = [torch.stack((layer.keys[0], layer.values[0])) for layer in cache.layers]  # [2, heads, tokens, head_dim]
    return torch.stack(layers)[..., :length, :].permute(3, 0, 1, 2, 4).flatten(1)


def _freeze(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> Tuned:
    blocks = _blocks(model)
    if config.trainable_layers > len(blocks):
        raise FinetuneError(
            f"trainable_layers is {config.trainable_layers}, but {base.name} has {len(blocks)} layers; lower it, or "
            "take method full."
        )
    return _with_weights(base, model, blocks[-config.trainable_layers :], tied=False)


def _full(base: LoadedModel, model: Any, config: FinetuneConfig, steps: int) -> Tuned:
    """Every block, and every other part that holds weights; a head that is the embedding stays it."""
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
    return _with_weights(base, model, [*blocks, *others], tied)


def _with_weights(base: LoadedModel, model: Any, parts: list[str], tied: bool) -> Tuned:
    """Let copies of whole parts of the model learn; peft keeps the originals beside them, and switches."""
    made = LoraConfig(
        task_type="CAUSAL_LM",
        target_modules=DUMMY_TARGET_MODULES,
        modules_to_save=parts,
        ensure_weight_tying=tied,
    )
    return with_peft(base, model, made)


METHODS: dict[str, tuple[Callable[[LoadedModel, Any, FinetuneConfig, int], Tuned], float]] = {
    "lora": (lora, 2e-4),  # QLoRA's, for 7 billion weights
    "adalora": (adalora, 5e-4),  # ours, within what its authors take on GLUE
    "ia3": (ia3, 3e-3),  # T-Few's
    "p-tuning-v2": (_p_tuning_v2, 2e-2),  # that of the released training script of ChatGLM-6B, and its length of 128
    "prefix-tuning": (_prefix_tuning, 1e-2),  # ours
    "prompt-tuning": (_prompt_tuning, 3e-2),  # ours; Lester et al. take 0.3 with Adafactor
    "p-tuning": (_p_tuning, 1e-3),  # ours
    "freeze": (_freeze, 1e-5),  # as full
    "full": (_full, 1e-5),  # usual for instruction tuning of all weights: 1e-5 to 2e-5
}
"""The function of each method, and its own learning rate."""


def _blocks(model: Any) -> list[str]:
    """Names of the transformer blocks, first to last: the members of the model's longest list of modules."""
    lists = [(name, part) for name, part in model.named_modules() if isinstance(part, torch.nn.ModuleList)]
    name, blocks = max(lists, key=lambda pair: len(pair[1]))
    return [f"{name}.{number}" for number in range(len(blocks))]
