"""Sampling: how the next token is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Token(NamedTuple):
    """One token of an answer; log-probabilities are of the model alone, before temperature, penalty and grammar."""

    id: int
    log_probability: float = 0.0
    """Only if :attr:`Sampling.log_probabilities` asks for it."""
    likeliest: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens at this place with their log-probabilities, as many as were asked for."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen, and how many at most."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    """0 is greedy decoding."""
    repetition_penalty: float = 1.0
    """Penalises tokens that the answer already contains; not those of the prompt, since a good answer repeats its
    passages."""
    top_p: float = 0.9
    """With a temperature above 0: the likeliest tokens with this total probability (nucleus sampling)."""
    seed: int | None = None
    """With a temperature above 0: the same seed gives the same answer on the same machine and engine."""
    log_probabilities: int | None = None
    """Log-probabilities of a streamed answer's tokens: None for none, else with so many likeliest ones beside each."""
    grammar: str = ""
    """What the answer must match, made by :mod:`base_models.constraints`; empty allows any text."""


def choose(
    logits: np.ndarray,
    answer: Sequence[int],
    sampling: Sampling,
    allowed: np.ndarray | None = None,
    random: np.random.Generator | None = None,
) -> int:
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
    nucleus = int(np.searchsorted(np.cumsum(likely), sampling.top_p)) + 1
    random = random or np.random.default_rng(sampling.seed)
    return int(random.choice(order[:nucleus], p=likely[:nucleus] / likely[:nucleus].sum()))


def with_log_probabilities(token: int, logits: np.ndarray, count: int) -> Token:
    """The token with its log-probability and the ``count`` likeliest ones, given the model's logits [vocabulary]."""
    scores = logits.astype(np.float64)
    scores -= scores.max() + np.log(np.exp(scores - scores.max()).sum())
    best = np.argsort(-scores)[:count]
    return Token(token, float(scores[token]), tuple((int(one), float(scores[one])) for one in best))
