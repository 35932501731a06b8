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
    """The adapter's output is scaled by lora_alpha / r; 0 takes r."""

    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on the adapter's input during training."""

    target_modules: tuple[str, ...] = ()
    """Names of the linear layers that get an adapter; empty takes the catalogue's choice for the model."""

    use_rslora: bool = False
    """Scale by lora_alpha / sqrt(r), so that high ranks train as fast (Kalajdzievski 2023)."""

    use_dora: bool = False
    """Train magnitude and direction of the weights separately (DoRA, Liu et al. 2024); slower."""

    loraplus_lr_ratio: Annotated[float, Field(ge=1)] = 1.0
    """Learning rate of lora_B over that of lora_A (LoRA+, Hayou et al. 2024, who take 16)."""

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

    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: much less memory, a third slower."""

    optim: Literal["adamw_torch", "adamw_8bit"] = "adamw_torch"
    """The optimiser; adamw_8bit keeps its moments in 8 bits and needs bitsandbytes."""

    max_length: Annotated[int, Field(ge=64)] = 2048
    """The most tokens of an example: a longer conversation is divided between its rounds, a longer round left out."""

    held_out_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the examples that are evaluated and not trained on; the state with their lowest loss is kept."""

    eval_steps: Annotated[int, Field(ge=0)] = 0
    """Evaluate the held-out examples every so many optimiser steps; 0 evaluates ten times in a run."""

    early_stopping_patience: Annotated[int, Field(ge=0)] = 0
    """Stop after so many evaluations without a lower held-out loss; 0 never does."""

    save_steps: Annotated[int, Field(ge=0)] = 0
    """Save a checkpoint every so many optimiser steps; 0: as often as costs little time."""

    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Also log the steps for TensorBoard (files in the run's folder), or send them to Weights & Biases."""

    shared_passages: bool = False
    """Questions that the same passages answer are shown the same ones; with packing those are read once for all."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    """Seed of everything random in the run."""

    def recorded(self) -> dict[str, Any]:
        """The settings as manifests hold them and as checkpoints are compared by."""
        return self.model_dump()


class MethodSettings(Table):
    """What of a language model is trained. A classifier has no choice: it trains a LoRA."""

    method: Literal[
        "lora", "adalora", "ia3", "p-tuning-v2", "prefix-tuning", "prompt-tuning", "p-tuning", "freeze", "full"
    ] = "lora"
    """What is trained, see docs/finetuning.md; prefix-tuning, prompt-tuning and p-tuning are not for ChatGLM."""

    quantization: Literal["none", "nf4", "int8"] = "none"
    """Keep the frozen base quantised while an adapter is trained: nf4 with lora is QLoRA; needs bitsandbytes."""

    init_lora_weights: Literal["default", "pissa"] = "default"
    """Initial LoRA weights: zero, or the principal singular components of each matrix (PiSSA, Meng et al. 2024)."""

    num_virtual_tokens: Annotated[int, Field(ge=0, le=4096)] = 0
    """Length of the soft prompt; 0 takes 128 for p-tuning-v2, 30 for prefix-tuning, 20 for the other two."""

    prefix_projection: bool = False
    """Compute the prefix of p-tuning-v2 or prefix-tuning by a small network."""

    trainable_layers: Annotated[int, Field(ge=1)] = 2
    """With method freeze: how many layers, the last ones, are trained."""


class FinetuneConfig(TrainingConfig, MethodSettings):
    """One training of a language model: the ``[finetune]`` table, and the flags of ``lorewright finetune``."""

    packing: bool = False
    """Fill each forward pass with several examples up to max_length tokens; a common prefix is read once."""

    labels: Literal["all", "last"] = "all"
    """Whether all answers of a conversation are trained on, or the last one alone."""

    max_train_tokens: Annotated[int, Field(ge=0)] = 0
    """Stop choosing examples when the run would read more tokens than this, epochs included; 0 means no bound."""

    from_adapter: str = ""
    """Continue from a finished run of the same shapes; empty: from the shipped reader if it fits; base starts anew."""

    data: tuple[str, ...] = ()
    """Further files of examples, from the domain's folder; `chats.jsonl=0.5` takes half of them, `=2` each twice."""

    replay_share: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    """Share of the examples that are everyday questions with the base model's own answers, against forgetting."""

    retrieved_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the examples that are shown with retrieved passages, as questions are when the index is on."""


class ClassifierConfig(TrainingConfig):
    """One training of a classifier, see docs/finetuning.md."""

    # The training code reads these of language models and classifiers alike.
    method: ClassVar[Literal["lora"]] = "lora"
    quantization: ClassVar[Literal["none"]] = "none"
    init_lora_weights: ClassVar[Literal["default"]] = "default"
    packing: ClassVar[bool] = False

    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """Highest learning rate of AdamW (Hu et al. 2021 take 4e-4 and 5e-4 for LoRA on RoBERTa)."""

    num_train_epochs: Annotated[float, Field(gt=0)] = 20.0
    """How often each text is seen."""

    per_device_train_batch_size: Annotated[int, Field(ge=1)] = 16
    """Texts in one forward pass."""

    gradient_accumulation_steps: Annotated[int, Field(ge=1)] = 1
    """Forward passes before the optimiser steps."""

    max_length: Annotated[int, Field(ge=64)] = 512
    """The most tokens of a text; a longer text, or one longer than the encoder reads, is cut off."""

    held_out_share: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    """Share of the texts that are evaluated and not trained on; the state with their lowest loss is kept."""

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
            **self.model_dump(),
        }


RunConfig = FinetuneConfig | ClassifierConfig
"""The settings of any run."""
