"""Whether an adapter computes here what it computed when it was trained; the checks, without torch.

``facts`` is what ``probe.py`` put into the manifest: the logits after :data:`PROMPT` without and with the adapter, of
the tokens that it shifts most. In the same dtype, packing and device the logits must be those that were stored, within
TOLERANCE; elsewhere, where rounding differs, the adapter must shift them in the stored direction.
"""

from typing import Any

import numpy as np

from base_models.errors import ModelError
from base_models.messages import encode

PROMPT = "1 + 1 = ? 春眠不觉晓"
TOLERANCE = {"float32": 2e-3, "bfloat16": 4e-2, "float16": 1e-2, "packed": 6e-2}
"""Largest difference of a logit, as a share of the largest logit; of what rounding in each type makes of it."""
DIRECTION = 0.5
"""Least cosine between the stored shift of the logits and that of another dtype, packing or device."""


def probe_ids(tokenizer: Any) -> list[int]:
    """PROMPT as the model reads it."""
    return encode(tokenizer, [{"role": "user", "content": PROMPT}]).ids


def check_logits(name: str, facts: dict[str, Any], tuned: np.ndarray) -> None:
    """Refuse an adapter whose logits [vocabulary] are not the stored ones, where the model runs as it did then."""
    off = float(np.abs(tuned[facts["tokens"]] - np.array(facts["tuned"])).max()) / facts["largest"]
    allowed = tolerance(facts["runs_in"])
    if not off <= allowed:
        raise ModelError(
            f"adapter {name} computes something else here than when it was trained: a logit differs by {off:.1%} "
            f"of the largest, {allowed:.1%} are allowed. A library may have changed; train it again."
        )


def check_shift(name: str, facts: dict[str, Any], runs_in: dict[str, str], base: np.ndarray, tuned: np.ndarray) -> None:
    """Refuse an adapter that shifts the logits [vocabulary] not at all, or in another direction than the stored one."""
    tokens, stored = facts["tokens"], np.array(facts["tuned"]) - np.array(facts["base"])
    shift = tuned[tokens] - base[tokens]
    if not np.any(shift) and np.any(stored):
        raise ModelError(f"adapter {name} has no effect on this model: the logits are the same with and without it.")
    noise = max(tolerance(runs_in), tolerance(facts["runs_in"])) * facts["largest"]
    cosine = float(shift @ stored) / max(float(np.linalg.norm(shift) * np.linalg.norm(stored)), 1e-12)
    if np.abs(stored).max() > 2 * noise and not cosine >= DIRECTION:
        raise ModelError(
            f"adapter {name} changes this model otherwise than the one it was trained on (the cosine of the two shifts "
            f"is {cosine:.2f}, at least {DIRECTION} is asked for); load the base as it was trained, in "
            f"{facts['runs_in']['packed'] or facts['runs_in']['dtype']}, or train it again."
        )


def tolerance(runs_in: dict[str, str]) -> float:
    """TOLERANCE of a dtype and packing."""
    return TOLERANCE["packed" if runs_in["packed"] else runs_in["dtype"]]
