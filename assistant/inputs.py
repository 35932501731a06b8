"""Hashes of the inputs of a run or an evaluation: if none has changed, it need not be repeated."""

import hashlib
import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.domain_adapters import finished_adapter
from assistant.errors import AssistantError
from base_models import fingerprint
from base_models.adapter_manifest import read_manifest
from base_models.reader import reader_of
from domain import Domain, DomainError, FinetuneConfig, Question

if TYPE_CHECKING:
    from indexes import Index


def inputs_of(domain: Domain, questions: Path) -> dict[str, str]:
    """Hashes of the inputs of training examples and evaluations: questions, index, prompts, base model."""
    from assistant.answering.prompts import Prompts
    from indexes import Index

    if not questions.is_file():
        raise DomainError(
            f"{questions} does not exist; write one question with its answer per line into it (README shows how)."
        )
    with Index.open(domain) as index:
        generation = index.generation
    return {
        "questions": hashlib.sha256(questions.read_bytes()).hexdigest(),
        "index": generation,
        "retrieval": domain.settings.retrieval.model_dump_json(),
        "prompts": Prompts(domain).sha256(),
        "base_model": fingerprint(domain.settings.base_model),
    }


def training_inputs(domain: Domain, config: FinetuneConfig, start: Path | None) -> dict[str, str]:
    """:func:`inputs_of` the training questions, plus hashes of other data files and of the adapter to start from."""
    inputs = inputs_of(domain, domain.train_questions)
    if config.data:
        from finetune.data.mixing import named_source

        for entry in config.data:
            path, _ = named_source(entry, domain.path)
            inputs[f"data {entry}"] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    if start:
        inputs["from_adapter"] = read_manifest(start)["adapter_sha256"]
    return inputs


def start_of(domain: Domain, config: FinetuneConfig) -> Path | None:
    """The adapter that a run starts from: a finished run, or the shipped reader if this run has its shapes."""
    if config.from_adapter:
        return None if config.from_adapter == "base" else finished_adapter(domain, config.from_adapter)
    reader = reader_of(domain.settings.base_model)
    if not reader or config.method != "lora" or config.target_modules or config.init_lora_weights != "default":
        return None
    shapes = json.loads((reader / "adapter_config.json").read_text(encoding="utf-8"))
    same = all(shapes[name] == getattr(config, name) for name in ("r", "lora_alpha", "use_rslora", "use_dora"))
    return reader if same else None


def resolved(config: FinetuneConfig) -> FinetuneConfig:
    """The configuration that :mod:`finetune` takes, where an empty ``from_adapter`` means no adapter to start from."""
    return config.model_copy(update={"from_adapter": ""}) if config.from_adapter == "base" else config


def check_documents(index: "Index", questions: Sequence[Question], file: Path) -> None:
    """Refuse a gold document that is not in the index: it would count as never found."""
    known = index.documents()
    for question in questions:
        if question.document and question.document not in known:
            near = get_close_matches(question.document, known, n=1, cutoff=0.6)
            raise AssistantError(
                f"{file}: the question {question.id!r} names the document {question.document!r}, which is not in the "
                f"index{f'; did you mean {near[0]!r}?' if near else ''} "
                f"(if documents changed, run: {index.domain.command('index')})"
            )


def sha256_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
