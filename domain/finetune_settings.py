"""The ``[finetune]`` table of ``domain.toml``: every key of a training run, with the sentence that explains it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Table(BaseModel):
    """A table of ``domain.toml``: unknown keys and wrong types are errors; docstrings below fields are help texts."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class FinetuneConfig(Table):
    """One training run."""

    method: Literal[
        "lora", "adalora", "ia3", "p-tuning-v2", "prefix-tuning", "prompt-tuning", "p-tuning", "freeze", "full"
    ] = "lora"
    """What learns, see docs/finetuning.md; prefix-tuning, prompt-tuning and p-tuning are not for ChatGLM."""

    quantization: Literal["none", "nf4", "int8"] = "none"
    """Keep the frozen base packed while an adapter learns: nf4 with lora is QLoRA; needs bitsandbytes."""

    r: Annotated[int, Field(ge=1, le=1024)] = 8
    """Rank of the LoRA matrices (Hu et al. 2021)."""

    lora_alpha: Annotated[float, Field(ge=0)] = 16.0
    """The adapter's output is scaled by lora_alpha / r; 0 takes r."""

    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on the adapter's input during training."""

    target_modules: tuple[str, ...] = ()
    """Names of the linear layers that get an adapter; empty takes the catalogue's choice for the model."""

    use_rslora: bool = False
    """Scale by lora_alpha / sqrt(r), so that high ranks learn as fast (Kalajdzievski 2023)."""

    use_dora: bool = False
    """Learn the length of each row of a matrix apart from its direction (Liu et al. 2024); slower."""

    init_lora_weights: Literal["default", "pissa"] = "default"
    """What LoRA starts from: nothing, or the largest singular parts of each matrix (PiSSA, Meng et al. 2024)."""

    loraplus_lr_ratio: Annotated[float, Field(ge=1)] = 1.0
    """Learning rate of lora_B over that of lora_A (LoRA+, Hayou et al. 2024, who take 16)."""

    num_virtual_tokens: Annotated[int, Field(ge=0, le=4096)] = 0
    """Length of a learnt beginning; 0 takes 128 for p-tuning-v2, 30 for prefix-tuning, 20 for the other two."""

    prefix_projection: bool = False
    """Make the learnt beginning of p-tuning-v2 or prefix-tuning by a small network."""

    trainable_layers: Annotated[int, Field(ge=1)] = 2
    """With method freeze: how many layers, the last ones, learn."""

    learning_rate: Annotated[float, Field(ge=0)] = 0.0
    """Highest learning rate of AdamW; 0 takes the method's own, see docs/finetuning.md (2e-4 for lora)."""

    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warm-up."""

    warmup_steps: Annotated[float, Field(ge=0)] = 0.05
    """Optimiser steps of rising learning rate; below 1 it is a share of all steps."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's decoupled weight decay."""

    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are scaled down to this norm."""

    num_train_epochs: Annotated[float, Field(gt=0)] = 2.0
    """How often each example is seen."""

    per_device_train_batch_size: Annotated[int, Field(ge=1)] = 1
    """Examples in one forward pass; padding costs time on a CPU, so 1 is usually fastest there."""

    gradient_accumulation_steps: Annotated[int, Field(ge=1)] = 8
    """Forward passes before the optimiser steps."""

    max_steps: Annotated[int, Field(ge=0)] = 0
    """Stop after so many optimiser steps; 0 goes by num_train_epochs alone."""

    group_by_length: bool = False
    """Put examples of like length into one forward pass, so that little is padding."""

    packing: bool = False
    """Fill each forward pass with several examples up to max_length tokens; those that begin alike share that part."""

    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: much less memory, a third slower."""

    optim: Literal["adamw_torch", "adamw_8bit"] = "adamw_torch"
    """The optimiser; adamw_8bit keeps its moments in 8 bits and needs bitsandbytes."""

    max_length: Annotated[int, Field(ge=64)] = 2048
    """The most tokens of an example: a longer conversation is divided between its rounds, a longer round left out."""

    labels: Literal["all", "last"] = "all"
    """Whether all answers of a conversation are learnt, or the last one alone."""

    max_train_tokens: Annotated[int, Field(ge=0)] = 0
    """Stop choosing examples when the run would read more tokens than this, epochs included; 0 means no bound."""

    held_out_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the examples that are not learnt from but looked at on the way; the best state on them is kept."""

    eval_steps: Annotated[int, Field(ge=0)] = 0
    """Look at the held-out examples after so many optimiser steps; 0 looks ten times in a run."""

    early_stopping_patience: Annotated[int, Field(ge=0)] = 0
    """Stop after so many looks without a lower held-out loss; 0 never does."""

    save_steps: Annotated[int, Field(ge=0)] = 0
    """Save what the run needs to go on after so many optimiser steps; 0: as often as costs little time."""

    from_adapter: str = ""
    """Go on from a finished run of the same shapes; empty: from the shipped reader if it fits; base starts anew."""

    data: tuple[str, ...] = ()
    """Further files of examples, from the domain's folder; `chats.jsonl=0.5` takes half of them, `=2` each twice."""

    replay_share: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    """Share of the examples that are everyday questions with the base model's own answers, against forgetting."""

    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Also draw the steps in TensorBoard (files in the run's folder), or send them to Weights & Biases."""

    retrieved_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the examples that are shown with retrieved passages, as questions are when the index is on."""

    shared_passages: bool = False
    """Show questions that the same passages answer the same ones; with packing those are read once for all of them."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    """Seed of everything random in the run."""


class ClassifierConfig(FinetuneConfig):
    """One training of a classifier, see docs/finetuning.md. A key that can have one value here is no flag."""

    method: Literal["lora"] = "lora"
    quantization: Literal["none"] = "none"
    init_lora_weights: Literal["default"] = "default"
    num_virtual_tokens: Literal[0] = 0
    prefix_projection: Literal[False] = False
    trainable_layers: Literal[2] = 2
    packing: Literal[False] = False
    labels: Literal["all"] = "all"
    max_train_tokens: Literal[0] = 0
    from_adapter: Literal[""] = ""
    data: tuple[()] = ()
    replay_share: Literal[0] = 0
    retrieved_share: Literal[0] = 0

    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """Highest learning rate of AdamW (Hu et al. 2021 take 4e-4 and 5e-4 for LoRA on RoBERTa)."""

    num_train_epochs: Annotated[float, Field(gt=0)] = 20.0
    """How often each text is seen."""

    per_device_train_batch_size: Annotated[int, Field(ge=1)] = 16
    """Texts in one forward pass."""

    gradient_accumulation_steps: Annotated[int, Field(ge=1)] = 1
    """Forward passes before the optimiser steps."""

    max_length: Annotated[int, Field(ge=64)] = 512
    """The most tokens of a text; what is beyond them, or beyond the encoder's own length, is cut off."""

    held_out_share: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    """Share of the texts that are not learnt from but looked at on the way; the best state on them is kept."""
