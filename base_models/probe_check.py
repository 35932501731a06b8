"""Check the probe of an adapter: does it compute here what it computed when it was trained? Without torch.

``facts`` is the probe in the manifest (``probe.py``): the logits after :data:`PROMPT` without and with the adapter, of
the tokens that it shifts most. With the same dtype, quantisation and device, the logits must equal the stored ones
within TOLERANCE; otherwise, since rounding differs, the adapter must shift them in the stored direction.
"""

from typing import Any

import numpy as np

from base_models.errors import ModelError
from base_models.messages import encode

PROMPT = "1 + 1 = ? 春眠不觉晓"
TOLERANCE = {"float32": 2e-3, "bfloat16": 4e-2, "float16": 1e-2, "packed": 6e-2}
"""Largest difference of a logit that rounding explains, as a share of the largest logit. Chosen."""
DIRECTION = 0.5
"""Least cosine between the stored shift of the logits and that with another dtype, quantisation or device. Chosen."""


def probe_ids(tokenizer: Any) -> list[int]:
    """The ids of PROMPT in the chat format."""
    return encode(tokenizer, [{"role": "user", "content": PROMPT}]).ids


def check_logits(name: str, facts: dict[str, Any], tuned: np.ndarray) -> None:
    """Refuse an adapter whose logits [vocabulary] differ from the stored ones; for an equal dtype and device."""
    difference = float(np.abs(tuned[facts["tokens"]] - np.array(facts["tuned"])).max()) / facts["largest"]
    allowed = tolerance(facts["runs_in"])
    if not difference <= allowed:
        raise ModelError(
            f"adapter {name} does not reproduce its outputs from training: a logit differs by {difference:.1%} of "
            f"the largest, and {allowed:.1%} is allowed. A library may have changed; train it again."
        )


def check_shift(name: str, facts: dict[str, Any], runs_in: dict[str, str], base: np.ndarray, tuned: np.ndarray) -> None:
    """Refuse an adapter that does not shift the logits [vocabulary], or in another direction than the stored one."""
    tokens, stored = facts["tokens"], np.array(facts["tuned"]) - np.array(facts["base"])
    shift = tuned[tokens] - base[tokens]
    if not np.any(shift) and np.any(stored):
        raise ModelError(
            f"adapter {name} has no effect on this model: the logits are the same without it; train it again."
        )
    noise = max(tolerance(runs_in), tolerance(facts["runs_in"])) * facts["largest"]
    cosine = float(shift @ stored) / max(float(np.linalg.norm(shift) * np.linalg.norm(stored)), 1e-12)
    if np.abs(stored).max() > 2 * noise and not cosine >= DIRECTION:
        raise ModelError(
            f"adapter {name} shifts the logits of this model in another direction than in training (cosine "
            f"{cosine:.2f}, at least {DIRECTION} is required); load the base as it was trained, in "
            f"{facts['runs_in']['packed'] or facts['runs_in']['dtype']}, or train it again."
        )


def tolerance(runs_in: dict[str, str]) -> float:
    """TOLERANCE of a dtype and quantisation."""
    return TOLERANCE["packed" if runs_in["packed"] else runs_in["dtype"]]
