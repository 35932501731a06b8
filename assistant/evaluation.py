"""Proof: {base, tuned} x {without, with index} on the held-out questions, and how well passages are found.

The answers come from the same prompts, the same retrieval, the same refusal threshold and the same checking of
citations as in the chain; only the decoding is in batches. Results are one versioned JSON file in ``evaluations/``,
every answer included, so that a figure can be traced to the answers it counts.
"""

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from assistant.assistant import Assistant
from assistant.citations import cite
from assistant.metrics import bleu4, bootstrap, exact_match, mean, ratio, rouge, token_f1
from assistant.retrieval_evaluation import FIGURES, ranks_of
from assistant.training import search_text
from assistant.tuning import RESULT_FORMAT
from domain import Question
from indexes import Passage

RANKS = 10
"""How deep the gold document is looked for; a rank beyond counts as not found."""

WORD_SCORES = ("exact", "bleu4", "rouge1", "rouge2", "rougeL")
SAME = 0.005
"""A gain whose interval lies within this of zero is none: no figure in the table shows it."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many are done, and how many there are."""


@dataclass(frozen=True)
class Cell:
    """One cell of the table: who answered, and from what."""

    tuned: bool
    index: bool

    @property
    def name(self) -> str:
        return f"{'tuned' if self.tuned else 'base'}, {'with' if self.index else 'without'} index"


