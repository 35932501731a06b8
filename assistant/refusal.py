"""Refusal: do the passages that were found carry an answer, or must the assistant say that it does not know?

``indexes.Evidence`` has the figures that tell it: how near in meaning the best passage is, how near its sentences are,
and how much of the question one passage holds, word by word (measured on the sample domain's training questions, see
docs/design.md). A logistic regression on them is fitted for each language, for thresholds do not carry over from one
language, or one embedder, to another. Both kinds of error weigh the same, however many questions of each kind there
are.

The fit is stored with the index. It is made from the domain's training questions; a language without enough of them
gets one from the domain's headings (as questions that it answers) and from questions of everyday life (as ones that it
does not). A domain with too few headings too has the thresholds of the sample domain (``refusal_defaults.json``, by
embedder). Both are called uncalibrated, for nobody knows their error rates.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from assistant.errors import AssistantError
from assistant.prompts import BUILT_IN
from assistant.training import search_text
from domain import Question
from indexes import Index, Passage, language_of

META_KEY = "refusal"
LEAST = 8
"""How many questions of each kind (answerable, not) a language needs to be calibrated."""
LANGUAGES = ("en", "zh")
FOLDS = 5
BATCH = 64
FORMAT = 3
"""Raised when the figures are others: a fit of another format is made again by `lorewright index`."""

Progress = Callable[[str, int, int], None]
Row = TypeVar("Row", bound=tuple)


@dataclass(frozen=True)
class Refusal:
    """The thresholds that an index is asked with."""

    index: Index
    fits: dict[str, dict[str, Any]]
    """By language: weights and intercept of the regression, and how it was made. A language that is not here has
    neither questions nor headings enough nor, for this embedder, thresholds of the sample: nothing is refused in it."""

    @classmethod
    def of(cls, index: Index) -> "Refusal":
        """The fits that are stored with the index, and for the other languages those of the sample domain."""
        stored = index.meta(META_KEY)
        if stored and stored.get("format") != FORMAT:
            raise AssistantError(
                "the refusal thresholds were fitted by another version of Lorewright; fit them again with: "
                + index.domain.command("index")
            )
        return cls(index, default_fits(index.domain.settings.embedder) | (stored["fits"] if stored else {}))

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
        """One line on every language, with the error rates where they are known."""
        return "; ".join(self._describe(language) for language in LANGUAGES)

    def _describe(self, language: str) -> str:
        fit = self.fits.get(language)
        remedy = f"{LEAST} answerable and {LEAST} unanswerable questions in questions/train.jsonl calibrate it "
        remedy += "(at the next index, finetune or evaluate)"
        if fit is None:
            return f"{language} has no thresholds for this embedder, so nothing is refused in it; {remedy}"
        if not fit["calibrated"]:
            made_from = "fitted on headings" if "questions" in fit else "with the thresholds of the sample domain"
            return f"{language} uncalibrated, {made_from}; {remedy}"
        return (
            f"{language} fitted on {fit['questions']} training questions (cross-validated: answers "
            f"{fit['false_answers']:.0%} of the unanswerable, refuses {fit['false_refusals']:.0%} of the answerable)"
        )


@cache
def default_fits(embedder: str) -> dict[str, dict[str, Any]]:
    """The thresholds for a domain with neither questions nor headings enough, by language; empty for an embedder that
    they were not fitted with.

    They tell questions of the sample domain from questions of everyday life (``benchmarks/refusal_defaults.py``): what
    lies between them is answered rather than refused, for nothing is known here of how near a near miss is.
    """
    file = Path(__file__).with_name("refusal_defaults.json")
    known = json.loads(file.read_text(encoding="utf-8")).get(embedder, {})
    return {language: fit | {"calibrated": False} for language, fit in known.items()}


def fit_refusal(index: Index, questions: Sequence[Question], progress: Progress = lambda *_: None) -> None:
    """Fit and store the thresholds, unless they were made from this very index and these questions."""
    asked = [(search_text(question), question.answerable) for question in questions]
    retrieval = index.domain.settings.retrieval.model_dump()
    made_from = hashlib.sha256(json.dumps([FORMAT, index.generation, retrieval, asked]).encode()).hexdigest()
    stored = index.meta(META_KEY)
    if stored and stored["made_from"] == made_from:
        return
    calibrated = {language: _enough(_of(language, asked)) for language in LANGUAGES}
    rows = asked
    if not all(calibrated.values()):
        made_up = [
            *((heading, True) for heading in _headings(index)),
            *((line, False) for line in everyday_questions()),
        ]
        rows = asked + [row for row in made_up if not calibrated[language_of(row[0])]]
    fits = fit_by_language(index, rows, progress)
    for language, fit in fits.items():
        fit["calibrated"] = calibrated[language]
    index.set_meta(META_KEY, {"format": FORMAT, "made_from": made_from, "fits": fits})


def fit_by_language(
    index: Index, rows: Sequence[tuple[str, bool]], progress: Progress = lambda *_: None
) -> dict[str, dict[str, Any]]:
    """A fit for each language in which ``rows``, questions and whether they are answerable, hold enough of both."""
    enough = [row for language in LANGUAGES if _enough(asked := _of(language, rows)) for row in asked]
    if not enough:
        return {}
    carried = _with_figures(index, enough, lambda done: progress("fitting refusal", done, len(enough)))
    return {
        language: _fit([(figures, answerable) for _, answerable, figures in mine])
        for language in LANGUAGES
        if _enough(mine := _of(language, carried))
    }


def _of(language: str, rows: Sequence[Row]) -> list[Row]:
    """Those of the rows, whose first field is a question, that are in this language."""
    return [row for row in rows if language_of(row[0]) == language]


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


def _enough(rows: Sequence[tuple[Any, ...]]) -> bool:
    answerable = sum(row[1] for row in rows)
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


def everyday_questions() -> list[str]:
    """Questions, in either language, of which a domain's documents hardly ever speak."""
    files = [BUILT_IN / language / "unrelated.txt" for language in LANGUAGES]
    return [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def _headings(index: Index) -> list[str]:
    """At most some 200 headings of the documents, which stand for questions that these answer."""
    headings = sorted({" ".join(path[-2:]) for path in index.headings() if path})
    return headings[:: math.ceil(len(headings) / 200) or 1]
