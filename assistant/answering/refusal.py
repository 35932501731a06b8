"""Refusal: do the passages that were found answer the question, or must the assistant say that it does not know?

Three outcomes: **answered**; **unsure**, where the evidence is weak: answered, and marked as such; **refused**.

``indexes.Evidence`` has the features that tell them apart. From the domain's training questions a logistic regression
on these is fitted for each language, and thresholds on its probability are taken from cross-validated predictions
(``calibration.py``). The fit is stored with the index.

A domain without enough training questions is not calibrated: nobody knows how near its near misses are. There only what
is far from everything that the documents hold is refused, by the cosine of the nearest sentence. Shared words can only
prevent a refusal (:data:`COVERED`): that there are none says little, for a question may use other words or another
language. A rare name in the question that no passage holds (:data:`RARE_NAME`) makes the answer unsure. Cosines across
languages are lower, so the thresholds (``refusal_defaults.json``, by embedder, made by
``benchmarks/refusal_defaults.py``) are by the language of the question and that of the best passage.

A question that names a day or clause (第65条) which a passage holds is never refused: few others are like it, and its
vector is near to nothing.
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
"""How many questions of each kind (answerable, not) a language needs to be calibrated."""
LANGUAGES = ("en", "zh")
COVERED = 0.4
"""Share of its telling words (``Evidence.coverage``) from which on a question is not refused by a domain that is not
calibrated: "Can I bring my cat?" where a passage says "no cats". Chosen."""
RARE_NAME = 0.5
"""``Evidence.missing_name`` from which on a domain that is not calibrated marks its answer as unsure. Chosen."""
FORMAT = 8
"""Bump when the features or the thresholds change: `lorewright index` then fits again."""

Outcome = Literal["answered", "unsure", "refused"]


@dataclass(frozen=True)
class Verdict:
    """What is to be done with one question."""

    outcome: Outcome
    probability: float | None
    """How likely the passages answer it; None where no thresholds are known for its language."""


@dataclass(frozen=True)
class Refusal:
    """The thresholds that an index is asked with."""

    index: Index
    fits: dict[str, dict[str, Any]]
    """The calibrated fits by language of the question, and the default ones by languages of question and passage
    (``"zh-en"``). Where neither is known nothing is refused."""

    @classmethod
    def of(cls, index: Index) -> "Refusal":
        """The fits that are stored with the index, beside the defaults of its embedder."""
        stored = index.meta(META_KEY)
        if stored and stored.get("format") != FORMAT:
            raise AssistantError(
                "the refusal thresholds were fitted by another version of Lorewright; fit them again with: "
                + index.domain.command("index")
            )
        return cls(index, default_fits(index.domain.settings.embedder) | (stored["fits"] if stored else {}))

    def judge(self, questions: Sequence[str], found: Sequence[Sequence[Passage]]) -> list[Verdict]:
        """The verdict on each question and the passages that were found for it; without passages it is refused."""
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
        """Whether the thresholds of a language come from the domain's own questions."""
        return language in self.fits

    def rates(self, language: str) -> dict[str, float] | None:
        """The cross-validated error rates of a language at the domain's level, and on how many questions they rest.

        None where it is not calibrated, or where domain.toml has a number in place of a level.
        """
        fit, level = self.fits.get(language), self.index.domain.settings.answer.refusal
        return fit["rates"][level] | {"questions": fit["questions"]} if fit and isinstance(level, str) else None

    def describe(self) -> str:
        """One line on every language, with the error rates where they are known."""
        return "; ".join(self._describe(language) for language in LANGUAGES)

    def _describe(self, language: str) -> str:
        fit = self.fits.get(language)
        level = self.index.domain.settings.answer.refusal
        if fit:
            said = f"refuses below a probability of {level}"
            if rates := self.rates(language):
                said = (
                    f"cross-validated at {level!r}: refuses {rates['false_refusals']:.0%} of the answerable, answers "
                    f"{rates['false_answers']:.0%} of the unanswerable, {rates['unsure_answers']:.0%} with a mark"
                )
            return f"{language} calibrated on {fit['questions']} training questions ({said})"
        remedy = f"{LEAST} answerable and {LEAST} unanswerable questions in questions/train.jsonl calibrate it "
        remedy += "(at the next index, finetune or evaluate)"
        if f"{language}-{language}" in self.fits:
            return f"{language} not calibrated, so only what is far from all documents is refused; {remedy}"
        return f"{language} has no thresholds for this embedder, so nothing is refused in it; {remedy}"


@cache
def default_fits(embedder: str) -> dict[str, dict[str, Any]]:
    """The thresholds for a domain that is not calibrated, by languages of question and passage (``"zh-en"``); empty for
    an embedder that they were not made with.

    ``refuse`` and ``sure`` in the file are cosines of the nearest sentence; here they become probabilities of 0.2 and
    0.5, so that calibrated and default fits are read alike.
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
