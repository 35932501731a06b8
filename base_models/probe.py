"""The probe: logits after a fixed prompt with an adapter, stored in its manifest and compared when it is loaded.

Hashes show that the files are unchanged; the probe shows that the loaded model computes what the trained one did.
``probe_check.py`` compares.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from base_models.probe_check import PROMPT, probe_ids

TOKENS = 32
"""Number of stored logits: those that the adapter shifts most. Chosen."""


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Switch the model to evaluation mode, without gradients, and back. nf4 layers stay in training mode: in evaluation
    mode bitsandbytes would convert them to a layout for inference on a CPU, without gradients."""
    before = {part: part.training for part in model.modules()}
    model.eval()
    for part in before:
        if type(part).__name__ == "Linear4bit":
            part.training = True
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in before.items():
            part.training = training


def probe_logits(model: Any, tokenizer: Any) -> torch.Tensor:
    """The logits [vocabulary] after PROMPT, in float32 on the CPU; for an encoder, without chat template, all logits of
    PROMPT."""
    chat = bool(tokenizer.chat_template)
    ids = probe_ids(tokenizer) if chat else tokenizer(PROMPT).input_ids
    with evaluating(model):
        logits = model(input_ids=torch.tensor([ids], device=model.device)).logits
    return (logits[0, -1] if chat else logits.flatten()).float().cpu()


def probe_facts(model: Any, base: torch.Tensor, tuned: torch.Tensor) -> dict[str, Any]:
    """The part of a manifest about the logits without and with the adapter."""
    tokens = (tuned - base).abs().topk(min(TOKENS, len(tuned))).indices
    return {
        "runs_in": runs_in(model),
        "tokens": tokens.tolist(),
        "base": base[tokens].tolist(),
        "tuned": tuned[tokens].tolist(),
        "largest": float(tuned.abs().max()),
    }


def runs_in(model: Any) -> dict[str, str]:
    """Dtype, quantisation and device of a model; where they are equal, rounding is too."""
    config = model.config.to_dict()
    quantization = config.get("quantization_config") or {}
    bits = config.get("quantization_bit") or 0
    packed = quantization.get("quant_method") or (f"int{bits}" if bits else "")
    if isinstance(quantization, dict) and quantization.get("load_in_4bit"):
        packed = "nf4"
    return {
        "dtype": str(model.dtype).removeprefix("torch."),
        "packed": str(getattr(packed, "value", packed)),
        "device": model.device.type,
    }
