"""What an adapter computes on one fixed prompt, kept in its manifest: the proof that it computes so here too.

Hashes tell that the files are the ones that were written; the probe tells that what is loaded does what was trained. On
a model of the same dtype, packing and device the logits must be those that were stored, within TOLERANCE; elsewhere,
where rounding differs, the shift that the adapter makes must point where it pointed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from base_models.errors import ModelError
from base_models.messages import encode

PROMPT = "1 + 1 = ? 春眠不觉晓"
TOKENS = 32
"""How many logits are kept: those that the adapter shifts most."""
TOLERANCE = {"float32": 2e-3, "bfloat16": 4e-2, "float16": 1e-2, "packed": 6e-2}
"""Largest difference of a logit, as a share of the largest logit; of what rounding in each type makes of it."""
DIRECTION = 0.5
"""Least cosine between the stored shift of the logits and that of another dtype, packing or device."""


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
    ids = encode(tokenizer, [{"role": "user", "content": PROMPT}]).ids if chat else tokenizer(PROMPT).input_ids
    with looking(model):
        logits = model(input_ids=torch.tensor([ids], device=model.device)).logits
    return (logits[0, -1] if chat else logits.flatten()).float().cpu()


def probe_facts(model: Any, base: torch.Tensor, tuned: torch.Tensor) -> dict[str, Any]:
    """What a manifest keeps of the logits without and with the adapter."""
    tokens = (tuned - base).abs().topk(min(TOKENS, len(tuned))).indices
    return {
        "runs_in": _runs_in(model),
        "tokens": tokens.tolist(),
        "base": base[tokens].tolist(),
        "tuned": tuned[tokens].tolist(),
        "largest": float(tuned.abs().max()),
    }


def same_rounding(model: Any, facts: dict[str, Any]) -> bool:
    """Whether the model runs here as it did where the probe was taken, so that its logits must be the same."""
    return _runs_in(model) == facts["runs_in"]


def check_probe(name: str, model: Any, facts: dict[str, Any], base: torch.Tensor | None, tuned: torch.Tensor) -> None:
    """Refuse an adapter that does not compute here what it computed when it was trained.

    ``base`` are the logits without it; they are not needed where :func:`same_rounding` holds.
    """
    tokens, stored = torch.tensor(facts["tokens"]), torch.tensor(facts["tuned"])
    if base is None:
        off, allowed = float((tuned[tokens] - stored).abs().max()) / facts["largest"], _tolerance(facts["runs_in"])
        if not off <= allowed:
            raise ModelError(
                f"adapter {name} computes something else here than when it was trained: a logit differs by {off:.1%} "
                f"of the largest, {allowed:.1%} are allowed. A library may have changed; train it again."
            )
        return
    shift = stored - torch.tensor(facts["base"])
    noise = max(_tolerance(_runs_in(model)), _tolerance(facts["runs_in"])) * facts["largest"]
    cosine = float(torch.nn.functional.cosine_similarity(tuned[tokens] - base[tokens], shift, dim=0))
    if shift.abs().max() > 2 * noise and not cosine >= DIRECTION:
        raise ModelError(
            f"adapter {name} changes this model otherwise than the one it was trained on (the cosine of the two shifts "
            f"is {cosine:.2f}, at least {DIRECTION} is asked for); load the base as it was trained, in "
            f"{facts['runs_in']['packed'] or facts['runs_in']['dtype']}, or train it again."
        )


def _tolerance(runs_in: dict[str, str]) -> float:
    return TOLERANCE["packed" if runs_in["packed"] else runs_in["dtype"]]


def _runs_in(model: Any) -> dict[str, str]:
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
