"""Evaluates {base, tuned} x {without, with index} on the held-out questions, and the retrieval of passages.

If a reader is shipped for the base model, it is evaluated with the index too.

An answer is **right** if it states all facts of its question (``answering/facts.py``), **wrong** if it was given
without them; a refused answerable question is neither. The text that the user reads is scored, including quotes from
the documents. The model's own text is also scored alone; that score compares base and tuned. **Unsupported** is the
share of the model's sentences that no passage supports. Token F1, BLEU and ROUGE against the gold answer are reported
too.

Answers are computed by ``answering/pipeline.py`` as in the chain; only decoding is batched. If the domain's refusal is
calibrated, the cells with the index are also scored with the thresholds of an uncalibrated domain. The result is one
versioned JSON file in ``evaluations/``. It includes every answer, so that each score can be traced to its answers.
"""

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import psutil

from assistant.answering.citations import answer_sentences, without_numbers
from assistant.answering.facts import facts_of, missing_facts
from assistant.answering.pipeline import Asked, Finished, Found, decide, find, finish, join, outcome, search
from assistant.answering.refusal import default_fits
from assistant.assistant import Assistant
from assistant.domain_adapters import READER
from assistant.evaluation.metrics import bleu4, bootstrap, exact_match, ratio, rouge, token_f1
from assistant.evaluation.scores import Row, gains, pairs_of, retrieval, summary, trade_off, verdict
from assistant.progress import Progress
from domain import Question

UNCALIBRATED = "uncalibrated"

Unit = tuple[int, str]
"""Position of a question, and the part of it that is asked (empty: the whole question)."""


@dataclass(frozen=True)
class Cell:
    """One cell of the table: the model, and whether it uses the index."""

    who: Literal["base", "reader", "tuned"]
    index: bool

    @property
    def name(self) -> str:
        return f"{self.who}, {'with' if self.index else 'without'} index"


