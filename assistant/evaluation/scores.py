"""Computes the scores of an evaluation from its rows: one row per question, made by ``evaluate.py``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from assistant.answering.pipeline import Found
from assistant.evaluation.metrics import bootstrap, mean, ratio
from assistant.evaluation.retrieval import FIGURES, ranks_of
from domain import Question
from indexes import Passage

WORD_SCORES = ("exact", "bleu4", "rouge1", "rouge2", "rougeL")
SAME = 0.005
"""Equivalence margin: a confidence interval inside it counts as no difference."""

Row = dict[str, Any]
Interval = tuple[float, float, float] | None
"""Value, low and high end of its 95 % interval; None if no question counts for it."""


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Scores of one cell, overall and by language; each is [value, low, high] with its 95 % interval, or None if no
    question counts for it."""
    result = {}
    for language in ("all", *sorted({row["language"] for row in rows})):
        chosen = [row for row in rows if language in ("all", row["language"])]
        answerable = [row for row in chosen if row["answerable"]]
        unanswerable = [row for row in chosen if not row["answerable"]]
        judged = [row for row in answerable if row["right"] is not None]
        cited_right = [sum(document == row["gold_document"] for document in row["cited"]) for row in chosen]
        result[language] = {
            "right": bootstrap([row["right"] for row in judged], mean),
            "right_written": bootstrap([row["right_written"] for row in judged], mean),
            "wrong": bootstrap([not row["right"] and not row["refused"] for row in judged], mean),
            "refused": bootstrap([row["refused"] for row in answerable], mean),
            "unsure": bootstrap([row["outcome"] == "unsure" for row in answerable], mean),
            "unsupported": bootstrap([(row["unsupported"], row["sentences"]) for row in chosen], ratio),
            "token_f1": bootstrap([row["f1"] for row in answerable], mean),
            **{name: bootstrap([row[name] for row in answerable], mean) for name in WORD_SCORES},
            "unsure_answers": bootstrap([row["outcome"] == "unsure" for row in unanswerable], mean),
            "false_answers": bootstrap([not row["refused"] for row in unanswerable], mean),
            "citation_precision": bootstrap(
                [(hits, len(row["cited"])) for hits, row in zip(cited_right, chosen, strict=True)], ratio
            ),
            "citation_recall": bootstrap(
                [hits > 0 for hits, row in zip(cited_right, chosen, strict=True) if row["answerable"]], mean
            ),
        }
    return result


def pairs_of(answers: dict[str, list[Row]]) -> dict[str, tuple[str, str]]:
    """The compared pairs, without and with the index: the tuned model, or else the reader, against the model that would
    answer without it."""
    pairs = {}
    for cell in ("without index", "with index"):
        there = [who for who in ("tuned", "reader", "base") if f"{who}, {cell}" in answers]
        if len(there) > 1:
            pairs[cell] = (there[0], there[1])
    return pairs


def gains(answers: dict[str, list[Row]], compared: dict[str, tuple[str, str]], score: str) -> dict[str, Interval]:
    """Gain of the first of each pair over the second on the answerable questions, paired by question.

    ``score`` is "right_written", "f1", or "unsupported" (the share of an answer's sentences; 0 for a refusal).
    """
    result = {}
    for cell, whose in compared.items():
        rows = zip(*(answers[f"{who}, {cell}"] for who in whose), strict=True)
        differences = [
            _score(after, score) - _score(before, score)
            for after, before in rows
            if before["answerable"] and before[score] is not None
        ]
        result[cell] = bootstrap(differences, mean)
    return result


def _score(row: Row, score: str) -> float:
    return row[score] / max(1, row["sentences"]) if score == "unsupported" else float(row[score])


def verdict(
    gain: Interval, rows: Sequence[Row], trained: dict[str, int], after: str = "tuned", before: str = "base"
) -> str:
    """Whether tuning helped, in words; if that is not shown, possible reasons from the scores.

    ``rows`` belong to ``after``, which is compared with ``before``.
    """
    if gain is None:
        return "no answer could be scored, so there is no result."
    _, low, high = gain
    if low > 0:
        return f"{after} is better than {before}."
    if max(-low, high) < SAME:
        return f"{after} is right as often as {before}."
    answerable = [row for row in rows if row["right"] is not None]
    unasked = sum(not row["asked_the_model"] for row in answerable)
    reasons = []
    if high < 0:
        said = f"{after} is worse than {before}."
    else:
        said = f"{after} is not proven different from {before}."
        seen = (high - low) / 2
        reasons.append(f"with {len(answerable)} scored questions, a difference below {seen:.2f} may be chance")
    if unasked:
        reasons.append(f"{unasked} of these were refused before generation")
    if trained:
        reasons.append(f"the adapter was trained on {trained['examples']} examples for {trained['steps']} steps")
    return f"{said} Possible reasons: {'; '.join(reasons)}."


def trade_off(questions: Sequence[Question], found: Sequence[Found]) -> list[dict[str, float]]:
    """False refusals and false answers for every threshold on the probability that the passages answer."""
    known = [(one.probability, question.answerable) for one, question in zip(found, questions, strict=True)]
    good = np.array([probability for probability, answerable in known if answerable and probability is not None])
    bad = np.array([probability for probability, answerable in known if not answerable and probability is not None])
    if not len(good) or not len(bad):
        return []
    return [
        {
            "threshold": float(threshold),
            "false_refusals": float((good < threshold).mean()),
            "false_answers": float((bad >= threshold).mean()),
        }
        for threshold in np.unique(np.concatenate([[0.0], good, bad, [1.0]]))
    ]


def retrieval(questions: Sequence[Question], found: Sequence[Sequence[Passage]]) -> dict[str, Any]:
    """hit@1, hit@5 and MRR of the gold document by language, over the answerable questions, with intervals."""
    asked = np.array([bool(question.answerable and question.document) for question in questions])
    ranks = ranks_of(found, questions)
    languages = np.array([question.language or "?" for question in questions])
    parts = {"all": asked} | {language: asked & (languages == language) for language in dict.fromkeys(languages[asked])}
    return {
        part: {"questions": int(chosen.sum())}
        | {
            name: bootstrap(FIGURES[figure](ranks[chosen]).tolist(), mean)
            for name, figure in (("hit@1", "hit@1"), ("hit@5", "hit@5"), ("mrr", "MRR"))
        }
        for part, chosen in parts.items()
        if chosen.any()
    }
