"""Texts with a class, or words with tags, become a classifier on an encoder: the data file, and the run.

    {"text": "12 乘以 30 是多少?", "label": "calculate"}                       a class for each text
    {"text": "几点关门?", "text_pair": "周日不开门。", "label": "no"}              a class for each pair of texts
    {"tokens": ["LoRA", "is", "small"], "tags": ["B-METHOD", "O", "O"]}        a tag for each word

A file holds one of the three (jsonl, json, csv, tsv, parquet; in tables lists are JSON). ``ner_tags`` is ``tags``.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base_models.classifier import Classified, encode_labelled, load_encoder, most_tokens
from base_models.loaded_model import LoadedModel
from domain import ClassifierConfig, is_text
from finetune.check import is_held_out
from finetune.data import Chosen
from finetune.errors import FinetuneError
from finetune.forecast import Forecast
from finetune.formats import listed
from finetune.read import Wrong, records
from finetune.report import RunReport
from finetune.run import train_on
from finetune.steps import Step

Text = str | tuple[str, str] | list[str]
"""A text, a pair of texts, or words."""


@dataclass
class LabelledFile:
    """What a file holds, in its order."""

    path: Path
    task: str = ""
    """SEQ_CLS or TOKEN_CLS."""
    texts: list[Text] = field(default_factory=list)
    labels: list[list[str]] = field(default_factory=list)
    """One class for each text, or a tag for each of its words."""

    def names(self) -> list[str]:
        """The classes, sorted."""
        return sorted({label for labels in self.labels for label in labels})

    def shares(self) -> dict[str, float]:
        """How often each class stands there, the most frequent first."""
        counts = Counter(label for labels in self.labels for label in labels)
        return {label: count / counts.total() for label, count in counts.most_common()}


def read_labelled(path: Path) -> LabelledFile:
    """Read a file of labelled texts; a :class:`FinetuneError` names the first record that cannot be learnt from."""
    file = LabelledFile(path)
    for place, record in records(path):
        try:
            if isinstance(record, Wrong):
                raise ValueError(record.problem)
            task, text, labels = _labelled(record)
            if file.texts and type(text) is not type(file.texts[0]):
                raise ValueError("another kind than the records before it: texts, pairs of texts, or words with tags")
        except ValueError as error:
            raise FinetuneError(f"{path}, {place}: {error}.") from None
        file.task = task
        file.texts.append(text)
        file.labels.append(labels)
    if not file.texts:
        raise FinetuneError(f"{path} holds no record, so there is nothing to learn from.")
    return file


def train_classifier(
    encoder: str,
    file: LabelledFile,
    output: Path,
    config: ClassifierConfig,
    on_step: Callable[[Step], None] | None = None,
    on_start: Callable[[Forecast], None] | None = None,
) -> RunReport:
    """Train a LoRA and a head on an encoder and write them to the folder ``output``; a run that was stopped goes on.

    ``config.held_out_share`` of the texts, chosen by their hash, are looked at on the way and not learnt from.
    """
    names = file.names()
    if len(names) < 2:
        raise FinetuneError(f"every label of {file.path} is {names[0]!r}; there is nothing to tell apart.")
    base = load_encoder(encoder, file.task, names)  # type: ignore[arg-type]
    return train_on(base, _chosen(base, file, config), output, config, on_step=on_step, on_start=on_start)


def held_out_of(file: LabelledFile, share: float) -> LabelledFile:
    """The part of a file that a run with this ``held_out_share`` does not learn from."""
    rows = [row for row in zip(file.texts, file.labels, strict=True) if _is_held_out(row[0], share)]
    return LabelledFile(file.path, file.task, [text for text, _ in rows], [labels for _, labels in rows])


def _chosen(base: LoadedModel, file: LabelledFile, config: ClassifierConfig) -> Chosen:
    numbers = {name: number for number, name in enumerate(base.labels)}
    length = min(config.max_length, most_tokens(base))
    examples: list[Classified] = []
    held_out: list[Classified] = []
    places: list[int] = []
    shortened = 0
    for place, (text, labels) in enumerate(zip(file.texts, file.labels, strict=True), start=1):
        example = encode_labelled(base.tokenizer, text, length, [numbers[label] for label in labels])
        if not example.targets:
            raise FinetuneError(f"{file.path}, record {place}: the encoder reads none of its words; leave it out.")
        if _is_held_out(text, config.held_out_share):
            held_out.append(example)
            continue
        examples.append(example)
        places.append(place)
        shortened += len(example.ids) == length
    if not examples or (config.held_out_share and not held_out):
        none = "none" if examples else "every one"
        raise FinetuneError(
            f"held_out_share={config.held_out_share:g} holds out {none} of the {len(file.texts)} records of "
            f"{file.path}; change it."
        )
    missing = set(base.labels) - {base.labels[n] for example in examples for n in example.labels if n >= 0}
    if missing:
        raise FinetuneError(
            f"{file.path}: {sorted(missing)[0]!r} would not be learnt, for all its records are held out, or lie beyond "
            "max_length; write more of them, or lower held_out_share."
        )
    return Chosen(examples, places, 0, 0, held_out, shortened)


def _is_held_out(text: Text, share: float) -> bool:
    """By the first text of a pair: what is said of one question with several passages is held out together."""
    first = text if isinstance(text, str) else text[0] if isinstance(text, tuple) else " ".join(text)
    return is_held_out([{"role": "user", "content": first}], share)


def _labelled(record: Any) -> tuple[str, Text, list[str]]:
    """Task, text and labels of one record; ValueError with what is wrong."""
    if not isinstance(record, dict):
        raise ValueError(f"a record must be an object, not {type(record).__name__}")
    key = "tags" if "tags" in record else "ner_tags"
    if "text" in record and "label" in record:
        for name in ("text", "text_pair"):
            text = record.get(name, record["text"])
            if not isinstance(text, str) or not text.strip() or not is_text(text):
                raise ValueError(f'"{name}" must be a text that is not empty and holds no half character')
        pair = (record["text"], record["text_pair"]) if "text_pair" in record else record["text"]
        return "SEQ_CLS", pair, [_name(record["label"], "label")]
    if "tokens" in record and key in record:
        words, tags = listed(record, "tokens"), listed(record, key)
        if len(words) != len(tags):
            raise ValueError(f"{len(words)} tokens and {len(tags)} tags; each token has one")
        if not all(isinstance(word, str) and word.strip() and is_text(word) for word in words):
            raise ValueError('"tokens" must be texts that are not empty and hold no half character')
        return "TOKEN_CLS", words, [_name(tag, key) for tag in tags]
    raise ValueError(
        f'neither "text" and "label" nor "tokens" and "tags", but {", ".join(map(str, record)) or "empty"}'
    )


def _name(label: object, key: str) -> str:
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip() or not is_text(str(label)):
        raise ValueError(f'"{key}" holds {label!r:.40}, which is no name of a class')
    return str(label).strip()
