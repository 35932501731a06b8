"""Checkpoints: all that the training loop reads and changes, so that a run that was stopped resumes.

    adapters/NAME.checkpoint/step-000012.safetensors     trained parameters, optimiser states, random states, the best
                                                         parameters so far, and what else a method keeps; in its
                                                         metadata the steps so far, the schedule, the key of the run,
                                                         and a checksum over all of it

Each state is one file that appears whole (temporary file, fsync, rename). The last SAVED of them are kept, so that a
damaged file costs steps, not the run. A resumed run ends bit for bit as one that was never stopped, on the same
machine; the thread count is restored, because sums differ with it.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from domain import whole_file
from finetune.steps import Best, Step
from finetune.trainable_model import TrainableModel, write_tensors

Snapshot = tuple[dict[str, Any], dict[str, torch.Tensor]]
"""What is written as JSON into a file's metadata, and its tensors."""
SAVED = 2
"""How many states are kept."""
SAVING_SHARE = 0.05
"""With save_steps 0, saving takes at most about this share of the time. Chosen."""


@dataclass
class TrainingState:
    """The parts of the training loop whose state a checkpoint holds."""

    trainable: TrainableModel
    parameters: Sequence[torch.nn.Parameter]
    optimizer: Any
    scheduler: Any
    scaler: Any


@dataclass
class Checkpoint:
    """The saved states of a run. ``key`` identifies what is trained; a state of another key is not used."""

    folder: Path
    key: str
    save_steps: int = 0
    """Save after so many steps; 0: as often as SAVING_SHARE allows."""
    _unusable: list[Path] = field(default_factory=list, init=False)
    _saved_at: float = field(default=0.0, init=False)
    _cost: float = field(default=0.0, init=False)

    def restore(self, training: TrainingState) -> tuple[list[Step], Best]:
        """Load the newest whole state of this key; return the steps so far and the best parameters, which are none
        where there is no such state."""
        for left in [*self.folder.glob(".tmp*"), *self.folder.glob("*.partial")]:
            left.unlink()  # half a state of a killed process; nobody else trains this run
        for file in sorted(self.folder.glob("step-*.safetensors"), reverse=True):
            found = _read(file)
            if found and found[0]["key"] == self.key:
                return _load(training, *found)
            self._unusable.append(file)
        return [], Best()

    def save(self, training: TrainingState, steps: Sequence[Step], best: Best) -> None:
        """Save the state after the last of ``steps`` if it is time to."""
        now = time.monotonic()
        if self.save_steps:
            if steps[-1].step % self.save_steps:
                return
        elif now - self._saved_at < self._cost / SAVING_SHARE:
            return
        state, tensors = _snapshot(training, steps, best)
        state["key"] = self.key
        self.folder.mkdir(parents=True, exist_ok=True)
        metadata = {"state": json.dumps(state), "checksum": _checksum(json.dumps(state), tensors)}
        with whole_file(self.folder / f"step-{steps[-1].step:06}.safetensors") as partial:
            write_tensors(tensors, partial, metadata)
        while self._unusable:  # damaged, or of other settings; a state of this run is safe now
            self._unusable.pop().unlink(missing_ok=True)
        for older in sorted(self.folder.glob("step-*.safetensors"))[:-SAVED]:
            older.unlink()
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - now

    def remove(self) -> None:
        """Delete all states: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)


def key_of(facts: dict[str, Any]) -> str:
    """SHA-256 of all that determines what a run computes."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _read(file: Path) -> Snapshot | None:
    """State and tensors of a file, or None where it is damaged."""
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError):
        return None
    if metadata.get("checksum") != _checksum(metadata.get("state", ""), tensors):
        return None
    return json.loads(metadata["state"]), tensors


def _checksum(state: str, tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(state.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {list(tensors[name].shape)}".encode())
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _snapshot(training: TrainingState, steps: Sequence[Step], best: Best) -> Snapshot:
    saved = training.optimizer.state_dict()
    tensors = {f"parameter.{index}": parameter.detach() for index, parameter in enumerate(training.parameters)}
    numbers: dict[str, Any] = {}
    for name, value in _flat(saved["state"]).items():
        (tensors if isinstance(value, torch.Tensor) else numbers)[f"optimizer.{name}"] = value
    tensors |= {f"best.{index}": value for index, value in enumerate(best.parameters or [])}
    tensors |= {f"method.{name}": value for name, value in training.trainable.state().items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors |= {f"random.cuda.{n:03}": value for n, value in enumerate(torch.cuda.get_rng_state_all())}
    state = {
        "threads": torch.get_num_threads(),
        "steps": [asdict(step) for step in steps],
        "best": {"loss": best.loss, "step": best.step, "looks_since": best.evals_since},
        "optimizer": numbers,
        "param_groups": saved["param_groups"],
        "scheduler": {name: value for name, value in training.scheduler.state_dict().items() if name != "lr_lambdas"},
        "scaler": training.scaler.state_dict(),
    }
    return state, {name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}


def _flat(nested: dict[Any, Any]) -> dict[str, Any]:
    """Values of nested dictionaries under their keys with dots between; 8-bit optimisers nest their states deeper."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        inner = _flat(value) if isinstance(value, dict) else {"": value}
        flat |= {f"{key}.{name}" if name else str(key): held for name, held in inner.items()}
    return flat


def _load(training: TrainingState, state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> tuple[list[Step], Best]:
    torch.set_num_threads(state["threads"])

    def of(kind: str) -> dict[str, torch.Tensor]:
        return {name.removeprefix(f"{kind}."): value for name, value in tensors.items() if name.startswith(f"{kind}.")}

    training.trainable.restore(of("method"))
    with torch.no_grad():
        for index, parameter in enumerate(training.parameters):
            parameter.copy_(tensors[f"parameter.{index}"])
    moments: dict[Any, Any] = {}
    for name, value in [*of("optimizer").items(), *state["optimizer"].items()]:
        number, *parts, last = name.removeprefix("optimizer.").split(".")
        place = moments.setdefault(int(number), {})
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    training.optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
    training.scheduler.load_state_dict(state["scheduler"] | {"lr_lambdas": [None] * len(state["param_groups"])})
    if state["scaler"]:
        training.scaler.load_state_dict(state["scaler"])
    torch.set_rng_state(tensors["random.cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all([value for _, value in sorted(of("random.cuda").items())])
    device = training.parameters[0].device
    kept = of("best")
    parameters = [kept[str(index)].to(device) for index in range(len(kept))] or None
    best = state["best"]
    return [Step(**step) for step in state["steps"]], Best(best["loss"], best["step"], best["looks_since"], parameters)
