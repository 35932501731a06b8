"""The settings of a training, each with the sentence that explains it: of a language model (the ``[finetune]`` table of
``domain.toml``) and of a classifier, which share most of them."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field


class Table(BaseModel):
    """A table of ``domain.toml``: unknown keys and wrong types are errors; docstrings below fields are help texts."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class TrainingConfig(Table):
    """What every training has: LoRA's shape, optimiser, schedule, batches, evaluation, checkpoints."""

    r: Annotated[int, Field(ge=1, le=1024)] = 8
    """Rank of the LoRA matrices (Hu et al. 2021)."""

    lora_alpha: Annotated[float, Field(ge=0)] = 16.0
    """The adapter's output is scaled by lora_alpha / r; 0 uses r."""

    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on the adapter's input during training."""

    target_modules: tuple[str, ...] = ()
    """Names of the linear layers that get an adapter; empty uses the catalogue's default for the model."""

    use_rslora: bool = False
    """Scale by lora_alpha / sqrt(r), so that high ranks train as fast (rsLoRA, Kalajdzievski 2023)."""

    use_dora: bool = False
    """Train magnitude and direction of the weights separately (DoRA, Liu et al. 2024); slower."""

    loraplus_lr_ratio: Annotated[float, Field(ge=1)] = 1.0
    """Ratio of lora_B's learning rate to lora_A's (LoRA+, Hayou et al. 2024, who use 16)."""

    learning_rate: Annotated[float, Field(ge=0)] = 0.0
    """Peak learning rate of AdamW; 0 uses the method's default, see docs/finetuning.md (2e-4 for lora)."""

    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    """Learning-rate schedule after the warm-up."""

    warmup_steps: Annotated[float, Field(ge=0)] = 0.05
    """Warm-up steps of the optimiser; a value below 1 is a share of all steps."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's decoupled weight decay."""

    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Maximum norm for gradient clipping."""

    num_train_epochs: Annotated[float, Field(gt=0)] = 2.0
    """Number of passes over the examples."""

    per_device_train_batch_size: Annotated[int, Field(ge=1)] = 1
    """Examples per forward pass; padding costs time on a CPU, so 1 is usually fastest there."""

    gradient_accumulation_steps: Annotated[int, Field(ge=1)] = 8
    """Forward passes per optimiser step."""

    max_steps: Annotated[int, Field(ge=0)] = 0
    """Maximum number of optimiser steps; 0 means no limit besides num_train_epochs."""

    group_by_length: bool = False
    """Batch examples of similar length together, to reduce padding."""

    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass instead of storing them: much less memory, a third slower."""

    optim: Literal["adamw_torch", "adamw_8bit"] = "adamw_torch"
    """Optimiser; adamw_8bit keeps its moments in 8 bits and needs bitsandbytes."""

    max_length: Annotated[int, Field(ge=64)] = 2048
    """Maximum tokens per example; a longer conversation is split between its rounds, a longer round is left out."""

    held_out_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the examples held out for evaluation; the weights with the lowest loss on them are kept."""

    eval_steps: Annotated[int, Field(ge=0)] = 0
    """Optimiser steps between evaluations of the held-out examples; 0 evaluates ten times per run."""

    early_stopping_patience: Annotated[int, Field(ge=0)] = 0
    """Stop after this many evaluations without a lower held-out loss; 0 never stops early."""

    save_steps: Annotated[int, Field(ge=0)] = 0
    """Optimiser steps between checkpoints; 0 saves as often as costs little time."""

    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Also log to TensorBoard (files in the run's folder) or to Weights & Biases."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    """Random seed of the run."""

    def recorded(self) -> dict[str, Any]:
        """The settings as manifests hold them and as checkpoints are compared by."""
        return self.model_dump()


class MethodSettings(Table):
    """What of a language model is trained. A classifier has no choice: it trains a LoRA."""

    method: Literal[
        "lora", "adalora", "ia3", "p-tuning-v2", "prefix-tuning", "prompt-tuning", "p-tuning", "freeze", "full"
    ] = "lora"
    """Fine-tuning method, see docs/finetuning.md; ChatGLM has no prefix-tuning, prompt-tuning and p-tuning."""

    quantization: Literal["none", "nf4", "int8"] = "none"
    """Quantise the frozen base model while an adapter is trained: nf4 with lora is QLoRA; needs bitsandbytes."""

    init_lora_weights: Literal["default", "pissa"] = "default"
    """Initial LoRA weights: zero, or the principal singular components of each matrix (PiSSA, Meng et al. 2024)."""

    num_virtual_tokens: Annotated[int, Field(ge=0, le=4096)] = 0
    """Length of the soft prompt; 0 uses 128 for p-tuning-v2, 30 for prefix-tuning, 20 for the other two."""

    prefix_projection: bool = False
    """Compute the prefix of p-tuning-v2 or prefix-tuning with a small network."""

    trainable_layers: Annotated[int, Field(ge=1)] = 2
    """With method freeze: the number of last layers to train."""


class FinetuneConfig(TrainingConfig, MethodSettings):
    """One training of a language model: the ``[finetune]`` table, and the flags of ``lorewright finetune``."""

    packing: bool = False
    """Pack several examples into each forward pass, up to max_length tokens; a common prefix is computed once."""

    labels: Literal["all", "last"] = "all"
    """Train on all answers of a conversation, or only on the last one."""

    max_train_tokens: Annotated[int, Field(ge=0)] = 0
    """Maximum tokens of the run, epochs included; examples beyond it are left out; 0 means no limit."""

    from_adapter: str = ""
    """Finished run of the same shape to continue from; empty uses the shipped reader if it fits; base uses none."""

    data: tuple[str, ...] = ()
    """Further example files, relative to the domain folder; `chats.jsonl=0.5` takes half of one, `=2` all twice."""

    replay_share: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    """Share of the examples that are general questions with the base model's own answers, against forgetting."""

    retrieved_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the examples whose prompts include retrieved passages, as when answering with the index."""

    unanswerable_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Maximum number of unanswerable questions per answerable one with passages; their answer is a refusal."""

    distractors_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the answerable questions with passages that get only wrong passages; their answer is a refusal."""

    shared_passages: bool = False
    """Give questions about the same passages an identical context; packing then computes it once for all of them."""


class ClassifierConfig(TrainingConfig):
    """One training of a classifier, see docs/finetuning.md."""

    # The training code reads these of language models and classifiers alike.
    method: ClassVar[Literal["lora"]] = "lora"
    quantization: ClassVar[Literal["none"]] = "none"
    init_lora_weights: ClassVar[Literal["default"]] = "default"
    packing: ClassVar[bool] = False

    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """Peak learning rate of AdamW (Hu et al. 2021 use 4e-4 and 5e-4 for LoRA on RoBERTa)."""

    num_train_epochs: Annotated[float, Field(gt=0)] = 20.0
    """Number of passes over the texts."""

    per_device_train_batch_size: Annotated[int, Field(ge=1)] = 16
    """Texts per forward pass."""

    gradient_accumulation_steps: Annotated[int, Field(ge=1)] = 1
    """Forward passes per optimiser step."""

    max_length: Annotated[int, Field(ge=64)] = 512
    """Maximum tokens per text; longer texts are truncated, as are texts beyond the encoder's own limit."""

    held_out_share: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    """Share of the texts held out for evaluation; the weights with the lowest loss on them are kept."""

    def recorded(self) -> dict[str, Any]:
        """With the keys of a language model's run too, as manifests and checkpoints have always had them."""
        return {
            "method": self.method,
            "quantization": self.quantization,
            "init_lora_weights": self.init_lora_weights,
            "num_virtual_tokens": 0,
            "prefix_projection": False,
            "trainable_layers": 2,
            "packing": self.packing,
            "labels": "all",
            "max_train_tokens": 0,
            "from_adapter": "",
            "data": (),
            "replay_share": 0,
            "retrieved_share": 0,
            "unanswerable_share": 0,
            "distractors_share": 0,
            "shared_passages": False,
            **self.model_dump(),
        }


RunConfig = FinetuneConfig | ClassifierConfig
"""The settings of any run."""