def evaluate(
    assistant: Assistant, questions: Sequence[Question], adapter: str, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Ask every question in every cell and return the result written to ``evaluations/``.

    ``adapter`` is the name of the tuned adapter; if empty, only the base model and its reader are evaluated.
    """
    progress("searching", 0, len(questions))
    index, refusal = assistant.index, assistant.refusal
    asked = [Asked.of(question) for question in questions]
    found = find(index, refusal, asked)
    uncalibrated = decide(replace(refusal, fits=default_fits(assistant.domain.settings.embedder)), found)
    progress("searching", len(questions), len(questions))
    answers: dict[str, list[Row]] = {}
    cells = [Cell("base", False), Cell("base", True)]
    cells += [Cell("reader", True)] if assistant.has_reader else []
    cells += [Cell("tuned", False), Cell("tuned", True)] if adapter else []
    for cell in cells:
        said = said_in(assistant, cell, adapter, [found, uncalibrated], progress)
        answers[cell.name] = _rows(assistant, cell, questions, found, said)
        if cell.index and any(refusal.calibrated(language) for language in ("en", "zh")):
            answers[f"{cell.name}, {UNCALIBRATED}"] = _rows(assistant, cell, questions, uncalibrated, said)
    trained = _trained(assistant.adapter_folder(adapter))
    compared = pairs_of(answers)
    gain = {score: gains(answers, compared, score) for score in ("right_written", "unsupported", "f1")}
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "base_model": assistant.domain.settings.base_model,
        "engine": assistant.llm.answering.engine,
        "adapter": adapter,
        "embedder": assistant.domain.settings.embedder,
        "questions": len(questions),
        "without_facts": sum(question.answerable and not question.facts for question in questions),
        "not_judged": sum(question.answerable and not facts_of(question) for question in questions),
        "refusal": refusal.describe(),
        "refusal_level": assistant.domain.settings.answer.refusal,
        "trade_off": trade_off(questions, found),
        "table": {name: summary(rows) for name, rows in answers.items()},
        "compared": compared,
        "gain": gain,
        "trained": trained,
        "verdict": {
            cell: verdict(gain["right_written"][cell], answers[f"{after}, {cell}"], trained, after, before)
            for cell, (after, before) in compared.items()
        },
        "retrieval": retrieval(questions, search(index, asked)),
        "likelihood": _likelihood(assistant, adapter, questions, progress),
        "answers": answers,
        "hardware": {
            "machine": platform.machine(),
            "cores": psutil.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30),
        },
        "versions": {name: version(name) for name in ("lorewright", "torch", "transformers", "peft")},
    }


def said_in(
    assistant: Assistant, cell: Cell, adapter: str, judged: Sequence[Sequence[Found]], progress: Progress
) -> dict[Unit, str]:
    """The model's answer to each question or part; with the index, only to those that any of the thresholds answers.

    ``judged`` holds the same questions under several thresholds.
    """
    wanted = {
        (position, one.asked.part): one
        for found in judged
        for position, whole in enumerate(found)
        for one in _asks(cell, whole)
    }
    name = {"base": "", "reader": READER, "tuned": adapter}[cell.who]
    speaker = assistant.llm.model_copy(update={"adapter": assistant.adapter_folder(name)})
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        progress(cell.name, done, len(wanted))

    progress(cell.name, 0, len(wanted))
    prompts = [assistant.prompts.answering(one.asked, one.shown if cell.index else None) for one in wanted.values()]
    generations = speaker.answer_many(prompts, advance)
    return dict(zip(wanted, (generation.text for generation in generations), strict=True))


def _asks(cell: Cell, found: Found) -> tuple[Found, ...]:
    """The parts of a question that the model is asked; without the index, all of them."""
    return found.asks if cell.index else found.parts or (found,)


def _rows(
    assistant: Assistant, cell: Cell, questions: Sequence[Question], found: Sequence[Found], said: dict[Unit, str]
) -> list[Row]:
    """One row per question: the answer in this cell and its scores."""
    prompts = assistant.prompts
    rows = []
    for position, (question, one) in enumerate(zip(questions, found, strict=True)):
        texts = [said[position, part.asked.part] for part in _asks(cell, one)]
        refusal = prompts.refusal(prompts.language(question.text))
        refused = all(map(prompts.is_refusal, texts))
        text = refusal if refused else join(one, texts, refusal) if cell.index else "\n\n".join(texts)
        finished = Finished(text)
        if cell.index and not refused:
            finished = finish(assistant.index, one, texts, refusal)
        facts = facts_of(question)
        rows.append(
            {
                "id": question.id,
                "language": question.language or prompts.language(question.text),
                "answerable": question.answerable,
                "question": question.text,
                "gold": question.answer,
                "gold_document": question.document,
                "answer": finished.text,
                "written": text,
                "outcome": "refused" if refused else outcome(one, finished) if cell.index else "answered",
                "refused": refused,
                "right": not refused and not missing_facts(without_numbers(finished.text), facts) if facts else None,
                "right_written": not refused and not missing_facts(text, facts) if facts else None,
                "sentences": 0 if refused else len(answer_sentences(finished.written)),
                "unsupported": len(finished.unsupported),
                "unknown_numbers": finished.unknown_numbers,
                "asked_the_model": bool(texts),
                "f1": token_f1(text, question.answer),
                "exact": exact_match(text, question.answer),
                "bleu4": bleu4(text, question.answer),
                **rouge(text, question.answer),
                "cited": [citation.passage.document for citation in finished.citations],
            }
        )
    return rows


def _likelihood(
    assistant: Assistant, adapter: str, questions: Sequence[Question], progress: Progress
) -> dict[str, Any]:
    """Mean loss (nats per token) of the gold answers without passages and of general prompts and texts, and its rise by
    tuning. A rise of the general ones is forgetting. Each is [value, low, high], with intervals over examples."""
    from finetune import likelihoods

    prompts, loaded = assistant.prompts, assistant.llm.loaded
    held_out = [
        [*prompts.answering(Asked.of(q), None), {"role": "assistant", "content": q.answer}]
        for q in questions
        if q.answerable
    ]
    folder = assistant.adapter_folder(adapter or READER)
    rows = {"base": likelihoods(loaded, None, held_out, len(questions), progress)}
    if folder:
        rows["tuned"] = likelihoods(loaded, folder, held_out, len(questions), progress)
    result: dict[str, Any] = {
        who: {name: bootstrap(values, ratio) for name, values in sets.items()} for who, sets in rows.items()
    }
    if folder:
        result["rise"] = {
            name: bootstrap([(b - a, n) for (a, n), (b, _) in zip(rows["base"][name], values, strict=True)], ratio)
            for name, values in rows["tuned"].items()
        }
    return result


def _trained(adapter: Path | None) -> dict[str, int]:
    """The amount of training data of an adapter, from the report of its run; empty for the base model."""
    if adapter is None:
        return {}
    report = json.loads((adapter / "report.json").read_text(encoding="utf-8"))
    return {"examples": report["examples"], "tokens": report["tokens"], "steps": len(report["steps"])}
