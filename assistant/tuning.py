"""Training and evaluating a domain, and knowing when that need not be done again.

A finished run, and a written evaluation, carry the hashes of all they were made from. They are compared before
anything heavy is imported, so that asking again for what is finished answers at once.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.candidates import READER, adapter_folder, candidate, finished_adapter, is_shipped, use
from assistant.errors import AssistantError
from assistant.inputs import check_documents, inputs_of, resolved, sha256_of, start_of, training_inputs
from base_models import CATALOGUE, ModelError, fingerprint, read_manifest
from domain import Domain, FinetuneConfig, Question, read_questions, write_text

if TYPE_CHECKING:
    from base_models import Message
    from finetune import Forecast, RunReport, Step

RESULT_FORMAT = 5
"""Bump when the written result of an evaluation holds other things."""

Progress = Callable[[str, int, int], None]


def is_finished(domain: Domain, run: str, config: FinetuneConfig) -> bool:
    """Whether the run is finished, and was made from what lies there now."""
    try:
        manifest = read_manifest(domain.adapter(run))
    except ModelError:
        return False
    start = start_of(domain, config)
    wanted = json.loads(json.dumps(resolved(config).model_dump()))
    return (manifest["inputs"], manifest["config"]) == (training_inputs(domain, config, start), wanted)


def with_base_model(domain: Domain, name_or_path: str) -> Domain:
    """The same domain with another chat model, a name of the catalogue or a folder; domain.toml is left as it is."""
    fingerprint(name_or_path)  # says what is wrong with a name or folder that is no model
    name = name_or_path if name_or_path in CATALOGUE else str(Path(name_or_path).expanduser().resolve())
    return replace(domain, settings=domain.settings.model_copy(update={"base_model": name}))


def tune(
    domain: Domain,
    run: str,
    config: FinetuneConfig,
    progress: Progress = lambda *_: None,
    on_step: "Callable[[Step], None] | None" = None,
    on_start: "Callable[[Forecast], None] | None" = None,
    calibrated: bool = True,
) -> "tuple[RunReport, int]":
    """Train an adapter on the domain's training questions.

    It lies in ``adapters/RUN/`` once the run has ended and is a candidate: :func:`evaluate_domain` lets it answer if it
    is shown to be better. Returns what the run did, and how many unanswerable questions it was not shown, so that
    refusals stay rare. The refusal thresholds are fitted to the questions too, unless ``calibrated`` is false.
    """
    from assistant.indexing import calibrate
    from assistant.prompts import Prompts
    from assistant.training import training_conversations
    from finetune import FinetuneError, choose_examples, finetune, load_base, mixed, named_source, replayed
    from indexes import Index

    output = domain.adapter(run)
    questions = read_questions(domain.train_questions)
    sources = [named_source(entry, domain.path) for entry in config.data]
    if config.from_adapter == run:
        raise FinetuneError(f"the run {run!r} cannot go on from itself; name the new run: --run NAME")
    start = start_of(domain, config)
    inputs = training_inputs(domain, config, start)
    config = resolved(config)
    base = load_base(domain.settings.base_model, config)
    progress("reading questions", 0, len(questions))
    with Index.open(domain) as index:
        check_documents(index, questions, domain.train_questions)
        if calibrated:
            calibrate(index, progress)
        conversations = training_conversations(index, Prompts(domain), questions, config)
    progress("reading questions", len(questions), len(questions))
    if not conversations:
        raise AssistantError(
            f"{domain.train_questions} holds no question that the documents answer, so there is nothing to learn; "
            "write questions with their answers into it (README shows how)."
        )
    examples = mixed(conversations, sources, config.seed)
    learnt = len(choose_examples(base.tokenizer, examples, config).examples)  # refuses a run without any
    replay = round(learnt * config.replay_share / (1 - config.replay_share))
    general: list[list[Message]] = []
    with only_trainer(output):
        if replay:
            general = replayed(base, replay, progress)
            if config.quantization != "none":  # what has answered may be laid out so that it cannot learn
                base = load_base(domain.settings.base_model, config)
        report = finetune(base, examples, output, config, inputs, on_step, start, on_start, general)
    return report, len(questions) - len(conversations)


@contextmanager
def only_trainer(output: Path, advice: str = "or train under another name: --run NAME") -> Iterator[None]:
    """Two processes that train one run would overwrite each other's checkpoints; the second is refused."""
    from filelock import FileLock, Timeout

    output.parent.mkdir(exist_ok=True)
    if not os.access(output.parent, os.W_OK):
        raise AssistantError(f"nothing may be written into {output.parent}; choose another folder.")
    lock = FileLock(output.with_name(f"{output.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise AssistantError(
            f"another process is training the run {output.name!r}; wait until it has ended, {advice}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def adopt(domain: Domain, folder: Path, name: str) -> None:
    """Make a LoRA that was trained elsewhere on the domain's base model the one that answers."""
    from base_models import load
    from base_models.adopt import adopt_adapter

    output = domain.adapter(name)
    if output.exists():
        raise AssistantError(f"{domain.path} has an adapter {name!r} already; choose another name: --run NAME")
    adopt_adapter(folder, output, load(domain.settings.base_model))
    use(domain, name)


def merge(domain: Domain, name: str, output: Path, dtype: str) -> dict[str, Any]:
    """Merge a finished run into the base it was trained on, see :func:`base_models.merge_adapter`."""
    from base_models import merge_adapter

    folder = adapter_folder(domain, name)
    if not folder:
        raise AssistantError(f"{domain.path} answers with the base model; name the run to merge: --adapter NAME")
    return merge_adapter(domain.settings.base_model, folder, output, dtype)


def evaluate_domain(
    domain: Domain, adapter: str | None, count: int, again: bool, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Ask ``count`` held-out questions (0: all) and write the result to ``evaluations/``; or read it from there if
    nothing that it was made from has changed.

    ``adapter`` None is the :func:`candidate`. One that wins (``promotion.py``) is the one that answers from then on;
    ``result["promotion"]`` tells what was decided.
    """
    from assistant.indexing import calibrate
    from indexes import Index

    name = candidate(domain) if adapter is None else adapter
    reader = adapter_folder(domain, READER)
    if is_shipped(domain, name):
        name = ""
    questions = balanced(read_questions(domain.held_out_questions), count)
    if not questions:
        raise AssistantError(f"{domain.held_out_questions} holds no question, so there is nothing to ask.")
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
    from assistant.evaluation_plot import plot_evaluation
    from assistant.promotion import promote

    file = domain.evaluations / f"{name or 'base'}-{len(questions)}.json"
    picture = file.with_suffix(".png")
    if not again and (known := _known_result(file)) and known["inputs"] == inputs:
        if not picture.exists():
            plot_evaluation(known, picture)
        return known | {"promotion": promote(domain, known)}
    from assistant.assistant import Assistant
    from assistant.evaluation import evaluate

    assistant = Assistant.open(domain.path)
    result = {**evaluate(assistant, questions, name, progress), "inputs": inputs}
    assistant.close()
    write_text(file, json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    plot_evaluation(result, picture)
    return result | {"promotion": promote(domain, result)}


def balanced(questions: Sequence[Question], count: int) -> list[Question]:
    """``count`` of the questions (0: all), the same ones each time, with each language and each kind (answerable or
    not) in the share that it has in the file."""
    if not count or count >= len(questions):
        return list(questions)

    def kind(question: Question) -> tuple[str, bool]:
        return question.language or "", question.answerable

    placed: list[tuple[float, Question]] = []
    for _, group in groupby(sorted(questions, key=lambda q: (kind(q), sha256_of([q.id]))), key=kind):
        members = list(group)
        placed += [((position + 0.5) / len(members), question) for position, question in enumerate(members)]
    return [question for _, question in sorted(placed, key=lambda pair: pair[0])[:count]]


def _known_result(file: Path) -> dict[str, Any] | None:
    """An evaluation written before, or None if there is none or it is of another format."""
    if not file.is_file():
        return None
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # damaged: asking again writes it anew
        return None
    return result if result.get("format") == RESULT_FORMAT else None
