"""Refusal: do the passages that were found carry an answer, or must the assistant say that it does not know?

``indexes.Evidence`` has the figures that tell it: how near in meaning the best passage is, how near its sentences are,
and how much of the question one passage holds, word by word (measured on the sample domain's training questions, see
docs/design.md). A logistic regression on them is fitted for each language, for thresholds do not carry over from one
language, or one embedder, to another. Both kinds of error weigh the same, however many questions of each kind there
are.

The fit is stored with the index. It is made from the domain's training questions; a domain without enough of them gets
one from its own headings (as questions that it answers) and from questions of everyday life (as ones that it does
not), and is called uncalibrated, for nobody knows its error rates.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.errors import AssistantError
from assistant.prompts import BUILT_IN
from assistant.training import search_text
from domain import Question
from indexes import Index, Passage, language_of

META_KEY = "refusal"
LEAST = 8
"""How many questions of each kind (answerable, not) a language needs to be calibrated."""
FOLDS = 5
BATCH = 64
FORMAT = 2
"""Raised when the figures are others: a fit of another format is made again by `lorewright index`."""


@dataclass(frozen=True)
class Refusal:
    """The fitted thresholds of one index."""

    index: Index
    fits: dict[str, dict[str, Any]]
    """By language: weights and intercept of the regression, and how it was made."""

    @classmethod
    def of(cls, index: Index) -> "Refusal":
        """What is stored with the index; without a fit nothing is refused here."""
        stored = index.meta(META_KEY)
        if stored and stored.get("format") != FORMAT:
            raise AssistantError(
                "the refusal thresholds were fitted by another version of Lorewright; fit them again with: "
                f"lorewright index {index.domain.path}"
            )
        return cls(index, stored["fits"] if stored else {})

    def refuses(self, question: str, passages: Sequence[Passage]) -> bool:
        """Whether these passages, found for this question, are too weak to answer from."""
        if not passages:
            return True
        fit = self.fits.get(language_of(question))
        if fit is None:
            return False
        values = self.index.evidence([question], [passages])[0].figures()
        return sum(w * v for w, v in zip(fit["weights"], values, strict=True)) + fit["intercept"] < 0

    def describe(self) -> str:
        """One line a language, with the error rates where they are known."""
        if not self.fits:
            return "no thresholds; run lorewright index"
        parts = []
        for language, fit in sorted(self.fits.items()):
            if fit["calibrated"]:
                parts.append(
                    f"{language} fitted on {fit['questions']} training questions (cross-validated: answers "
                    f"{fit['false_answers']:.0%} of the unanswerable, refuses {fit['false_refusals']:.0%} of the "
                    "answerable)"
                )
            else:
                parts.append(f"{language} uncalibrated (fitted on headings; write questions/train.jsonl)")
        return "; ".join(parts)


def fit_refusal(
    index: Index, questions: Sequence[Question], progress: Callable[[str, int, int], None] = lambda *_: None
) -> bool:
    """Fit and store the thresholds, unless they were made from this very index and these questions; True if fitted."""
    asked = [(search_text(question), question.answerable) for question in questions]
    retrieval = index.domain.settings.retrieval.model_dump()
    made_from = hashlib.sha256(json.dumps([FORMAT, index.generation, retrieval, asked]).encode()).hexdigest()
    stored = index.meta(META_KEY)
    if stored and stored["made_from"] == made_from:
        return False
    real = {language: [row for row in asked if language_of(row[0]) == language] for language in ("en", "zh")}
    made_up = [] if all(_enough(rows) for rows in real.values()) else _made_up(index)
    rows = asked + [row for row in made_up if not _enough(real[language_of(row[0])])]
    carried = _with_figures(index, rows, lambda done: progress("fitting refusal", done, len(rows)))
    fits = {}
    for language, known in real.items():
        mine = [(figures, answerable) for text, answerable, figures in carried if language_of(text) == language]
        if _enough(mine):
            fits[language] = _fit(mine) | {"calibrated": _enough(known)}
    index.set_meta(META_KEY, {"format": FORMAT, "made_from": made_from, "fits": fits})
    return True


def _with_figures(
    index: Index, rows: Sequence[tuple[str, bool]], progress: Callable[[int], None]
) -> list[tuple[str, bool, tuple[float, ...]]]:
    """The questions for which passages were found, each with the figures of its evidence."""
    result = []
    for start in range(0, len(rows), BATCH):
        progress(start)
        batch = rows[start : start + BATCH]
        found = index.search_many([text for text, _ in batch])
        kept = [position for position, passages in enumerate(found) if passages]
        evidence = index.evidence([batch[position][0] for position in kept], [found[position] for position in kept])
        result += [(*batch[position], what.figures()) for position, what in zip(kept, evidence, strict=True)]
    progress(len(rows))
    return result


def _enough(rows: Sequence[tuple[Any, bool]]) -> bool:
    answerable = sum(kind for _, kind in rows)
    return min(answerable, len(rows) - answerable) >= LEAST


def _fit(rows: Sequence[tuple[tuple[float, ...], bool]]) -> dict[str, Any]:
    """Logistic regression with both kinds weighing the same, and its cross-validated error rates."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = np.array([figures for figures, _ in rows])
    answerable = np.array([kind for _, kind in rows])
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    predicted = cross_val_predict(model, values, answerable, cv=folds)
    scaler, regression = model.fit(values, answerable)
    weights = regression.coef_[0] / scaler.scale_
    return {
        "weights": weights.tolist(),
        "intercept": float(regression.intercept_[0] - weights @ scaler.mean_),
        "questions": len(rows),
        "false_answers": float(predicted[~answerable].mean()),
        "false_refusals": float((~predicted[answerable]).mean()),
    }


def _made_up(index: Index) -> list[tuple[str, bool]]:
    """Questions for a domain that has none: its headings, and questions of everyday life."""
    headings = sorted({" ".join(path[-2:]) for path in index.headings() if path})
    step = math.ceil(len(headings) / 200) or 1
    unrelated = [
        line
        for language in ("en", "zh")
        for line in (BUILT_IN / language / "unrelated.txt").read_text(encoding="utf-8").splitlines()
    ]
    return [(heading, True) for heading in headings[::step]] + [(line, False) for line in unrelated]
