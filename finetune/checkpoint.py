"""What a run needs to go on where it was stopped: all that the training loop reads and changes.

``adapters/NAME.checkpoint`` is one safetensors file: trained parameters, optimiser states and random states; in its
metadata the steps so far, the schedule, and the key of what is being trained. It is one file, so that a later state
replaces an earlier one in a single rename. A run that goes on from it ends bit for bit as one that was never stopped,
on the same machine: the thread count is kept, for sums differ with it.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from domain import whole_file

SAVING_SHARE = 0.05
"""At most about this share of the time goes into saving."""


@dataclass
class Checkpoint:
    """Where a run's state is kept; ``key`` says what is being trained, and a state of another key is not used."""

    file: Path
    key: str
    _saved_at: float = field(default=0.0, init=False)
    _cost: float = field(default=0.0, init=False)

    def restore(self, parameters: Sequence[torch.nn.Parameter], optimizer: Any, scheduler: Any) -> list[dict[str, Any]]:
        """Put everything back as it was saved, and return the steps done; none if there is nothing to restore."""
        try:
            with safe_open(self.file, "pt") as file:
                state = json.loads(file.metadata()["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (OSError, SafetensorError):  # none there, or damaged: the run begins anew
            return []
        if state["key"] != self.key:
            return []
        torch.set_num_threads(state["threads"])
        with torch.no_grad():
            for index, parameter in enumerate(parameters):
                parameter.copy_(tensors[f"parameter.{index}"])
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, number, part = name.split(".")
                moments.setdefault(int(number), {})[part] = tensor
        optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
        scheduler.load_state_dict(state["scheduler"] | {"lr_lambdas": [None] * len(state["param_groups"])})
        torch.set_rng_state(tensors["random.cpu"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all([tensors[name] for name in sorted(tensors) if name.startswith("random.cuda")])
        return state["steps"]

    def save(
        self,
        parameters: Sequence[torch.nn.Parameter],
        optimizer: Any,
        scheduler: Any,
        steps: Sequence[Any],
    ) -> None:
        """Save the state after the last of ``steps`` (dataclasses), unless too little time has passed."""
        now = time.monotonic()
        if now - self._saved_at < self._cost / SAVING_SHARE:
            return
        saved = optimizer.state_dict()
        tensors = {f"parameter.{index}": parameter.detach() for index, parameter in enumerate(parameters)}
        for number, moments in saved["state"].items():
            tensors |= {f"optimizer.{number}.{part}": tensor for part, tensor in moments.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors |= {f"random.cuda.{n:03}": state for n, state in enumerate(torch.cuda.get_rng_state_all())}
        state = {
            "key": self.key,
            "threads": torch.get_num_threads(),
            "steps": [asdict(step) for step in steps],
            "param_groups": saved["param_groups"],
            "scheduler": {name: value for name, value in scheduler.state_dict().items() if name != "lr_lambdas"},
        }
        with whole_file(self.file) as partial:
            on_cpu = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
            try:
                save_file(on_cpu, partial, metadata={"state": json.dumps(state)})
            except SafetensorError as error:  # its writer's way to say that the disk is full
                raise OSError(f"{self.file} could not be written: {error}") from None
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - now

    def remove(self) -> None:
        """Delete the state: the run is finished."""
        self.file.unlink(missing_ok=True)


def key_of(facts: dict[str, Any]) -> str:
    """SHA-256 of all that decides what a run computes."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
