"""Sampling: how the next token is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TOP_P = 0.9
"""Nucleus sampling with a temperature above 0: the most likely tokens with this total probability. Chosen."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen, and how many at most."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    """0 is greedy decoding."""
    repetition_penalty: float = 1.0
    """Penalises tokens that the answer already contains; not those of the prompt, since a good answer repeats its
    passages."""
    grammar: str = ""
    """What the answer must match, made by :mod:`base_models.constraints`; empty allows any text."""


def choose(logits: np.ndarray, answer: Sequence[int], sampling: Sampling, allowed: np.ndarray | None = None) -> int:
    """The next token, given its logits [vocabulary], the tokens of the answer so far and which may come next."""
    scores = logits.astype(np.float64)
    if sampling.repetition_penalty != 1.0 and answer:
        seen = np.unique(answer)
        factor = np.where(scores[seen] > 0, 1 / sampling.repetition_penalty, sampling.repetition_penalty)
        scores[seen] *= factor
    if allowed is not None:
        scores[~allowed] = -np.inf
    if sampling.temperature <= 0:
        return int(scores.argmax())
    order = np.argsort(-scores)
    likely = np.exp((scores[order] - scores[order[0]]) / sampling.temperature)
    likely /= likely.sum()
    nucleus = int(np.searchsorted(np.cumsum(likely), TOP_P)) + 1
    return int(np.random.default_rng().choice(order[:nucleus], p=likely[:nucleus] / likely[:nucleus].sum()))
