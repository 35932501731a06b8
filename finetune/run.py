"""One run: a base model and conversations in, a finished adapter folder out.

    adapters/NAME/adapter_model.safetensors, adapter_config.json    what was learnt, as peft loads it
                  manifest.json    hashes of what it was trained on and with, and logits by which it is known again
                  report.json      the loss of each step, speed, memory, hardware; report.md, the same to read
                  steps.jsonl      a line for each step; loss.png, its curve

The folder appears whole when the run ends. Until then ``adapters/NAME.checkpoint`` holds the state of the run, and the
same call goes on from it (``checkpoint.py``).
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file

from base_models import CATALOGUE, fetch, load
from base_models.adapters import check_adapter, read_manifest
from base_models.forecast import config_of
from base_models.loaded_model import LoadedModel
from base_models.messages import Message
from base_models.packing import can_share
from base_models.probe import probe_facts, probe_logits
from domain import FinetuneConfig, whole_folder
from finetune.checkpoint import Checkpoint, key_of
from finetune.data import Chosen, choose_examples
from finetune.errors import FinetuneError
from finetune.forecast import Forecast, forecast, refuse_what_does_not_fit
from finetune.logs import StepLog
from finetune.methods import make, refuse
from finetune.objectives import answers, classes
from finetune.report import RunReport, describe, peak_memory
from finetune.steps import Step
from finetune.train import step_count, train
from finetune.tuned import Tuned


def load_base(name_or_path: str, config: FinetuneConfig) -> LoadedModel:
    """Load a base model as a run of this configuration wants it: packed, or in float32 where its own weights learn.

    What does not go together is refused before anything is loaded.
    """
    if name_or_path in CATALOGUE:
        fetch(name_or_path)
    refuse(config, config_of(name_or_path))
    dtype = "float32" if config.method in ("freeze", "full") else "auto"
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

    A run that was stopped, killed too, goes on where its last checkpoint was, if it is called with the same arguments.

    ``inputs`` is kept in the manifest as it is: the caller's hashes of what the conversations were made from, by
    which it can tell later that the run need not be repeated. ``start`` is a finished adapter to go on from. What the
    run will take is told to ``on_start``; one that memory cannot hold is refused. ``general`` conversations keep the
    model from forgetting, see :func:`choose_examples`. The base model is left as it was.
    """
    chosen = choose_examples(base.tokenizer, conversations, config, general)
    return train_on(base, chosen, output, config, inputs, on_step, start, on_start)


def train_on(
    base: LoadedModel,
    chosen: Chosen,
    output: Path,
    config: FinetuneConfig,
    inputs: Mapping[str, str] | None = None,
    on_step: Callable[[Step], None] | None = None,
    start: Path | None = None,
    on_start: Callable[[Forecast], None] | None = None,
) -> RunReport:
    """As :func:`finetune`, on examples that are chosen already: encoded for a chat model, or for a classifier."""
    torch.manual_seed(config.seed)
    with base.using(None) as model:
        _check_base(model)
        refuse(config, model.config)
        _refuse_beyond_context(base, model, chosen)
        without = probe_logits(model, base.tokenizer)
        if not without.isfinite().all():
            raise FinetuneError(
                f"{base.name} itself computes numbers that are not finite, so its weights are damaged or do not fit "
                "its dtype; fetch it again, or load it in float32."
            )
        tuned = make(base, model, config, step_count(chosen.examples, config, can_share(model)))
        try:
            if start:
                _start_from(tuned, start, base)
            pad = base.tokenizer.pad_token_id
            pad = base.tokenizer.eos_token_id if pad is None else pad
            chat = base.task == "CAUSAL_LM"
            objective = answers(tuned, pad, config.packing) if chat else classes(tuned, pad)
            checkpoint = Checkpoint(
                output.with_name(f"{output.name}.checkpoint"), _key(base, chosen, config, start), config.save_steps
            )
            told = forecast(base, tuned, chosen, config)
            refuse_what_does_not_fit(told, config)
            if on_start:
                on_start(told)
            log = StepLog(checkpoint.folder, config.report_to, output.name, config.model_dump())
            try:
                with log:
                    steps = train(
                        tuned,
                        chosen.examples,
                        config,
                        objective,
                        on_step,
                        chosen.numbers,
                        checkpoint,
                        chosen.held_out,
                        log,
                    )
            except FinetuneError:
                checkpoint.remove()  # going on from it would only end in the same numbers that are not finite
                raise
            report = RunReport(
                examples=told.examples,
                too_long=chosen.too_long,
                shortened=chosen.shortened,
                over_budget=chosen.over_budget,
                held_out_examples=len(chosen.held_out),
                trained_parameters=sum(p.numel() for p in tuned.model.parameters() if p.requires_grad),
                tokens=steps[-1].tokens,
                labelled_tokens=chosen.labelled_tokens,
                seconds=steps[-1].tokens / steps[-1].tokens_per_second,
                peak_memory_bytes=peak_memory(),
                steps=steps,
            )
            with whole_folder(output) as folder:
                tuned.save(folder)
                shown = probe_facts(model, without, probe_logits(tuned.model, base.tokenizer))
                log.keep(folder)
                describe(folder, base, chosen, config, inputs or {}, report, shown)
            checkpoint.remove()
        finally:
            tuned.undo()
            model.eval()
    return report


