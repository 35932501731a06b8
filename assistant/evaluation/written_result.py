"""Evaluates a domain and stores the result in ``evaluations/``; reuses it while its inputs are unchanged."""

import json
from pathlib import Path
from typing import Any

from assistant.domain_adapters import READER, adapter_folder, candidate, finished_adapter, is_shipped
from assistant.errors import AssistantError
from assistant.evaluation.sampling import balanced
from assistant.inputs import check_documents, inputs_of, sha256_of
from assistant.progress import Progress
from base_models.adapter_manifest import read_manifest
from domain import Domain, read_questions, write_text

RESULT_FORMAT = 5
"""Bump when the fields of the result change."""


def evaluate_domain(
    domain: Domain, adapter: str | None, count: int, again: bool, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Ask ``count`` held-out questions (0: all) and write the result to ``evaluations/``, or read it from there if none
    of its inputs has changed.

    If ``adapter`` is None, the :func:`candidate` is evaluated. An adapter that wins (``promotion.py``) answers from
    then on; ``result["promotion"]`` holds the decision.
    """
    from assistant.indexing import calibrate
    from indexes import Index

    name = candidate(domain) if adapter is None else adapter
    reader = adapter_folder(domain, READER)
    if is_shipped(domain, name):
        name = ""
    questions = balanced(read_questions(domain.held_out_questions), count)
    if not questions:
        raise AssistantError(
            f"{domain.held_out_questions} has no questions; write held-out questions into it (README shows how)."
        )
    inputs = inputs_of(domain, domain.held_out_questions)
    with Index.open(domain) as index:
        check_documents(index, questions, domain.held_out_questions)
        calibrate(index, progress)
        refusal = index.meta("refusal")
    inputs |= {
        "refusal": sha256_of(refusal),
        "adapter": read_manifest(finished_adapter(domain, name))["adapter_sha256"] if name else "",
        "reader": read_manifest(reader)["adapter_sha256"] if reader else "",
        "answer": domain.settings.answer.model_dump_json(),
        "asked": sha256_of([question.id for question in questions]),
    }
    from assistant.evaluation.plot import plot_evaluation
    from assistant.evaluation.promotion import promote

    file = domain.evaluations / f"{name or 'base'}-{len(questions)}.json"
    picture = file.with_suffix(".png")
    if not again and (known := _known_result(file)) and known["inputs"] == inputs:
        if not picture.exists():
            plot_evaluation(known, picture)
        return known | {"promotion": promote(domain, known)}
    from assistant.assistant import Assistant
    from assistant.evaluation.evaluate import evaluate

    assistant = Assistant.open(domain.path)
    result = {"format": RESULT_FORMAT, **evaluate(assistant, questions, name, progress), "inputs": inputs}
    assistant.close()
    write_text(file, json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    plot_evaluation(result, picture)
    return result | {"promotion": promote(domain, result)}


def _known_result(file: Path) -> dict[str, Any] | None:
    """A stored evaluation; None if there is none or it has another format."""
    if not file.is_file():
        return None
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # damaged: evaluating again overwrites it
        return None
    return result if result.get("format") == RESULT_FORMAT else None
