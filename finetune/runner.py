"""Runs a training: a base model and conversations in, a finished adapter folder out.

    adapters/NAME/adapter_model.safetensors, adapter_config.json    the trained weights, as peft loads them
                  manifest.json    hashes of what it was trained on and with, and logits that identify it
                  report.json      the loss of each step, speed, memory, hardware; report.md, the same to read
                  steps.jsonl      a line for each step; loss.png, its curve

The folder appears whole when the run ends. Until then ``adapters/NAME.checkpoint`` holds the state of the run, and the
same call resumes from it (``checkpoint.py``).
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file

from base_models import CATALOGUE, fetch, load
from base_models.adapter_manifest import check_adapter
from base_models.forecast import config_of
from base_models.loaded_model import LoadedModel
from base_models.messages import Message
from base_models.packing import can_share
from base_models.probe import probe_facts, probe_logits
from domain import FinetuneConfig, whole_folder
from finetune.batch_plan import plan_batches
from finetune.checkpoint import Checkpoint
from finetune.data.examples import choose_examples
from finetune.errors import FinetuneError
from finetune.logs import StepLog
from finetune.methods import METHODS, check_settings, prepare
from finetune.objectives import Objective, answers, classes
from finetune.report import RunReport, peak_memory, write_description
from finetune.run import Run
from finetune.run_forecast import Forecast, check_memory, forecast_run
from finetune.steps import Step
from finetune.trainable_model import TrainableModel
from finetune.training_loop import TrainingTask, train


def load_base(name_or_path: str, config: FinetuneConfig) -> LoadedModel:
    """Load a base model as a run of this configuration needs it: packed, or in float32 where its own weights are
    trained.

    Settings that do not go together are refused before anything is loaded.
    """
    if name_or_path in CATALOGUE:
        fetch(name_or_path)
    check_settings(config, config_of(name_or_path))
    dtype = "float32" if METHODS[config.method].trains_base_weights else "auto"
    return load(name_or_path, quantization=None if config.quantization == "none" else config.quantization, dtype=dtype)


def finetune(
    base: LoadedModel,
    conversations: Sequence[Sequence[Message]],
    output: Path,
    config: FinetuneConfig,
    inputs: Mapping[str, str] | None = None,
    on_step: Callable[[Step], None] | None = None,
    start: Path | None = None,
    on_start: Callable[[Forecast], None] | None = None,
    general: Sequence[Sequence[Message]] = (),
) -> RunReport:
    """Train an adapter on the conversations and write it to the folder ``output``, replacing an older one there.

    A run that was stopped or killed resumes from its last checkpoint if it is called with the same arguments.

    ``inputs`` is kept in the manifest as it is: the caller's hashes of what the conversations come from, to know later
    whether the run is still up to date. ``start`` is a finished adapter to continue from. ``on_start`` is called with
    the forecast of the run; one that memory cannot hold is refused. ``general`` conversations keep the model from
    forgetting, see :func:`choose_examples`. The base model is restored afterwards.
    """
    data = choose_examples(base.tokenizer, conversations, config, general)
    check_settings(config, base.model.config)
    return train_run(Run(base, data, output, config, inputs or {}, start, on_step, on_start))


def train_run(run: Run) -> RunReport:
    """Train on examples that are encoded already, for a chat model or for a classifier, and write the adapter."""
    torch.manual_seed(run.config.seed)
    with run.base.using(None) as model:
        _check_base(run, model)
        reference = _probe(run.base, model)
        plan = plan_batches(run.data.examples, run.config, can_share(model))
        trainable = prepare(run.base, model, run.config, len(plan.steps))
        try:
            if run.start:
                _start_from(trainable, run.start, run.base)
            task = TrainingTask(trainable, _objective(run, trainable), run.data, plan, run.config)
            checkpoint = run.checkpoint()
            forecast = forecast_run(run.base, task)
            check_memory(forecast, run.config)
            if run.on_start:
                run.on_start(forecast)
            log = StepLog(checkpoint.folder, run.config.report_to, run.output.name, run.config.recorded())
            steps = _train(run, task, checkpoint, log)
            report = _report(run, forecast, steps)
            with whole_folder(run.output) as folder:
                trainable.save(folder)
                probe = probe_facts(model, reference, probe_logits(trainable.model, run.base.tokenizer))
                log.keep(folder)
                write_description(folder, run, report, probe)
            checkpoint.remove()
        finally:
            trainable.undo()
            model.eval()
    return report


def _train(run: Run, task: TrainingTask, checkpoint: Checkpoint, log: StepLog) -> list[Step]:
    try:
        with log:
            return train(task, checkpoint, log, run.on_step)
    except FinetuneError:
        checkpoint.remove()  # resuming from it would only end in the same numbers that are not finite
        raise


def _report(run: Run, forecast: Forecast, steps: list[Step]) -> RunReport:
    return RunReport(
        examples=forecast.examples,
        too_long=run.data.too_long,
        shortened=run.data.shortened,
        over_budget=run.data.over_budget,
        held_out_examples=len(run.data.held_out),
        trained_parameters=forecast.trained_parameters,
        tokens=steps[-1].tokens,
        labelled_tokens=run.data.labelled_tokens,
        seconds=steps[-1].tokens / steps[-1].tokens_per_second,
        peak_memory_bytes=peak_memory(),
        steps=steps,
    )


def _objective(run: Run, trainable: TrainableModel) -> Objective:
    tokenizer = run.base.tokenizer
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    if run.base.task == "CAUSAL_LM":
        return answers(trainable, pad, run.config.packing)
    return classes(trainable, pad)


def _check_base(run: Run, model: Any) -> None:
    """Refuse a model that cannot be trained, and examples longer than any that it has been trained on."""
    if isinstance(model, PeftModel):
        raise FinetuneError("the base model already has an adapter; reload it for training.")
    if any(getattr(getattr(p, "quant_state", None), "packing_format_for_cpu", False) for p in model.parameters()):
        raise FinetuneError(
            "the nf4 base model was used for generation, and bitsandbytes cannot train on the weight layout that this "
            "leaves on a CPU; reload the model for training."
        )
    context = getattr(model.config, "max_position_embeddings", None) or sys.maxsize
    for number, example in zip(run.data.numbers, run.data.examples, strict=True):
        if len(example.ids) > context:
            raise FinetuneError(
                f"example {number} has {len(example.ids)} tokens, but the context of {run.base.name} is {context}; set "
                f"max_length to {context}, so that longer conversations are split between their rounds."
            )


def _probe(base: LoadedModel, model: Any) -> torch.Tensor:
    """The base's logits on fixed texts, before training."""
    logits = probe_logits(model, base.tokenizer)
    if not logits.isfinite().all():
        raise FinetuneError(
            f"{base.name} computes infinite or NaN logits, so its weights are damaged or overflow its dtype; "
            "download it again, or load it in float32."
        )
    return logits


def _start_from(trainable: TrainableModel, start: Path, base: LoadedModel) -> None:
    check_adapter(start, base.fingerprint, base.chat_format)
    before = json.loads((start / "adapter_config.json").read_text(encoding="utf-8"))
    for name, now in _scaling(trainable.model).items():
        if before.get(name, now) != now:
            raise FinetuneError(
                f"{start.name} was trained with {name} {before[name]}, but the new run has {now}; use the r, "
                "lora_alpha and use_rslora of its adapter_config.json."
            )
    try:
        trainable.start_from(load_file(start / "adapter_model.safetensors"))
    except ValueError as error:
        raise FinetuneError(
            f"the run cannot continue from {start.name}: {error}; use the method, r and target_modules of that run."
        ) from None


def _scaling(model: Any) -> dict[str, Any]:
    """The settings that scale the matrices of a LoRA; empty for other methods."""
    if not isinstance(model, PeftModel) or model.active_peft_config.peft_type != "LORA":
        return {}
    return {name: getattr(model.active_peft_config, name) for name in ("r", "lora_alpha", "use_rslora")}
