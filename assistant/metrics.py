"""Scores of answers, with the tokens that fit the language: English words, Chinese characters.

Token F1 as in SQuAD (Rajpurkar et al. 2016) and, by characters for Chinese, CMRC 2018 (Cui et al. 2019).
Intervals are 95 % percentile bootstraps over questions (Efron 1979).
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

TOKEN = re.compile(r"[㐀-鿿]|[a-z0-9]+(?:\.[0-9]+)?", re.IGNORECASE)
RESAMPLES = 2000


def tokens(text: str) -> list[str]:
    """Lower-case words and numbers, and single Chinese characters; punctuation is left out."""
    return [token.lower() for token in TOKEN.findall(text)]


def token_f1(answer: str, gold: str) -> float:
    """Harmonic mean of precision and recall of the answer's tokens against the gold answer's, 0 to 1."""
    said, right = Counter(tokens(answer)), Counter(tokens(gold))
    shared = (said & right).total()
    return 2 * shared / (said.total() + right.total()) if shared else 0.0


def bootstrap(
    rows: Sequence[Sequence[float]] | Sequence[float], statistic: Callable[[np.ndarray], float], seed: int = 0
) -> tuple[float, float, float] | None:
    """The statistic on all rows, and the 95 % interval of it over rows drawn again with replacement.

    None where there are no rows, or the statistic is not defined (NaN) on them.
    """
    data = np.asarray(rows, dtype=float)
    value = statistic(data) if len(data) else math.nan
    if math.isnan(value):
        return None
    generator = np.random.default_rng(seed)
    draws = [statistic(data[generator.integers(0, len(data), len(data))]) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return value, float(low), float(high)


def mean(rows: np.ndarray) -> float:
    return float(np.mean(rows)) if len(rows) else float("nan")


def ratio(rows: np.ndarray) -> float:
    """Sum of the first column over the sum of the second: precision or recall over all questions together."""
    total = rows[:, 1].sum()
    return float(rows[:, 0].sum() / total) if total else float("nan")
