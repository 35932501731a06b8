"""Scores of answers, with tokens that suit the language: English words, Chinese characters or words.

Token F1 and exact match follow SQuAD (Rajpurkar et al. 2016) and, by characters for Chinese, CMRC 2018 (Cui et al.
2019). BLEU-4 (Papineni et al. 2002, sentence level, smoothed) and ROUGE-1, -2 and -L (Lin 2004, F1) use Chinese words
segmented by jieba's dictionary, as is usual for ChatGLM. Intervals are 95 % percentile bootstraps over questions (Efron
1979).
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

TOKEN = re.compile(r"[㐀-鿿]|[a-z0-9]+(?:\.[0-9]+)?", re.IGNORECASE)
RESAMPLES = 2000


def tokens(text: str) -> list[str]:
    """Lower-case words and numbers, and single Chinese characters; punctuation is dropped."""
    return [token.lower() for token in TOKEN.findall(text)]


def token_f1(answer: str, gold: str) -> float:
    """F1 of the answer's tokens against the gold answer's: harmonic mean of precision and recall, 0 to 1."""
    said, right = Counter(tokens(answer)), Counter(tokens(gold))
    return _f1((said & right).total(), said.total(), right.total())


def exact_match(answer: str, gold: str) -> bool:
    """Whether both have the same tokens in the same order; case, punctuation and spaces are ignored."""
    return tokens(answer) == tokens(gold)


def words(text: str) -> list[str]:
    """Lower-case words and numbers of both languages, without punctuation."""
    import rjieba

    return [word.lower() for word in rjieba.cut(text) if TOKEN.search(word)]


def bleu4(answer: str, gold: str) -> float:
    """BLEU of up to 4-grams against one gold answer, 0 to 1."""
    from sacrebleu.metrics import BLEU

    score = BLEU(tokenize="none", effective_order=True).sentence_score(" ".join(words(answer)), [" ".join(words(gold))])
    return score.score / 100


def rouge(answer: str, gold: str) -> dict[str, float]:
    """F1 of words ("rouge1"), of word pairs ("rouge2"), and of the longest common subsequence ("rougeL")."""
    said, right = words(answer), words(gold)
    result = {}
    for n in (1, 2):
        one, other = (Counter(zip(*(part[shift:] for shift in range(n)), strict=False)) for part in (said, right))
        result[f"rouge{n}"] = _f1((one & other).total(), one.total(), other.total())
    result["rougeL"] = _f1(_longest_common(said, right), len(said), len(right))
    return result


def _f1(shared: int, said: int, right: int) -> float:
    return 2 * shared / (said + right) if shared else 0.0


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence of words."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = row
        row = [0]
        for place, word_there in enumerate(other):
            row.append(before[place] + 1 if word == word_there else max(row[-1], before[place + 1]))
    return row[-1]


def bootstrap(
    rows: Sequence[Sequence[float]] | Sequence[float], statistic: Callable[[np.ndarray], np.ndarray], seed: int = 0
) -> tuple[float, float, float] | None:
    """The statistic of all rows with its 95 % bootstrap interval (rows resampled with replacement).

    ``statistic`` is given many samples at once, an array (samples, rows) or (samples, rows, columns), and returns a
    figure for each. None if there are no rows or the statistic is undefined (NaN) on them.
    """
    data = np.asarray(rows, dtype=float)
    value = float(statistic(data[None])[0]) if len(data) else math.nan
    if math.isnan(value):
        return None
    drawn = np.random.default_rng(seed).integers(0, len(data), (RESAMPLES, len(data)))
    low, high = np.nanpercentile(statistic(data[drawn]), [2.5, 97.5])
    return value, float(low), float(high)


def mean(samples: np.ndarray) -> np.ndarray:
    return samples.mean(axis=1)


def ratio(samples: np.ndarray) -> np.ndarray:
    """Sum of the first column over the sum of the second: precision or recall pooled over all questions."""
    part, whole = samples[..., 0].sum(axis=1), samples[..., 1].sum(axis=1)
    return np.divide(part, whole, out=np.full(len(samples), math.nan), where=whole != 0)
