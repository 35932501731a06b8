"""Refusal: decides whether the retrieved passages answer the question.

There are three outcomes: **answered**; **unsure**, an answer marked as based on weak evidence; **refused**.

The decision uses the features of ``indexes.Evidence``. For each language a logistic regression on them is fitted to the
domain's training questions, with thresholds from cross-validated probabilities (``calibration.py``). The fit is stored
with the index.

A domain without enough training questions is not calibrated, because nothing is known about its hard negatives. It
refuses only questions that are far from all its documents, by the cosine of the nearest sentence. Shared words can only
prevent a refusal (:data:`COVERED`): their absence means little, because a question may use other words or another
language. A rare name in the question that no passage contains (:data:`RARE_NAME`) makes the answer unsure. Cosines
across languages are lower, so the thresholds (``refusal_defaults.json``, by embedder, chosen with
``benchmarks/refusal_defaults.py``) depend on the languages of the question and of the best passage.

A question that names a day or clause (第65条) found in a passage is never refused: few other questions resemble it, and
its vector is near to nothing.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from assistant.errors import AssistantError
from indexes import Evidence, Index, Passage, language_of

META_KEY = "refusal"
LEAST = 8
"""Minimum number of questions of each kind (answerable or not) to calibrate a language."""
LANGUAGES = ("en", "zh")
COVERED = 0.4
"""``Evidence.coverage`` from which an uncalibrated domain does not refuse: "Can I bring my cat?" where a passage says
"no cats". Chosen."""
RARE_NAME = 0.5
"""``Evidence.missing_name`` from which an uncalibrated domain marks its answer as unsure. Chosen."""
FORMAT = 8
"""Bump when the features or the thresholds change: `lorewright index` then refits."""

Outcome = Literal["answered", "unsure", "refused"]


@dataclass(frozen=True)
class Verdict:
    """The decision on one question."""

    outcome: Outcome
    probability: float | None
    """Probability that the passages answer it; None if there are no thresholds for its language."""


@dataclass(frozen=True)
class Refusal:
    """The refusal thresholds of an index."""

    index: Index
    fits: dict[str, dict[str, Any]]
    """Calibrated fits by language of the question, and default fits by languages of question and passage (``"zh-en"``).
    Without either, nothing is refused."""

    @classmethod
    def of(cls, index: Index) -> "Refusal":
        """The fits stored with the index, plus the defaults of its embedder."""
        stored = index.meta(META_KEY)
        if stored and stored.get("format") != FORMAT:
            raise AssistantError(
                "the refusal thresholds are from another version of Lorewright; calibrate them again with: "
                + index.domain.command("index")
            )
        return cls(index, default_fits(index.domain.settings.embedder) | (stored["fits"] if stored else {}))

    def judge(self, questions: Sequence[str], found: Sequence[Sequence[Passage]]) -> list[Verdict]:
        """The verdict on each question and its retrieved passages; a question without passages is refused."""
        some = [position for position, passages in enumerate(found) if passages]
        evidence = self.index.evidence([questions[at] for at in some], [found[at] for at in some])
        known = dict(zip(some, evidence, strict=True))
        return [
            self._verdict(question, passages, known[position]) if passages else Verdict("refused", 0.0)
            for position, (question, passages) in enumerate(zip(questions, found, strict=True))
        ]

    def _verdict(self, question: str, passages: Sequence[Passage], evidence: Evidence) -> Verdict:
        asked = language_of(question)
        fit = self.fits.get(asked) or self.fits.get(f"{asked}-{language_of(passages[0].text)}")
        if fit is None:
            return Verdict("answered", None)
        score = fit["intercept"] + sum(w * v for w, v in zip(fit["weights"], evidence.features(), strict=True))
        probability = 1 / (1 + math.exp(-max(-50.0, min(50.0, score))))
        level = self.index.domain.settings.answer.refusal
        threshold = fit["thresholds"][level] if isinstance(level, str) else level
        if evidence.holds_place and probability < fit["thresholds"]["strict"]:
            return Verdict("answered" if evidence.coverage >= COVERED else "unsure", probability)
        if probability < threshold:
            covered = not self.calibrated(asked) and evidence.coverage >= COVERED
            return Verdict("unsure" if covered else "refused", probability)
        weak = probability < fit["thresholds"]["strict"]
        weak |= not self.calibrated(asked) and evidence.missing_name >= RARE_NAME
        return Verdict("unsure" if weak else "answered", probability)

    def calibrated(self, language: str) -> bool:
        """Whether the thresholds of a language were fitted to the domain's own questions."""
        return language in self.fits

    def rates(self, language: str) -> dict[str, float] | None:
        """Cross-validated error rates of a language at the domain's level, and the number of questions behind them.

        None if the language is not calibrated, or if domain.toml sets a number instead of a level.
        """
        fit, level = self.fits.get(language), self.index.domain.settings.answer.refusal
        return fit["rates"][level] | {"questions": fit["questions"]} if fit and isinstance(level, str) else None

    def describe(self) -> str:
        """One line on every language, with the error rates if they are known."""
        return "; ".join(self._describe(language) for language in LANGUAGES)

    def _describe(self, language: str) -> str:
        fit = self.fits.get(language)
        level = self.index.domain.settings.answer.refusal
        if fit:
            said = f"refuses below an answer probability of {level}"
            if rates := self.rates(language):
                said = (
                    f"cross-validated at {level!r}: refuses {rates['false_refusals']:.0%} of the answerable, answers "
                    f"{rates['false_answers']:.0%} of the unanswerable, {rates['unsure_answers']:.0%} marked as unsure"
                )
            return f"{language} calibrated on {fit['questions']} training questions ({said})"
        remedy = f"to calibrate, write at least {LEAST} answerable and {LEAST} unanswerable questions into "
        remedy += "questions/train.jsonl and run index, finetune or evaluate"
        if f"{language}-{language}" in self.fits:
            return f"{language} not calibrated, so only questions far from all documents are refused; {remedy}"
        return f"{language} has no thresholds for this embedder, so no question is refused; {remedy}"


@cache
def default_fits(embedder: str) -> dict[str, dict[str, Any]]:
    """Thresholds of an uncalibrated domain by languages of question and passage (``"zh-en"``).

    Empty for an unknown embedder. ``refuse`` and ``sure`` in the file are cosines of the nearest sentence. They are
    converted to probabilities of 0.2 and 0.5, so that calibrated and default fits have the same form.
    """
    file = Path(__file__).with_name("refusal_defaults.json")
    known = json.loads(file.read_text(encoding="utf-8")).get(embedder, {})
    fits = {}
    for languages, cosines in known.items():
        slope = (_logit(0.5) - _logit(0.2)) / (cosines["sure"] - cosines["refuse"])
        weights = [slope if name == "best_sentence" else 0.0 for name in Evidence.FEATURES]
        fits[languages] = {
            "weights": weights,
            "intercept": _logit(0.5) - slope * cosines["sure"],
            "thresholds": {"rare": 0.2, "balanced": 0.2, "strict": 0.5},
        }
    return fits


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
