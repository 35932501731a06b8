"""One run: a base model and conversations in, a finished adapter folder out.

    adapters/NAME/adapter_model.safetensors, adapter_config.json    what was learnt, as peft loads it
                  manifest.json    hashes of what it was trained on and with
                  report.json      the loss of each step, speed, memory, hardware
                  loss.png         its curve

The folder appears whole when the run ends. Until then ``adapters/NAME.checkpoint`` holds the state of the run, and the
same call goes on from it (``checkpoint.py``).
"""

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil
import torch
from peft import PeftModel
from safetensors.torch import load_file

from base_models import (
    CATALOGUE,
    LoadedModel,
    Message,
    check_adapter,
    config_of,
    fetch,
    load,
    probe_facts,
    probe_logits,
    read_manifest,
    seal_adapter,
)
from domain import FinetuneConfig, whole_folder
from finetune.checkpoint import Checkpoint, key_of
from finetune.data import Chosen, choose_examples
from finetune.errors import FinetuneError
from finetune.methods import make, refuse
from finetune.steps import Step
from finetune.train import step_count, train
from finetune.tuned import Tuned


@dataclass(frozen=True)
class RunReport:
    """What a run did; ``report.json`` holds the same."""

    examples: int
    too_long: int
    shortened: int
    over_budget: int
    held_out_examples: int
    trained_parameters: int
    tokens: int
    labelled_tokens: int
    """Tokens of the assistant in one epoch."""
    seconds: float
    peak_memory_bytes: int | None
    steps: list[Step]

    def losses(self) -> tuple[float, float]:
        """Mean loss of the first and of the last quarter of the steps; two single steps saw different examples."""
        quarter = -(-len(self.steps) // 4)
        first, last = self.steps[:quarter], self.steps[-quarter:]
        return fmean(step.loss for step in first), fmean(step.loss for step in last)


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
) -> RunReport:
    """Train an adapter on the conversations and write it to the folder ``output``, replacing an older one there.

    A run that was stopped, killed too, goes on where its last checkpoint was, if it is called with the same arguments.

    ``inputs`` is kept in the manifest as it is: the caller's hashes of what the conversations were made from, by
    which it can tell later that the run need not be repeated. ``start`` is a finished adapter to go on from. The base
    model is left as it was.
    """
    torch.manual_seed(config.seed)
    chosen = choose_examples(base.tokenizer, conversations, config)
    with base.using(None) as model:
        _check_base(model)
        refuse(config, model.config)
        without = probe_logits(model, base.tokenizer)
        tuned = make(base, model, config, step_count([len(example.ids) for example in chosen.examples], config))
        try:
            if start:
                _start_from(tuned, start, base)
            pad = base.tokenizer.pad_token_id
            pad = base.tokenizer.eos_token_id if pad is None else pad
            checkpoint = Checkpoint(
                output.with_name(f"{output.name}.checkpoint"), _key(base, chosen, config, start), config.save_steps
            )
            try:
                steps = train(tuned, chosen.examples, config, pad, on_step, chosen.numbers, checkpoint, chosen.held_out)
            except FinetuneError:
                checkpoint.remove()  # going on from it would only end in the same numbers that are not finite
                raise
            report = RunReport(
                examples=len(chosen.examples),
                too_long=chosen.too_long,
                shortened=chosen.shortened,
                over_budget=chosen.over_budget,
                held_out_examples=len(chosen.held_out),
                trained_parameters=sum(p.numel() for p in tuned.model.parameters() if p.requires_grad),
                tokens=steps[-1].tokens,
                labelled_tokens=chosen.labelled_tokens,
                seconds=steps[-1].tokens / steps[-1].tokens_per_second,
                peak_memory_bytes=_peak_memory(),
                steps=steps,
            )
            with whole_folder(output) as folder:
                tuned.save(folder)
                shown = probe_facts(model, without, probe_logits(tuned.model, base.tokenizer))
                _describe(folder, base, chosen, config, inputs or {}, report, shown)
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


def _start_from(tuned: Tuned, start: Path, base: LoadedModel) -> None:
    check_adapter(start, base.fingerprint, base.chat_format)
    try:
        tuned.start_from(load_file(start / "adapter_model.safetensors"))
    except ValueError as error:
        raise FinetuneError(
            f"the run cannot go on from {start.name}: {error}; take the method, r and target_modules of that run."
        ) from None


def _key(base: LoadedModel, chosen: Chosen, config: FinetuneConfig, start: Path | None) -> str:
    """What decides the numbers of a run: a checkpoint of another key is not gone on from."""
    return key_of(
        {
            "base": base.fingerprint,
            "chat_format": base.chat_format,
            "data": chosen.sha256(),
            "config": config.model_dump(),
            "targets": sorted(base.lora_target_modules),
            "start": read_manifest(start)["adapter_sha256"] if start else "",
            "dtype": base.model.dtype,
            "quantization": base.model.config.to_dict().get("quantization_config"),
            "device": base.device.type,
            "versions": [version(name) for name in ("torch", "transformers", "peft")],
        }
    )


def _describe(
    folder: Path,
    base: LoadedModel,
    chosen: Chosen,
    config: FinetuneConfig,
    inputs: Mapping[str, str],
    report: RunReport,
    shown: dict[str, Any],
) -> None:
    """Write what the adapter is and how it was made beside its weights: manifest.json, report.json and loss.png."""
    facts = {
        "base_model": base.name,
        "base_fingerprint": base.fingerprint,
        "chat_format": base.chat_format,
        "data_sha256": chosen.sha256(),
        "inputs": dict(inputs),
        "probe": shown,
        "config": config.model_dump(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": {name: version(name) for name in ("lorewright", "torch", "transformers", "peft")},
    }
    seal_adapter(folder, facts)
    hardware = {
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(base.device),
        "dtype": str(base.model.dtype).removeprefix("torch."),
    }
    written = {"format": 1, "hardware": hardware, **asdict(report)}
    (folder / "report.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    _plot_loss(folder / "loss.png", report.steps)


def _plot_loss(path: Path, steps: Sequence[Step]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([step.step for step in steps], [step.loss for step in steps], marker=".")
    axes.set(xlabel="optimiser step", ylabel="loss per labelled token (nats)", title="Training loss")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def _peak_memory() -> int | None:
    """Highest resident size of this process so far, in bytes; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024  # macOS counts bytes, Linux kibibytes