def evaluate(
    assistant: Assistant, questions: Sequence[Question], adapter: str, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Ask every question in every cell and return the result as it is written to ``evaluations/``.

    ``adapter`` is the tuned one's name; if it is empty, only the base model is asked.
    """
    progress("searching", 0, len(questions))
    found = assistant.index.search_many([search_text(question) for question in questions], k=RANKS)
    refusal, settings = assistant.refusal, assistant.domain.settings
    weak = [
        settings.answer.refuse and refusal.refuses(search_text(question), passages[: settings.retrieval.k])
        for question, passages in zip(questions, found, strict=True)
    ]
    progress("searching", len(questions), len(questions))
    cells = [Cell(tuned, index) for tuned in ([False, True] if adapter else [False]) for index in (False, True)]
    answers = {cell.name: _answers(assistant, cell, adapter, questions, found, weak, progress) for cell in cells}
    gain = gains(answers)
    trained = _trained(assistant.adapter_folder(adapter))
    return {
        "format": RESULT_FORMAT,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "base_model": assistant.domain.settings.base_model,
        "adapter": adapter,
        "embedder": assistant.domain.settings.embedder,
        "questions": len(questions),
        "refusal": refusal.describe(),
        "table": {name: summary(rows) for name, rows in answers.items()},
        "gain": gain,
        "trained": trained,
        "verdict": {index: verdict(gain[index], answers[f"tuned, {index}"], trained) for index in gain},
        "retrieval": retrieval(questions, found),
        "likelihood": _likelihood(assistant, adapter, questions, progress),
        "answers": answers,
        "hardware": {
            "machine": platform.machine(),
            "cores": psutil.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30),
        },
        "versions": {name: version(name) for name in ("lorewright", "torch", "transformers", "peft")},
    }


def _answers(
    assistant: Assistant,
    cell: Cell,
    adapter: str,
    questions: Sequence[Question],
    found: Sequence[Sequence[Passage]],
    weak: Sequence[bool],
    progress: Progress,
) -> list[dict[str, Any]]:
    """One row a question: what was answered in this cell, and how it scores. ``weak`` tells by question whether its
    passages are refused."""
    prompts = assistant.prompts
    shown = [passages[: assistant.domain.settings.retrieval.k] if cell.index else None for passages in found]
    asked = [index for index, refused in enumerate(weak) if not (cell.index and refused)]
    speaker = assistant.llm.model_copy(update={"adapter": assistant.adapter_folder(adapter) if cell.tuned else None})
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        progress(cell.name, done, len(asked))

    progress(cell.name, 0, len(asked))
    generations = speaker.answer_many(
        [prompts.answering(questions[index].text, shown[index], _history(questions[index])) for index in asked], advance
    )
    texts = dict(zip(asked, (generation.text for generation in generations), strict=True))
    rows = []
    for index, question in enumerate(questions):
        passages = shown[index] or []
        text = texts.get(index, prompts.refusal(prompts.language(question.text)))
        refused = index not in texts or prompts.is_refusal(text)
        citations = [] if refused or not cell.index else cite(text, passages)[1]
        rows.append(
            {
                "id": question.id,
                "language": question.language or prompts.language(question.text),
                "answerable": question.answerable,
                "question": question.text,
                "gold": question.answer,
                "gold_document": question.document,
                "answer": text,
                "refused": refused,
                "asked_the_model": index in texts,
                "f1": token_f1(text, question.answer),
                "exact": exact_match(text, question.answer),
                "bleu4": bleu4(text, question.answer),
                **rouge(text, question.answer),
                "cited": [citation.passage.document for citation in citations],
            }
        )
    return rows


def _likelihood(
    assistant: Assistant, adapter: str, questions: Sequence[Question], progress: Progress
) -> dict[str, Any]:
    """Mean loss, in nats a token, of the gold answers asked without passages, and of general prompts and texts; and how
    much each rose by tuning. A rise of the general ones is forgetting. [value, low, high], intervals over examples."""
    from finetune import likelihoods

    prompts, loaded = assistant.prompts, assistant.llm.loaded
    held_out = [
        [*prompts.answering(q.text, None, _history(q)), {"role": "assistant", "content": q.answer}]
        for q in questions
        if q.answerable
    ]
    folder = assistant.adapter_folder(adapter)
    rows = {"base": likelihoods(loaded, None, held_out, progress)}
    if folder:
        rows["tuned"] = likelihoods(loaded, folder, held_out, progress)
    result: dict[str, Any] = {
        who: {name: bootstrap(values, ratio) for name, values in sets.items()} for who, sets in rows.items()
    }
    if folder:
        result["rise"] = {
            name: bootstrap([(b - a, n) for (a, n), (b, _) in zip(rows["base"][name], values, strict=True)], ratio)
            for name, values in rows["tuned"].items()
        }
    return result


def _history(question: Question) -> list[dict[str, str]]:
    return [message for message in question.history if message["role"] != "system"]


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of one cell, in all and by language; each is [value, low, high] with its 95 % interval,
    or None where no question counts for it."""
    result = {}
    for language in ("all", *sorted({row["language"] for row in rows})):
        chosen = [row for row in rows if language in ("all", row["language"])]
        answerable = [row for row in chosen if row["answerable"]]
        unanswerable = [row for row in chosen if not row["answerable"]]
        right = [sum(document == row["gold_document"] for document in row["cited"]) for row in chosen]
        result[language] = {
            "token_f1": bootstrap([row["f1"] for row in answerable], mean),
            **{name: bootstrap([row[name] for row in answerable], mean) for name in WORD_SCORES},
            "false_refusals": bootstrap([row["refused"] for row in answerable], mean),
            "false_answers": bootstrap([not row["refused"] for row in unanswerable], mean),
            "citation_precision": bootstrap(
                [(hits, len(row["cited"])) for hits, row in zip(right, chosen, strict=True)], ratio
            ),
            "citation_recall": bootstrap(
                [hits > 0 for hits, row in zip(right, chosen, strict=True) if row["answerable"]], mean
            ),
        }
    return result


def gains(answers: dict[str, list[dict[str, Any]]]) -> dict[str, tuple[float, float, float] | None]:
    """Tuned minus base in token F1 on the answerable questions, paired by question, with its interval."""
    result = {}
    for index in (False, True):
        base, tuned = (answers.get(Cell(tuned, index).name) for tuned in (False, True))
        if base and tuned:
            pairs = [
                after["f1"] - before["f1"] for before, after in zip(base, tuned, strict=True) if before["answerable"]
            ]
            result[f"{'with' if index else 'without'} index"] = bootstrap(pairs, mean)
    return result


def verdict(gain: tuple[float, float, float] | None, tuned: Sequence[dict[str, Any]], trained: dict[str, int]) -> str:
    """Whether tuning helped, in words; and where that is not shown, what in the figures may be the reason."""
    if gain is None:
        return "no answerable question was asked, so nothing can be said."
    _, low, high = gain
    if low > 0:
        return "tuned is better than base."
    if max(-low, high) < SAME:
        return "tuned answers as base does."
    answerable = [row for row in tuned if row["answerable"]]
    unasked = sum(not row["asked_the_model"] for row in answerable)
    reasons = []
    if high < 0:
        said = "tuned is worse than base."
    else:
        said = "tuned is not proven different from base."
        seen = (high - low) / 2
        reasons.append(f"with {len(answerable)} answerable questions a difference below {seen:.2f} may be chance")
    if unasked:
        reasons.append(f"{unasked} of these were refused before any model was asked")
    if trained:
        reasons.append(f"the adapter has learnt from {trained['examples']} examples in {trained['steps']} steps")
    return f"{said} What may explain it: {'; '.join(reasons)}."


def _trained(adapter: Path | None) -> dict[str, int]:
    """How much an adapter has learnt from, out of the report of its run; empty for the base model."""
    if adapter is None:
        return {}
    report = json.loads((adapter / "report.json").read_text(encoding="utf-8"))
    return {"examples": report["examples"], "tokens": report["tokens"], "steps": len(report["steps"])}


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
