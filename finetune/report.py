"""The report and the manifest of a finished run, for programs and for people."""

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil
import torch

from base_models.adapter_manifest import seal_adapter
from finetune.run import Run
from finetune.steps import Step


@dataclass(frozen=True)
class RunReport:
    """What a run did, as in ``report.json``."""

    examples: int
    too_long: int
    shortened: int
    over_budget: int
    held_out_examples: int
    trained_parameters: int
    tokens: int
    labelled_tokens: int
    """Tokens of the assistant in one epoch; of a classifier, classes or tags."""
    seconds: float
    peak_memory_bytes: int | None
    steps: list[Step]

    def losses(self) -> tuple[float, float]:
        """Mean loss of the first and of the last quarter of the steps; two single steps saw different examples."""
        quarter = -(-len(self.steps) // 4)
        first, last = self.steps[:quarter], self.steps[-quarter:]
        return fmean(step.loss for step in first), fmean(step.loss for step in last)


def write_description(folder: Path, run: Run, report: RunReport, probe: dict[str, Any]) -> None:
    """Write manifest, reports and the loss curve beside the adapter's weights."""
    base = run.base
    facts = {
        "base_model": base.name,
        "base_fingerprint": base.fingerprint,
        "chat_format": base.chat_format,
        "task": base.task,
        "labels": base.labels,
        "data_sha256": run.data.sha256(),
        "inputs": dict(run.inputs),
        "probe": probe,
        "config": run.config.recorded(),
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
    (folder / "report.md").write_text(_readable(run, report), encoding="utf-8")
    _plot_loss(folder / "loss.png", report.steps)


def _plot_loss(path: Path, steps: Sequence[Step]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([step.step for step in steps], [step.loss for step in steps], marker=".", label="training")
    evaluated = [(step.step, step.held_out_loss) for step in steps if step.held_out_loss is not None]
    if evaluated:
        axes.plot(*zip(*evaluated, strict=True), marker="o", label="held out")
        axes.legend()
    axes.set(xlabel="optimiser step", ylabel="loss per labelled token (nats)", title="Loss")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def peak_memory() -> int | None:
    """Highest resident size of this process so far, in bytes; None where the system does not report it (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024  # macOS counts bytes, Linux kibibytes


def _readable(run: Run, report: RunReport) -> str:
    """The text of report.md."""
    base, config = run.base, run.config
    before, after = report.losses()
    evaluated = [step for step in report.steps if step.held_out_loss is not None]
    best = min(evaluated, key=lambda step: step.held_out_loss or 0.0) if evaluated else None
    changed = {name: value for name, value in config.model_dump().items() if value != getattr(type(config)(), name)}
    rows = {
        "base model": f"{base.name}, in {str(base.model.dtype).removeprefix('torch.')}",
        "method": config.method + ("" if config.quantization == "none" else f" on {config.quantization}"),
        "settings changed from the defaults": ", ".join(f"{name} {value}" for name, value in changed.items()) or "none",
        "examples": f"{report.examples} ({report.labelled_tokens:,} labelled tokens per epoch)",
        "left out": f"{report.too_long} longer than max_length, {report.over_budget} over max_train_tokens",
        "trainable parameters": f"{report.trained_parameters:,}",
        "steps": f"{len(report.steps)} of {report.steps[-1].steps}, {report.tokens:,} tokens",
        "time": f"{report.seconds:.0f} s ({report.tokens / report.seconds:.0f} tokens/s)",
        "loss, first and last quarter of the steps": f"{before:.3f} -> {after:.3f}",
        "held-out loss": f"{best.held_out_loss:.3f} after step {best.step}, kept" if best else "not evaluated",
    }
    table = "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    return f"# Run\n\n| | |\n| --- | --- |\n{table}\n![loss](loss.png)\n"
