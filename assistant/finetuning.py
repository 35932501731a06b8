"""Fine-tunes a domain's adapter, and detects that a run is already finished.

A finished run stores the hashes of its inputs. They are compared before anything heavy is imported, so asking again for
a finished run returns at once.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.domain_adapters import adapter_folder, use
from assistant.errors import AssistantError
from assistant.inputs import check_documents, resolved, start_of, training_inputs
from assistant.progress import Progress
from base_models import CATALOGUE, ModelError, fingerprint
from base_models.adapter_manifest import read_manifest
from domain import Domain, FinetuneConfig, read_questions

if TYPE_CHECKING:
    from base_models.messages import Message
    from finetune import Forecast, RunReport, Step


def is_finished(domain: Domain, run: str, config: FinetuneConfig) -> bool:
    """Whether the run is finished and its inputs are unchanged."""
    try:
        manifest = read_manifest(domain.adapter(run))
    except ModelError:
        return False
    start = start_of(domain, config)
    wanted = json.loads(json.dumps(resolved(config).model_dump()))
    was = {**json.loads(FinetuneConfig().model_dump_json()), **manifest["config"]}  # older runs lack newer settings
    return (manifest["inputs"], was) == (training_inputs(domain, config, start), wanted)


def with_base_model(domain: Domain, name_or_path: str) -> Domain:
    """The domain with another chat model, a name of the catalogue or a folder; domain.toml is unchanged."""
    fingerprint(name_or_path)  # raises an error that explains a wrong name or folder
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

    The finished adapter is in ``adapters/RUN/``. It is a candidate: :func:`evaluate_domain` promotes it if it is shown
    to be better. Returns the report of the run, and the number of unanswerable questions left out to keep refusals
    rare. Also fits the refusal thresholds to the questions, unless ``calibrated`` is false.
    """
    from assistant.answering.prompts import Prompts
    from assistant.indexing import calibrate
    from assistant.training_examples import training_conversations
    from finetune import FinetuneError, choose_examples, finetune, load_base
    from finetune.data.mixing import mixed, named_source
    from finetune.replay import replayed
    from indexes import Index

    output = domain.adapter(run)
    questions = read_questions(domain.train_questions)
    sources = [named_source(entry, domain.path) for entry in config.data]
    if config.from_adapter == run:
        raise FinetuneError(f"the run {run!r} cannot continue from itself; name the new run with --run NAME.")
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
            f"{domain.train_questions} has no answerable questions to train on; "
            "write questions with their answers into it (README shows how)."
        )
    examples = mixed(conversations, sources, config.seed)
    learnt = len(choose_examples(base.tokenizer, examples, config).examples)  # raises an error if there are none
    replay = round(learnt * config.replay_share / (1 - config.replay_share))
    general: list[list[Message]] = []
    with only_trainer(output):
        if replay:
            general = replayed(base, replay, progress)
            if config.quantization != "none":  # generating may leave packed weights in a layout that cannot be trained
                base = load_base(domain.settings.base_model, config)
        report = finetune(base, examples, output, config, inputs, on_step, start, on_start, general)
    return report, len(questions) - len(conversations)


@contextmanager
def only_trainer(output: Path, advice: str = "or choose another name with --run NAME") -> Iterator[None]:
    """Lock a run: two processes that train it would overwrite each other's checkpoints, so the second is refused."""
    from filelock import FileLock, Timeout

    output.parent.mkdir(exist_ok=True)
    if not os.access(output.parent, os.W_OK):
        raise AssistantError(f"{output.parent} is not writable; choose another folder.")
    lock = FileLock(output.with_name(f"{output.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise AssistantError(
            f"another process is training the run {output.name!r}; wait until it ends, {advice}."
        ) from None
    try:
        yield
    finally:
        lock.release()


def adopt(domain: Domain, folder: Path, name: str) -> None:
    """Add a LoRA that was trained elsewhere on the domain's base model, and let it answer."""
    from base_models import load
    from base_models.adopt import adopt_adapter

    output = domain.adapter(name)
    if output.exists():
        raise AssistantError(f"{domain.path} already has an adapter {name!r}; choose another name with --run NAME.")
    adopt_adapter(folder, output, load(domain.settings.base_model))
    use(domain, name)


def merge(domain: Domain, name: str, output: Path, dtype: str) -> dict[str, Any]:
    """Merge a finished run into the base it was trained on, see :func:`base_models.merge_adapter`."""
    from base_models import merge_adapter

    folder = adapter_folder(domain, name)
    if not folder:
        raise AssistantError(f"{domain.path} has no active adapter; name the run to merge with --adapter NAME.")
    return merge_adapter(domain.settings.base_model, folder, output, dtype)