def _check_base(model: Any) -> None:
    if isinstance(model, PeftModel):
        raise FinetuneError("the base model already carries an adapter; load it anew for training.")
    if any(getattr(getattr(p, "quant_state", None), "packing_format_for_cpu", False) for p in model.parameters()):
        raise FinetuneError(
            "the base model has answered in nf4 already, and bitsandbytes cannot learn through weights that it has "
            "laid out for answering on a CPU; load it anew for training."
        )


def _refuse_beyond_context(base: LoadedModel, model: Any, chosen: Chosen) -> None:
    """Positions that a model has never seen mean nothing to it."""
    context = getattr(model.config, "max_position_embeddings", None) or sys.maxsize
    for number, example in zip(chosen.numbers, chosen.examples, strict=True):
        if len(example.ids) > context:
            raise FinetuneError(
                f"example {number} has {len(example.ids)} tokens, and {base.name} reads at most {context}; set "
                f"max_length to {context}: longer conversations are then divided between their rounds."
            )


def _start_from(tuned: Tuned, start: Path, base: LoadedModel) -> None:
    check_adapter(start, base.fingerprint, base.chat_format)
    before = json.loads((start / "adapter_config.json").read_text(encoding="utf-8"))
    for name, now in _scaling(tuned.model).items():
        if before.get(name, now) != now:
            raise FinetuneError(
                f"{start.name} was trained with {name} {before[name]}, and the new run has {now}, which would change "
                "what it computes; take that run's r, lora_alpha and use_rslora, as in its adapter_config.json."
            )
    try:
        tuned.start_from(load_file(start / "adapter_model.safetensors"))
    except ValueError as error:
        raise FinetuneError(
            f"the run cannot go on from {start.name}: {error}; take the method, r and target_modules of that run."
        ) from None


def _scaling(model: Any) -> dict[str, Any]:
    """What the matrices of a LoRA are scaled by; empty for other methods."""
    if not isinstance(model, PeftModel) or model.active_peft_config.peft_type != "LORA":
        return {}
    return {name: getattr(model.active_peft_config, name) for name in ("r", "lora_alpha", "use_rslora")}


def _key(base: LoadedModel, chosen: Chosen, config: FinetuneConfig, start: Path | None) -> str:
    """What decides the numbers of a run: a checkpoint of another key is not gone on from."""
    return key_of(
        {
            "base": base.fingerprint,
            "chat_format": base.chat_format,
            "data": chosen.sha256(),
            "config": config.model_dump(),
            "targets": sorted(base.lora_target_modules),
            "classes": base.labels,
            "start": read_manifest(start)["adapter_sha256"] if start else "",
            "dtype": base.model.dtype,
            "quantization": base.model.config.to_dict().get("quantization_config"),
            "device": base.device.type,
            "versions": [version(name) for name in ("torch", "transformers", "peft")],
        }
    )
