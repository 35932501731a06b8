"""Merge an adapter into the base: one folder of safetensors that any program loads."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from base_models.acquire.fetch import fetch
from base_models.adapter_manifest import read_manifest
from base_models.catalogue import CATALOGUE
from base_models.chatglm.adapters_of_2023 import P_TUNING_V2
from base_models.classifier import load_encoder
from base_models.errors import ModelError
from base_models.hardware import fits
from base_models.loading import load
from base_models.local_files import no_progress_bar
from base_models.probe import probe_logits
from base_models.probe_check import TOLERANCE
from domain import whole_folder

SOFT_PROMPTS = ("PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING", P_TUNING_V2)
"""peft types that cannot be merged: they add inputs and change no weight of the base."""


def merge_adapter(base_name: str, adapter: Path, output: Path, dtype: str = "bfloat16") -> dict[str, Any]:
    """Merge the adapter into the unquantised base and write the model to the new folder ``output``.

    The base is loaded in float32 if that fits into memory, and rounded to ``dtype`` at the end. The logits of the
    merged model are compared with those of base and adapter; if they differ by more than rounding explains
    (``probe_check.TOLERANCE``), nothing is written. Returns the difference and the tolerance, as shares of the largest
    logit.
    """
    manifest = read_manifest(adapter)  # raises if the folder is not an adapter
    if output.exists():
        raise ModelError(f"{output} already exists; choose a new folder.")
    kind = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["peft_type"]
    if kind in SOFT_PROMPTS:
        raise ModelError(
            f"adapter {adapter.name} is a soft prompt, which cannot be merged into weights; use it unmerged."
        )
    base_folder = fetch(base_name) if base_name in CATALOGUE else Path(base_name).expanduser()
    exact = "float32" if fits(base_folder, torch.float32, "cpu") else dtype
    if manifest.get("labels"):
        loaded = load_encoder(base_name, manifest["task"], manifest["labels"], device="cpu")
    else:
        loaded = load(base_name, dtype=exact, device="cpu")
    if getattr(loaded.model.config, "quantization_bit", 0):
        raise ModelError(f"{base_name} is a quantised release, which cannot be merged into; use the fp16 one.")
    with loaded.using(adapter) as model:
        expected = probe_logits(model, loaded.tokenizer)
        merged = model.merge_and_unload().to(getattr(torch, dtype))
    difference = float((probe_logits(merged, loaded.tokenizer) - expected).abs().max() / expected.abs().max())
    if not difference <= TOLERANCE[dtype]:
        raise ModelError(
            f"a logit of the merged model differs from base and adapter by {difference:.1%} of the largest logit, "
            f"but {dtype} allows {TOLERANCE[dtype]:.1%}; no model was written. Use --dtype float32."
        )
    with whole_folder(output) as folder:
        try:
            with no_progress_bar():
                merged.save_pretrained(folder)
        except SafetensorError as error:  # raised by safetensors when the disk is full
            raise OSError(f"{output} could not be written: {error}") from None
        loaded.tokenizer.save_pretrained(folder)
    return {"difference": difference, "allowed": TOLERANCE[dtype]}
