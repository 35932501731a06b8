"""A chat model or classifier in memory, and loading and switching of its adapters.

The base weights are in memory once, however many adapters are in use. Adapters of one kind stay loaded together, and
switching between them takes milliseconds. If the kind changes (LoRA, prefix, trained copies of base weights), the
loaded adapters are removed first, and are read from their folders again when they are used again.
"""

import json
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import PreTrainedTokenizerBase

from base_models.adapter_manifest import check_adapter, read_manifest
from base_models.catalogue import CATALOGUE, find
from base_models.chatglm.adapters_of_2023 import P_TUNING_V2, load_prefix, remove_prefix
from base_models.engines import Sampling, Token, transformers
from base_models.errors import ModelError
from base_models.probe import probe_logits, runs_in
from base_models.probe_check import check_logits, check_shift

PEFT_CLASSES = {
    "CAUSAL_LM": "PeftModelForCausalLM",
    "SEQ_CLS": "PeftModelForSequenceClassification",
    "TOKEN_CLS": "PeftModelForTokenClassification",
}
"""peft's wrapper class, by task."""


@dataclass
class LoadedModel:
    """A causal chat model in memory, or an encoder that classifies, with the adapters loaded so far."""

    engine: ClassVar[str] = "transformers"
    name: str
    """Catalogue name, or the path it was loaded from."""
    fingerprint: str
    """SHA-256 that names the base weights."""
    model: Any
    """The transformers model; a ``peft.PeftModel`` around it once an adapter was used."""
    tokenizer: PreTrainedTokenizerBase
    chat_format: str
    """SHA-256 of chat template, special tokens and vocabulary."""
    adapter: Path | None = None
    """The default adapter of ``generate`` and ``stream``; None is the base model."""
    task: str = "CAUSAL_LM"
    """peft's task type; SEQ_CLS and TOKEN_CLS are encoders, see ``classifier.py``."""
    labels: tuple[str, ...] = ()
    """Names of the classes of an encoder, in the order of its logits."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _kind: str | None = None
    """The kind of the loaded adapters, active or not."""
    _prefix: str | None = None
    """SHA-256 of the loaded P-tuning v2 prefix."""

    def generate_ids(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, adapter: Path | None = None
    ) -> list[list[int]]:
        """See :class:`base_models.engines.Engine`."""
        return transformers.generate_ids(self, prompts, sampling, adapter)

    def stream_ids(self, prompt: Sequence[int], sampling: Sampling, adapter: Path | None = None) -> Iterator[Token]:
        """See :class:`base_models.engines.Engine`."""
        return transformers.stream_ids(self, prompt, sampling, adapter)

    @property
    def context_length(self) -> int:
        """The most tokens that the model reads, from its configuration."""
        return getattr(self.model.config, "max_position_embeddings", None) or sys.maxsize

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def lora_target_modules(self) -> list[str]:
        """Names of the linear layers that get a LoRA by default: from the catalogue, or all attention projections."""
        if self.name in CATALOGUE and find(self.name).target_modules:
            return list(find(self.name).target_modules)
        return attention_projections(self.model)

    @contextmanager
    def using(self, adapter: Path | None) -> Iterator[Any]:
        """Yield the model with that adapter active (None: the base model), to one thread at a time."""
        from peft import PeftModel

        with self._lock:
            if adapter is not None:
                self._activate(Path(adapter))
                yield self.model
            elif self._kind == P_TUNING_V2:
                self.unload_adapters()
                yield self.model
            elif isinstance(self.model, PeftModel):
                with self.model.disable_adapter():
                    yield self.model
            else:
                yield self.model

    def _activate(self, folder: Path) -> None:
        """Activate the adapter; load it first unless the same weights are loaded."""
        manifest = check_adapter(folder, self.fingerprint, self.chat_format)
        name = manifest["adapter_sha256"]
        kind = _kind(folder, name)
        if kind != self._kind or (kind == P_TUNING_V2 and self._prefix != name):
            self.unload_adapters()
        if self._kind == P_TUNING_V2:
            return
        if self._kind is None or name not in self.model.peft_config:
            facts = manifest.get("probe")  # None in adapters that another program trained
            same_rounding = facts and runs_in(self.model) == facts["runs_in"]
            base_logits = None if not facts or same_rounding else self._base_probe()
            if kind == P_TUNING_V2:
                load_prefix(self.model, folder)
                self._prefix = name
            else:
                self._load_peft(folder, name)
            self._kind = kind
            if facts:
                self._check_probe(folder, facts, base_logits)
        if kind != P_TUNING_V2:
            self.model.set_adapter(name)

    def _base_probe(self) -> torch.Tensor:
        """The probe's logits of the base model; loaded adapters are disabled meanwhile."""
        with self.model.disable_adapter() if self._kind else nullcontext():
            return probe_logits(self.model, self.tokenizer)

    def _check_probe(self, folder: Path, facts: dict[str, Any], base_logits: torch.Tensor | None) -> None:
        if self._kind != P_TUNING_V2:
            self.model.set_adapter(read_manifest(folder)["adapter_sha256"])
        try:
            tuned = probe_logits(self.model, self.tokenizer).numpy()
            if base_logits is None:
                check_logits(folder.name, facts, tuned)
            else:
                check_shift(folder.name, facts, runs_in(self.model), base_logits.numpy(), tuned)
        except ModelError:
            self.unload_adapters()
            raise

    def _load_peft(self, folder: Path, name: str) -> None:
        """Load a peft adapter into the model under a name; on an error the model is unchanged."""
        import peft
        from peft import PeftConfig, get_peft_model_state_dict
        from safetensors import safe_open

        config = PeftConfig.from_pretrained(str(folder))
        with safe_open(folder / "adapter_model.safetensors", "pt") as tensors:
            stored = set(tensors.keys())
        if self._kind is None:
            self.model = getattr(peft, PEFT_CLASSES[self.task])(self.model, config, adapter_name=name)
        else:
            self.model.add_adapter(name, config)
        fits = False
        try:
            self.model.load_adapter(str(folder), adapter_name=name)
            expected = set(get_peft_model_state_dict(self.model, adapter_name=name, save_embedding_layers=False))
            fits = expected == stored
            if not fits:
                raise ModelError(
                    f"adapter {folder.name} does not fit {self.name}: {len(expected - stored)} tensors are "
                    f"missing and {len(stored - expected)} are unexpected; train it again."
                )
        except (RuntimeError, KeyError) as error:  # torch and peft raise these for other shapes
            raise ModelError(
                f"adapter {folder.name} does not fit {self.name}: its tensors have different names or shapes; train it "
                "again."
            ) from error
        finally:
            if not fits and len(self.model.peft_config) > 1:
                self.model.delete_adapter(name)
            elif not fits:
                self.unload_adapters()
        self.model.eval()

    def unload_adapters(self) -> None:
        """Unload all adapters."""
        from peft import PeftModel

        if isinstance(self.model, PeftModel):
            self.model = without_peft(self.model)
        elif self._prefix:
            remove_prefix(self.model)
        self._kind = self._prefix = None


def without_peft(model: Any) -> Any:
    """Unload peft: the base model inside a ``PeftModel``, without peft's layers."""
    from peft.utils import ModulesToSaveWrapper

    if model.active_peft_config.is_prompt_learning:
        return model.get_base_model()
    for part in model.modules():
        if isinstance(part, ModulesToSaveWrapper):  # unload() would leave the trained copies in place
            for name in list(part.modules_to_save):
                part.delete_adapter(name, [])
    return model.unload()


def _kind(folder: Path, name: str) -> str:
    """The kind of an adapter; those of one kind can be loaded together, but not trained copies of base weights."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    return name if config.get("modules_to_save") else str(config["peft_type"])


def attention_projections(model: torch.nn.Module) -> list[str]:
    """Names of a model's linear layers that are attention projections (query, key, value, output), by their names."""
    attention = re.compile(r"(^|[._])(query|key|value|qkv|[qkvo])_?(key_value|proj)?$|c_attn")
    layers = {name.rpartition(".")[2] for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    return sorted(layer for layer in layers if attention.search(layer))
