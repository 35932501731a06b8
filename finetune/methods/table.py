"""The table of methods: how each makes a model trainable, its default learning rate, the settings that it reads, and
what it cannot be combined with. The checks of a run's settings, and of its flags, come from this table.

    lora            low-rank matrices beside frozen ones (arXiv:2106.09685); with use_rslora (2312.03732), use_dora
                    (2402.09353), init_lora_weights = "pissa" (2404.02948), loraplus_lr_ratio (2402.12354); on a base in
                    nf4 it is QLoRA (2305.14314)
    adalora         low-rank matrices whose ranks are allocated by importance (2303.10512)
    ia3             trained factors of keys, values and feed-forward activations (2205.05638)
    p-tuning-v2     trained keys and values before the text in every layer (2110.07602)
    prefix-tuning   the same idea, shorter (2101.00190)
    prompt-tuning   trained embeddings before the text (2104.08691)
    p-tuning        the same, computed by a small network (2103.10385)
    freeze          the last blocks themselves, all else frozen
    full            every weight

Not supported: several adapters trained together, targets that are not linear layers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from base_models.loaded_model import LoadedModel
from domain import FinetuneConfig
from domain.finetune_settings import RunConfig, TrainingConfig
from finetune.errors import FinetuneError
from finetune.methods.base_weights import freeze, full
from finetune.methods.lora import adalora, ia3, lora
from finetune.methods.soft_prompts import p_tuning, p_tuning_v2, prefix_tuning, prompt_tuning
from finetune.trainable_model import TrainableModel

Condition = Literal[
    "chatglm",
    "not chatglm",
    "packed file",
    "packed",
    "int8",
    "pissa",
    "dora",
    "packing",
    "gradient_checkpointing",
    "from_adapter",
]
"""What may hold for a run's settings and its base model, see :func:`_conditions`."""
Conflicts = Mapping[tuple[Condition, ...], str]


@dataclass(frozen=True)
class Method:
    """All that differs from method to method."""

    prepare: Callable[[LoadedModel, Any, Any, int], TrainableModel]
    """Makes the bare model of a base trainable, by the settings of a run and the number of its optimiser steps."""
    learning_rate: float
    """Used where the setting ``learning_rate`` is 0."""
    reads: tuple[str, ...] = ()
    """Which it reads of the settings that only some methods read."""
    conflicts: Conflicts = field(default_factory=dict)
    """Conditions that it cannot be combined with when all of them hold, and the message then. It has no full stop;
    ``{method}`` stands for the name of the method."""
    trains_base_weights: bool = False
    """Whether weights of the base model itself are trained; those must be float32."""


MATRICES = ("r", "lora_alpha", "lora_dropout", "target_modules")
ON_INT8 = "does not work with bitsandbytes' int8 weights; use quantization nf4 or none"
FROM_ADAPTER = "which initialises its own weights; use plain lora"
WEIGHTS: Conflicts = {
    ("packed",): "method {method} cannot train quantised weights; use lora, or quantization none and an unquantised "
    "base model"
}
WITH_PACKING: Conflicts = {
    (
        "packing",
    ): "packing puts several examples into a row, but {method} has one soft prompt per row; leave packing out"
}
PROMPT_FROM_ADAPTER = (
    "from_adapter does not work with {method}, whose adapters lack the network that computes the soft prompt"
)
CHECKPOINTING: Conflicts = {
    ("gradient_checkpointing", "not chatglm"): "peft does not support gradient_checkpointing with {method}; leave "
    "one out"
}
EMBEDDINGS: Conflicts = {
    ("chatglm",): "method {method} replaces token ids by vectors, but ChatGLM needs the ids to find its positions; use "
    "p-tuning-v2",
    ("from_adapter",): PROMPT_FROM_ADAPTER,
    **WITH_PACKING,
}

