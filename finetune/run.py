"""The description of one run: base model, examples, output folder, settings and callbacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from base_models.adapter_manifest import read_manifest
from base_models.loaded_model import LoadedModel
from domain.finetune_settings import RunConfig
from finetune.checkpoint import Checkpoint, key_of
from finetune.data.examples import TrainingData
from finetune.run_forecast import Forecast
from finetune.steps import Step


@dataclass(frozen=True)
class Run:
    """What a run needs."""

    base: LoadedModel
    data: TrainingData
    output: Path
    """The adapter folder, written when the run ends."""
    config: RunConfig
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Kept in the manifest: the caller's hashes of what the examples come from, to know later whether the run is
    still up to date."""
    start: Path | None = None
    """A finished adapter to continue from."""
    on_step: Callable[[Step], None] | None = None
    on_start: Callable[[Forecast], None] | None = None

    def checkpoint(self) -> Checkpoint:
        """Beside the output folder; a checkpoint of a run that computes something else has another key."""
        folder = self.output.with_name(f"{self.output.name}.checkpoint")
        return Checkpoint(folder, self._key(), self.config.save_steps)

    def _key(self) -> str:
        return key_of(
            {
                "base": self.base.fingerprint,
                "chat_format": self.base.chat_format,
                "data": self.data.sha256(),
                "config": self.config.recorded(),
                "targets": sorted(self.base.lora_target_modules),
                "classes": self.base.labels,
                "start": read_manifest(self.start)["adapter_sha256"] if self.start else "",
                "dtype": self.base.model.dtype,
                "quantization": self.base.model.config.to_dict().get("quantization_config"),
                "device": self.base.device.type,
                "versions": [version(name) for name in ("torch", "transformers", "peft")],
            }
        )
