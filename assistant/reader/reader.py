"""The reader: an adapter trained to answer from passages before it sees the documents of a domain.

    reading data -> a domain of its paragraphs -> its index -> examples -> a run -> scores

A user's own domain goes through the same steps (``index``, ``finetune``); only the questions come from reading data
(``reading_data.py``). The scores measure the model alone: its own text, without quotes or evidence-based refusals.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.answering.facts import missing_facts
from assistant.answering.pipeline import Asked, search, show
from assistant.answering.prompts import Prompts
from assistant.evaluation.metrics import bootstrap, ratio
from assistant.evaluation.sampling import balanced
from assistant.finetuning import tune
from assistant.models.chat_model import LocalChatModel
from assistant.progress import Progress
from assistant.reader.reading_data import ReadingQuestion, of_some_titles, write_reading_domain
from domain import Domain, FinetuneConfig, read_questions
from indexes import Index, language_of

if TYPE_CHECKING:
    from finetune import Forecast, RunReport, Step

RUN = "reader"


def reading_domain(
    folder: Path,
    base_model: str,
    train: Sequence[ReadingQuestion],
    held_out: Sequence[ReadingQuestion],
    questions: int,
    seed: int,
    progress: Progress = lambda *_: None,
) -> Domain:
    """Create and index a domain of about ``questions`` questions in ``folder``; an existing one is reused as it is."""
    if (folder / "domain.toml").is_file():
        domain = Domain.open(folder)
    else:
        domain = write_reading_domain(folder, base_model, of_some_titles(train, questions, seed), held_out)
    with Index.open(domain) as index:
        index.update(progress=lambda done, total, _: progress("indexing (bytes)", done, total))
    return domain


def train_reader(
    domain: Domain,
    config: FinetuneConfig,
    progress: Progress = lambda *_: None,
    on_step: "Callable[[Step], None] | None" = None,
    on_start: "Callable[[Forecast], None] | None" = None,
) -> "RunReport":
    """Train the adapter ``adapters/reader`` of a reading-data domain. After an interruption, the same call resumes."""
    report, _ = tune(domain, RUN, config, progress, on_step, on_start, calibrated=False)
    return report


def measure_reader(domain: Domain, adapter: str, count: int, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Ask the model alone ``count`` held-out questions (0: all); returns shares with 95 % bootstrap intervals.

    Answerable questions: the shares of answers that are right (by facts), wrong, refused, and in the language of the
    question. Unanswerable questions: the share refused. Answerable questions without facts are skipped. An empty
    ``adapter`` is the base model.
    """
    prompts = Prompts(domain)
    asked_of = [one for one in read_questions(domain.held_out_questions) if one.facts or not one.answerable]
    questions = balanced(asked_of, count)
    with Index.open(domain) as index:
        asked = list(map(Asked.of, questions))
        found = [show(index, passages[: domain.settings.retrieval.k]) for passages in search(index, asked)]
    llm = LocalChatModel(
        model=domain.settings.base_model,
        engine=domain.settings.engine,
        adapter=domain.adapter(adapter) if adapter else None,
        max_tokens=domain.settings.answer.max_new_tokens,
        repetition_penalty=domain.settings.answer.repetition_penalty,
    )
    messages = [prompts.answering(one, passages) for one, passages in zip(asked, found, strict=True)]
    said = [one.text for one in llm.answer_many(messages, lambda done: progress("asking", done, len(messages)))]
    rows: dict[str, list[float]] = {"right": [], "wrong": [], "refused": [], "language": [], "refused unanswerable": []}
    for question, answer in zip(questions, said, strict=True):
        refused = prompts.is_refusal(answer)
        if not question.answerable:
            rows["refused unanswerable"].append(float(refused))
            continue
        right = not refused and not missing_facts(answer, question.facts)
        rows["right"].append(float(right))
        rows["refused"].append(float(refused))
        rows["wrong"].append(float(not right and not refused))
        rows["language"].append(float(language_of(answer) == language_of(question.text)))
    return {kind: bootstrap([(value, 1) for value in values], ratio) for kind, values in rows.items() if values}
