"""One run: a base model and conversations in, a finished adapter folder out.

    adapters/NAME/adapter_model.safetensors, adapter_config.json    what peft loads
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

import psutil
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

from base_models import LoadedModel, Message, seal_adapter
from domain import FinetuneConfig, whole_folder
from finetune.checkpoint import Checkpoint, key_of
from finetune.data import Chosen, choose_examples
from finetune.errors import FinetuneError
from finetune.train import Step, train


@dataclass(frozen=True)
class RunReport:
    """What a run did; ``report.json`` holds the same."""

    examples: int
    too_long: int
    shortened: int
    over_budget: int
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


def finetune(
    base: LoadedModel,
    conversations: Sequence[Sequence[Message]],
    output: Path,
    config: FinetuneConfig,
    inputs: Mapping[str, str] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> RunReport:
    """Train a LoRA adapter on the conversations and write it to the folder ``output``, replacing an older one there.

    A run that was stopped, killed too, goes on where its last checkpoint was, if it is called with the same arguments.

    ``inputs`` is kept in the manifest as it is: the caller's hashes of what the conversations were made from, by
    which it can tell later that the run need not be repeated. The base model is left as it was.
    """
    torch.manual_seed(config.seed)
    chosen = choose_examples(base.tokenizer, conversations, config)
    targets = list(config.target_modules) or base.lora_target_modules
    with base.using(None) as model:
        if isinstance(model, PeftModel):
            raise FinetuneError("the base model already carries an adapter; load it anew for training.")
        if any(getattr(getattr(p, "quant_state", None), "packing_format_for_cpu", False) for p in model.parameters()):
            raise FinetuneError(
                "the base model has answered in nf4 already, and bitsandbytes cannot learn through weights that it has "
                "laid out for answering on a CPU; load it anew for training."
            )
        _check_targets(model, targets, base.name)
        tuned = get_peft_model(
            model,
            LoraConfig(
                task_type="CAUSAL_LM",
                r=config.r,
                lora_alpha=config.lora_alpha,  # type: ignore[arg-type]  # peft takes fractions too
                lora_dropout=config.lora_dropout,
                target_modules=targets,
            ),
        )
        try:
            pad = base.tokenizer.pad_token_id
            pad = base.tokenizer.eos_token_id if pad is None else pad
            checkpoint = Checkpoint(output.with_name(f"{output.name}.checkpoint"), _key(base, chosen, config, targets))
            try:
                steps = train(tuned, chosen.examples, config, pad, on_step, chosen.numbers, checkpoint)
            except FinetuneError:
                checkpoint.remove()  # going on from it would only end in the same numbers that are not finite
                raise
            report = RunReport(
                examples=len(chosen.examples),
                too_long=chosen.too_long,
                shortened=chosen.shortened,
                over_budget=chosen.over_budget,
                trained_parameters=sum(p.numel() for p in tuned.parameters() if p.requires_grad),
                tokens=steps[-1].tokens,
                labelled_tokens=chosen.labelled_tokens,
                seconds=steps[-1].tokens / steps[-1].tokens_per_second,
                peak_memory_bytes=_peak_memory(),
                steps=steps,
            )
            with whole_folder(output) as folder:
                _save(folder, tuned, base, chosen, config, inputs or {}, report)
            checkpoint.remove()
        finally:
            tuned.unload()
            model.eval()
    return report


def _key(base: LoadedModel, chosen: Chosen, config: FinetuneConfig, targets: Sequence[str]) -> str:
    """What decides the numbers of a run: a checkpoint of another key is not gone on from."""
    return key_of(
        {
            "base": base.fingerprint,
            "chat_format": base.chat_format,
            "data": chosen.sha256(),
            "config": config.model_dump(),
            "targets": sorted(targets),
            "dtype": base.model.dtype,
            "quantization": base.model.config.to_dict().get("quantization_config"),
            "device": base.device.type,
            "versions": [version(name) for name in ("torch", "transformers", "peft")],
        }
    )


def _check_targets(model: torch.nn.Module, targets: Sequence[str], name: str) -> None:
    """Refuse a name that fits no linear layer; peft would train the others and say nothing."""
    layers = [layer for layer, part in model.named_modules() if isinstance(part, torch.nn.Linear)]
    wrong = [target for target in targets if not any(f".{layer}".endswith(f".{target}") for layer in layers)]
    if wrong or not targets:
        known = sorted({layer.rpartition(".")[2] for layer in layers})
        raise FinetuneError(
            f"target_modules: {repr(wrong[0]) if wrong else 'an empty list'} names no linear layer of {name}; "
            f"choose from {', '.join(known)}."
        )


def _save(
    folder: Path,
    tuned: PeftModel,
    base: LoadedModel,
    chosen: Chosen,
    config: FinetuneConfig,
    inputs: Mapping[str, str],
    report: RunReport,
) -> None:
    tensors = {key: value.contiguous() for key, value in get_peft_model_state_dict(tuned).items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    peft_config = tuned.peft_config["default"]
    peft_config.base_model_name_or_path = base.name  # peft would write where this machine keeps its cache
    peft_config.inference_mode = True
    peft_config.save_pretrained(str(folder))
    facts = {
        "base_model": base.name,
        "base_fingerprint": base.fingerprint,
        "chat_format": base.chat_format,
        "data_sha256": chosen.sha256(),
        "inputs": dict(inputs),
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
