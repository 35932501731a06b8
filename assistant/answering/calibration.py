"""Fits the refusal thresholds of a domain to its training questions; ``refusal.py`` applies them.

For each language with at least :data:`assistant.answering.refusal.LEAST` questions of each kind, a logistic regression
is fitted on the features of ``indexes.Evidence``, with both kinds weighted equally. The thresholds come from
cross-validated probabilities, so the stored error rates are those on unseen questions.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from assistant.answering.pipeline import Asked, search, search_query
from assistant.answering.refusal import FORMAT, LANGUAGES, LEAST, META_KEY
from assistant.progress import Progress
from domain import REFUSAL_LEVELS, Question
from indexes import Index, language_of

FOLDS = 5
BATCH = 64

MOST_FALSE_REFUSALS = {"rare": 0.02, "balanced": 0.06}
"""Maximum share of the answerable training questions that a level refuses. Chosen: more of other questions are refused,
and the goal for those is at most 10 %."""
MOST_FALSE_ANSWERS = 0.15
"""Maximum share of the unanswerable questions that the level strict answers, and that any level answers without marking
them as unsure. Chosen."""

Features = tuple[float, ...]


def fit_refusal(index: Index, questions: Sequence[Question], progress: Progress = lambda *_: None) -> None:
    """Fit and store the thresholds, unless those stored were fitted on the same index and questions."""
    asked = [(Asked.of(question), question.answerable) for question in questions]
    retrieval = index.domain.settings.retrieval.model_dump()
    rows = [(one.question, one.history, answerable) for one, answerable in asked]
    made_from = hashlib.sha256(json.dumps([FORMAT, index.generation, retrieval, rows]).encode()).hexdigest()
    stored = index.meta(META_KEY)
    if stored and stored["made_from"] == made_from:
        return
    by_language = {
        language: [row for row in asked if language_of(row[0].question) == language] for language in LANGUAGES
    }
    enough = {language: rows for language, rows in by_language.items() if _enough(rows)}
    total, done = sum(map(len, enough.values())), 0
    fits = {}
    for language, mine in enough.items():
        features: list[tuple[Features, bool]] = []
        for start in range(0, len(mine), BATCH):
            progress("calibrating refusal", done + start, total)
            features += features_of(index, mine[start : start + BATCH])
        done += len(mine)
        if _enough(features):
            fits[language] = fit(features)
    if enough:
        progress("calibrating refusal", total, total)
    index.set_meta(META_KEY, {"format": FORMAT, "made_from": made_from, "fits": fits})


def features_of(index: Index, asked: Sequence[tuple[Asked, bool]]) -> list[tuple[Features, bool]]:
    """The evidence features and the answerability of each question that has search results."""
    k = index.domain.settings.retrieval.k
    found = [passages[:k] for passages in search(index, [one for one, _ in asked])]
    kept = [position for position, passages in enumerate(found) if passages]
    evidence = index.evidence([search_query(asked[at][0]) for at in kept], [found[at] for at in kept])
    return [(what.features(), asked[at][1]) for at, what in zip(kept, evidence, strict=True)]


def _enough(rows: Sequence[tuple[Any, bool]]) -> bool:
    answerable = sum(kind for _, kind in rows)
    return min(answerable, len(rows) - answerable) >= LEAST


def fit(rows: Sequence[tuple[Features, bool]]) -> dict[str, Any]:
    """Fit the regression of one language, its thresholds by level, and their cross-validated error rates."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = np.array([features for features, _ in rows])
    answerable = np.array([kind for _, kind in rows])
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    predicted = cross_val_predict(model, values, answerable, cv=folds, method="predict_proba")[:, 1]
    good, bad = predicted[answerable], predicted[~answerable]
    thresholds = {
        level: float(np.quantile(good, share, method="lower")) for level, share in MOST_FALSE_REFUSALS.items()
    }
    strict = float(np.quantile(bad, 1 - MOST_FALSE_ANSWERS, method="higher"))
    thresholds["strict"] = max(strict, thresholds["balanced"])
    scaler, regression = model.fit(values, answerable)
    weights = regression.coef_[0] / scaler.scale_
    return {
        "weights": weights.tolist(),
        "intercept": float(regression.intercept_[0] - weights @ scaler.mean_),
        "thresholds": thresholds,
        "questions": len(rows),
        "rates": {
            level: {
                "false_refusals": float((good < thresholds[level]).mean()),
                "false_answers": float((bad >= thresholds[level]).mean()),
                "unsure_answers": float(((bad >= thresholds[level]) & (bad < thresholds["strict"])).mean()),
                "unsure": float(((good >= thresholds[level]) & (good < thresholds["strict"])).mean()),
            }
            for level in REFUSAL_LEVELS
        },
    }
