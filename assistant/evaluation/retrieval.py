"""Evaluates retrieval: every search mode on the same questions, by language, with intervals.

Only a question's gold document is relevant. The rank of its first passage is scored, because the prompt contains
passages: hit@k is the share of questions with a rank of at most k, MRR the mean of 1 / rank, nDCG@10 (Järvelin and
Kekäläinen 2002, with one relevant item) the mean of 1 / log2(1 + rank) up to rank 10. Intervals are 95 % percentile
bootstraps over questions; differences are paired by question.
"""

import json
import platform
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from assistant.evaluation.metrics import bootstrap, mean
from domain import Domain, DomainError, Question, read_questions, write_text
from indexes import Index, Passage, language_of

FORMAT = 2
DEPTH = 50
"""Number of passages retrieved; a document without any of them has no rank."""
PACKAGES = ("faiss-cpu", "numpy", "sentence-transformers", "torch", "transformers")

FIGURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hit@1": lambda ranks: (ranks <= 1).astype(float),
    "hit@3": lambda ranks: (ranks <= 3).astype(float),
    "hit@5": lambda ranks: (ranks <= 5).astype(float),
    "MRR": lambda ranks: 1 / ranks,
    "nDCG@10": lambda ranks: np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0),
}
"""Metrics: functions from the ranks of the gold documents (infinite if not found) to one value per question."""


def evaluate_retrieval(domain: Domain, file: Path | None = None) -> dict[str, Any]:
    """Search for the held-out questions (or those in ``file``) in every mode; also writes the result to evaluations/.

    Skips questions without a gold document, and follow-up questions, which cannot be understood alone.
    """
    asked = [q for q in read_questions(file or domain.held_out_questions) if q.answerable and q.document]
    asked = [question for question in asked if not question.history]
    if not asked:
        raise DomainError(
            f"{file or domain.held_out_questions} has no answerable question with a document; "
            "add the key document to its questions."
        )
    with Index.open(domain) as index:
        if absent := {str(question.document) for question in asked} - {*index.documents()}:
            raise DomainError(
                f"{file or domain.held_out_questions} names {sorted(absent)[0]}, which is not in the index: "
                f"write paths relative to {domain.documents}, and run: {domain.command('index')}"
            )
        ranks = {way: ranks_of(found, asked) for way, found in _every_way(index, [q.text for q in asked]).items()}
        generation = index.generation
    languages = np.array([question.language or language_of(question.text) for question in asked])
    result = {
        "format": FORMAT,
        "kind": "retrieval",
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "questions": str(file or domain.held_out_questions.relative_to(domain.path)),
        "embedder": domain.settings.embedder,
        "retrieval": domain.settings.retrieval.model_dump(),
        "index": generation,
        "machine": {"system": platform.system(), "machine": platform.machine(), "cores": psutil.cpu_count()},
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
        "results": {
            name: _table({way: row[chosen] for way, row in ranks.items()})
            for name, chosen in [
                *((language, languages == language) for language in sorted(set(languages))),
                ("all", np.ones(len(asked), bool)),
            ]
        },
    }
    target = domain.evaluations / f"retrieval-{datetime.now():%Y%m%d-%H%M%S}.json"
    write_text(target, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return result | {"file": str(target)}


def _every_way(index: Index, questions: list[str]) -> dict[str, list[list[Passage]]]:
    found = {
        "dense": index.search_many(questions, DEPTH, "dense", rerank=False),
        "full text": index.search_many(questions, DEPTH, "full_text", rerank=False),
        "fused": index.search_many(questions, DEPTH, "hybrid", rerank=False),
    }
    if index.domain.settings.retrieval.reranker:
        found["reranked"] = index.search_many(questions, DEPTH, "hybrid")
    return found


def ranks_of(found: Sequence[Sequence[Passage]], asked: Sequence[Question]) -> np.ndarray:
    """Rank of the gold document for each question, float [questions]; infinite if none of its passages was found.

    A passage whose text also occurs in the gold document counts as one of its passages.
    """

    def is_of(passage: Passage, document: str) -> bool:
        return passage.document == document or any(place.startswith(f"{document}, ") for place in passage.also)

    return np.array(
        [
            next((rank for rank, p in enumerate(passages, start=1) if is_of(p, question.document or "")), np.inf)
            for passages, question in zip(found, asked, strict=True)
        ]
    )


def _table(ranks: dict[str, np.ndarray]) -> dict[str, Any]:
    """Each metric of each mode with its interval, and the gain of fused over the better of dense and full text."""
    figures = {
        way: {name: bootstrap(figure(row).tolist(), mean) for name, figure in FIGURES.items()}
        for way, row in ranks.items()
    }
    above = {}
    for name in ("hit@1", "MRR"):
        better = max(("dense", "full text"), key=lambda way: FIGURES[name](ranks[way]).mean())
        difference = FIGURES[name](ranks["fused"]) - FIGURES[name](ranks[better])
        above[name] = {"better leg": better, "fused minus it": bootstrap(difference.tolist(), mean)}
    return {"questions": len(ranks["fused"]), "figures": figures, "fused above the better leg": above}
