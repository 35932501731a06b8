"""Files of labelled texts or tagged words, for classifiers.

    {"text": "12 乘以 30 是多少?", "label": "calculate"}                       a class for each text
    {"text": "几点关门?", "text_pair": "周日不开门。", "label": "no"}              a class for each pair of texts
    {"tokens": ["LoRA", "is", "small"], "tags": ["B-METHOD", "O", "O"]}        a tag for each word

A file holds one of the three (jsonl, json, csv, tsv, parquet; in tables lists are JSON). ``ner_tags`` is ``tags``.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain import is_text
from finetune.data.data_check import is_held_out
from finetune.data.data_files import Unreadable, records
from finetune.data.record_formats import json_list
from finetune.errors import FinetuneError

Text = str | tuple[str, str] | list[str]
"""A text, a pair of texts, or words."""


@dataclass
class LabelledFile:
    """The records of a file, in its order."""

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
        """The relative frequency of each class, the most frequent first."""
        counts = Counter(label for labels in self.labels for label in labels)
        return {label: count / counts.total() for label, count in counts.most_common()}


def read_labelled(path: Path) -> LabelledFile:
    """Read a file of labelled texts; a :class:`FinetuneError` names the first invalid record."""
    file = LabelledFile(path)
    for place, record in records(path):
        try:
            if isinstance(record, Unreadable):
                raise ValueError(record.problem)
            task, text, labels = _labelled(record)
            if file.texts and type(text) is not type(file.texts[0]):
                raise ValueError(
                    "the record is of another kind than the ones before it: texts, pairs of texts, or tagged words"
                )
        except ValueError as error:
            raise FinetuneError(f"{path}, {place}: {error}.") from None
        file.task = task
        file.texts.append(text)
        file.labels.append(labels)
    if not file.texts:
        raise FinetuneError(f"{path} has no records; add labelled texts to it.")
    return file


def held_out_of(file: LabelledFile, share: float) -> LabelledFile:
    """The part of a file that a run with this ``held_out_share`` does not train on."""
    rows = [row for row in zip(file.texts, file.labels, strict=True) if is_text_held_out(row[0], share)]
    return LabelledFile(file.path, file.task, [text for text, _ in rows], [labels for _, labels in rows])


def is_text_held_out(text: Text, share: float) -> bool:
    """Decided by the first text of a pair, so that the pairs of a question with several passages stay together."""
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
                raise ValueError(f'"{name}" must be a non-empty string without lone surrogates')
        pair = (record["text"], record["text_pair"]) if "text_pair" in record else record["text"]
        return "SEQ_CLS", pair, [_name(record["label"], "label")]
    if "tokens" in record and key in record:
        words, tags = json_list(record, "tokens"), json_list(record, key)
        if len(words) != len(tags):
            raise ValueError(f"{len(words)} tokens but {len(tags)} tags; give one tag per token")
        if not all(isinstance(word, str) and word.strip() and is_text(word) for word in words):
            raise ValueError('"tokens" must be non-empty strings without lone surrogates')
        return "TOKEN_CLS", words, [_name(tag, key) for tag in tags]
    raise ValueError(
        f'the keys must be "text" and "label", or "tokens" and "tags", not {", ".join(map(str, record)) or "none"}'
    )


def _name(label: object, key: str) -> str:
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip() or not is_text(str(label)):
        raise ValueError(f'"{key}" contains {label!r:.40}, which is not a class name (a string or an integer)')
    return str(label).strip()
