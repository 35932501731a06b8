"""One JSON line for each optimiser step, and the same numbers for TensorBoard and Weights & Biases where asked for.

adapters/NAME.checkpoint/steps.jsonl     while the run lasts; adapters/NAME/steps.jsonl when it has ended
                         tensorboard/    with report_to = ["tensorboard"]: tensorboard --logdir adapters
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from finetune.errors import FinetuneError
from finetune.steps import Step

FILE = "steps.jsonl"
NUMBERS = ("loss", "held_out_loss", "learning_rate", "tokens_per_second")
"""Fields of a step that are plotted."""


class StepLog:
    """The log of a run, written step by step; a resumed run rewrites it with the steps so far."""

    def __init__(self, folder: Path, report_to: Sequence[str], name: str, config: dict[str, Any]):
        self.folder = folder
        self._file: TextIO | None = None
        self._tensorboard: Any = None
        self._curves = "tensorboard" in report_to
        self._wandb = _wandb(name, config) if "wandb" in report_to else None

    def start(self, done: Sequence[Step]) -> None:
        """Write the steps of the run before it was stopped."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = (self.folder / FILE).open("w", encoding="utf-8")
        for step in done:
            self._line(step)
        if self._curves:
            if not done:
                shutil.rmtree(self.folder / "tensorboard", ignore_errors=True)
            self._tensorboard = _tensorboard(self.folder / "tensorboard", len(done) + 1)

    def write(self, step: Step) -> None:
        """Add a step and flush the file, so that it can be followed."""
        self._line(step)
        numbers = {name: value for name, value in asdict(step).items() if name in NUMBERS and value is not None}
        if self._tensorboard:
            for name, value in numbers.items():
                self._tensorboard.add_scalar(name, value, step.step)
            self._tensorboard.flush()
        if self._wandb:
            self._wandb.log(numbers, step=step.step)

    def keep(self, folder: Path) -> None:
        """Copy the log into the folder of the finished run."""
        shutil.copyfile(self.folder / FILE, folder / FILE)
        if self._tensorboard:
            shutil.copytree(self.folder / "tensorboard", folder / "tensorboard")

    def _line(self, step: Step) -> None:
        assert self._file, "start() comes first"
        self._file.write(json.dumps(asdict(step)) + "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()
        if self._tensorboard:
            self._tensorboard.close()
        if self._wandb:
            self._wandb.finish()


def _tensorboard(folder: Path, first_step: int) -> Any:
    """A writer from ``first_step`` on; later steps, written before the run was stopped, are not shown."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise FinetuneError(
            "report_to tensorboard needs the package tensorboard; run: pip install 'lorewright[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder), purge_step=first_step)


def _wandb(name: str, config: dict[str, Any]) -> Any:
    """A run of Weights & Biases; its own environment variables set project and mode, and whether it sends anything."""
    try:
        import wandb
    except ImportError:
        raise FinetuneError("report_to wandb needs the package wandb; run: pip install wandb") from None
    return wandb.init(name=name, config=config)
