"""The logits of an adapter after one fixed prompt, kept in its manifest: the proof that it computes so here too.

Hashes tell that the files are the ones that were written; the probe tells that what is loaded does what was trained.
``probe_check.py`` compares.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from base_models.probe_check import PROMPT, probe_ids

TOKENS = 32
"""How many logits are kept: those that the adapter shifts most."""


@contextmanager
def looking(model: Any) -> Iterator[None]:
    """The model as in answering, and afterwards as before. Its nf4 layers stay as in learning: bitsandbytes would lay
    them out for answering on a CPU, and nothing could learn through them any more."""
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
    """The logits [vocabulary] that follow PROMPT, in float32 on the CPU; of an encoder, which has no chat template, all
    logits of PROMPT."""
    chat = bool(tokenizer.chat_template)
    ids = probe_ids(tokenizer) if chat else tokenizer(PROMPT).input_ids
    with looking(model):
        logits = model(input_ids=torch.tensor([ids], device=model.device)).logits
    return (logits[0, -1] if chat else logits.flatten()).float().cpu()


def probe_facts(model: Any, base: torch.Tensor, tuned: torch.Tensor) -> dict[str, Any]:
    """What a manifest keeps of the logits without and with the adapter."""
    tokens = (tuned - base).abs().topk(min(TOKENS, len(tuned))).indices
    return {
        "runs_in": runs_in(model),
        "tokens": tokens.tolist(),
        "base": base[tokens].tolist(),
        "tuned": tuned[tokens].tolist(),
        "largest": float(tuned.abs().max()),
    }


def runs_in(model: Any) -> dict[str, str]:
    """Dtype, packing and device of a model: where they are the same, so is its rounding."""
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