METHODS: dict[str, Method] = {
    "lora": Method(
        lora,
        learning_rate=2e-4,  # QLoRA's, for 7 billion weights
        reads=(*MATRICES, "use_rslora", "use_dora", "init_lora_weights", "loraplus_lr_ratio"),
        conflicts={
            (
                "pissa",
                "packed",
            ): "init_lora_weights pissa changes the base weights, which are quantised here; leave one out",
            ("pissa", "dora"): "use_dora and init_lora_weights pissa cannot be combined; leave one out",
            ("pissa", "from_adapter"): f"from_adapter cannot be combined with pissa, {FROM_ADAPTER}",
            ("dora", "int8"): f"use_dora {ON_INT8}",
            (
                "dora",
                "packed file",
            ): "use_dora needs the norms of the weight matrices, but this base is quantised; leave it out",
        },
    ),
    "adalora": Method(
        adalora,
        learning_rate=5e-4,  # chosen, within what its authors take on GLUE
        reads=MATRICES,
        conflicts={
            ("int8",): f"adalora {ON_INT8}",
            ("from_adapter",): f"from_adapter cannot be combined with adalora, {FROM_ADAPTER}",
        },
    ),
    "ia3": Method(
        ia3,
        learning_rate=3e-3,  # T-Few's
        reads=("target_modules",),
        conflicts={("packed",): "ia3 does not work with quantised weights; use lora, or an unquantised base model"},
    ),
    "p-tuning-v2": Method(
        p_tuning_v2,
        learning_rate=2e-2,  # that of the released training script of ChatGLM-6B, as is its length of 128
        reads=("num_virtual_tokens", "prefix_projection"),
        conflicts={("from_adapter", "not chatglm"): PROMPT_FROM_ADAPTER, **WITH_PACKING, **CHECKPOINTING},
    ),
    "prefix-tuning": Method(
        prefix_tuning,
        learning_rate=1e-2,  # chosen
        reads=("num_virtual_tokens", "prefix_projection"),
        conflicts={
            ("chatglm",): "method prefix-tuning would shift ChatGLM's positions; use p-tuning-v2, its native form",
            ("from_adapter",): PROMPT_FROM_ADAPTER,
            **WITH_PACKING,
            **CHECKPOINTING,
        },
    ),
    # chosen; Lester et al. take 0.3 with Adafactor
    "prompt-tuning": Method(prompt_tuning, 3e-2, reads=("num_virtual_tokens",), conflicts=EMBEDDINGS),
    "p-tuning": Method(p_tuning, 1e-3, reads=("num_virtual_tokens",), conflicts=EMBEDDINGS),  # chosen
    # usual for instruction tuning of all weights: 1e-5 to 2e-5
    "freeze": Method(freeze, 1e-5, reads=("trainable_layers",), conflicts=WEIGHTS, trains_base_weights=True),
    "full": Method(full, 1e-5, conflicts=WEIGHTS, trains_base_weights=True),
}


def _conditions(config: FinetuneConfig, base: Any) -> set[Condition]:
    """Those that hold for the settings of a run and the configuration of its base model."""
    chatglm = base.model_type == "chatglm"
    packed_file = chatglm and base.quantization_bit
    holds: dict[Condition, Any] = {
        "chatglm": chatglm,
        "not chatglm": not chatglm,
        "packed file": packed_file,
        "packed": packed_file or config.quantization != "none",
        "int8": config.quantization == "int8",
        "pissa": config.init_lora_weights == "pissa",
        "dora": config.use_dora,
        "packing": config.packing,
        "gradient_checkpointing": config.gradient_checkpointing,
        "from_adapter": config.from_adapter,
    }
    return {name for name, value in holds.items() if value}


SWITCHES = ("use_rslora", "use_dora", "init_lora_weights", "loraplus_lr_ratio", "prefix_projection")
"""Settings that change what a method is: set for a method that does not read them, they are an error. The other
settings of ``reads`` may wait in domain.toml for another method; only as a flag they are an error."""


def check_settings(config: FinetuneConfig, base: Any) -> None:
    """Raise a :class:`FinetuneError` where method and model, or two settings, do not go together; before anything is
    loaded. ``base`` is the configuration of the base model."""
    method, conditions = METHODS[config.method], _conditions(config, base)
    for conflict, message in method.conflicts.items():
        if conditions.issuperset(conflict):
            raise FinetuneError(f"{message.format(method=config.method)}.")
    for name in SWITCHES:
        if getattr(config, name) != FinetuneConfig.model_fields[name].default and name not in method.reads:
            readers = " or ".join(_readers(name))
            raise FinetuneError(f"{name} is for method {readers} and has no effect with {config.method}; leave it out.")
    check_early_stopping(config)


def check_early_stopping(config: TrainingConfig) -> None:
    """Raise a :class:`FinetuneError` for early stopping without anything to evaluate on."""
    if config.early_stopping_patience and not config.held_out_share:
        raise FinetuneError("early_stopping_patience needs held-out examples; set held_out_share too.")


def refuse_unread(given: Iterable[str], method: str) -> None:
    """Raise a :class:`FinetuneError` for the first flag that other methods read and this one does not."""
    for name in given:
        readers = [] if name in SWITCHES else _readers(name)
        if readers and method not in readers:
            raise FinetuneError(
                f"{name} has no effect with method {method}, only with {', '.join(readers)}; leave it out."
            )


def _readers(setting: str) -> list[str]:
    return [name for name, method in METHODS.items() if setting in method.reads]


def prepare(base: LoadedModel, model: Any, config: RunConfig, steps: int) -> TrainableModel:
    """Make ``model``, the bare model of ``base``, trainable for a run of so many optimiser steps."""
    return METHODS[config.method].prepare(base, model, config, steps)


def learning_rate(config: RunConfig) -> float:
    """The one of the settings, or the method's default."""
    return config.learning_rate or METHODS[config.method].learning_rate
