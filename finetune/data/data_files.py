"""Reads data files: jsonl, json, csv, tsv, parquet and plain text, each record with its place in the file.

Invalid records are collected, so that ``lorewright data check`` can show all of them at once; a run refuses the file
with the first.
"""

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base_models.messages import Message
from finetune.data.record_formats import LAYOUTS, conversation
from finetune.errors import FinetuneError

KINDS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".md")


@dataclass(frozen=True)
class Unreadable:
    """Stands for a record that could not be read."""

    problem: str


@dataclass
class DataFile:
    """The conversations of one file, in its order, and the problems of its other records."""

    path: Path
    conversations: list[list[Message]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    """The place of each conversation: "line 3", "item 3", "row 3"."""
    layouts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    """One sentence for each invalid record, with file and place."""


def read_data(path: Path) -> list[list[Message]]:
    """The conversations of a data file, or a :class:`FinetuneError` with the first invalid record."""
    file = inspect_file(path)
    if file.problems:
        others = f" ({len(file.problems)} records have errors; to see them all, run: lorewright data check {path})"
        raise FinetuneError(file.problems[0] + (others if len(file.problems) > 1 else ""))
    if not file.conversations:
        raise FinetuneError(f"{path} has no records; add examples to it.")
    return file.conversations


def inspect_file(path: Path) -> DataFile:
    """All records of a file, valid and invalid; a :class:`FinetuneError` where the file cannot be read at all."""
    file = DataFile(path)
    for place, record in records(path):
        try:
            if isinstance(record, Unreadable):
                raise ValueError(record.problem)
            layout, messages = conversation(record)
        except ValueError as error:
            file.problems.append(f"{path}, {place}: {error}.")
        else:
            file.conversations.append(messages)
            file.places.append(place)
            file.layouts[layout] += 1
    return file


def records(path: Path) -> Iterator[tuple[str, Any]]:
    """Place and value of each record. The content of the file decides its format if it can, else its suffix."""
    if not path.is_file():
        raise FinetuneError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; give one data file.")
    kind = path.suffix.lower()
    with path.open("rb") as stream:
        if stream.read(4) == b"PAR1":
            return _rows_of_parquet(path)
    if kind not in KINDS or kind == ".parquet":
        raise FinetuneError(f"{path} has an unsupported format; use one of: {', '.join(KINDS)}.")
    data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    if kind in (".jsonl", ".json"):
        return _items_of_json(path, data) if data.lstrip()[:1] == b"[" else _lines_of_jsonl(data, whole=kind == ".json")
    text = _decoded(path, data)
    if kind in (".csv", ".tsv"):
        return _rows_of_csv(path, text, "\t" if kind == ".tsv" else ",")
    return iter([("line 1", {"text": text})] if text.strip() else [])


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FinetuneError(f"{path}, line {line}: not UTF-8 text ({error.reason}); save the file as UTF-8.") from None


def _items_of_json(path: Path, data: bytes) -> Iterator[tuple[str, Any]]:
    try:
        items = json.loads(_decoded(path, data))
    except json.JSONDecodeError as error:
        raise FinetuneError(
            f"{path}, line {error.lineno}, column {error.colno}: not valid JSON ({error.msg})."
        ) from None
    except RecursionError:
        raise FinetuneError(f"{path}: the JSON is nested too deeply for a list of records.") from None
    except ValueError as error:  # a number of thousands of digits
        raise FinetuneError(f"{path} cannot be read: {error}.") from None
    return ((f"item {number}", item) for number, item in enumerate(items, start=1))


def _lines_of_jsonl(data: bytes, whole: bool) -> Iterator[tuple[str, Any]]:
    """One value a line; with ``whole`` first tried as one value over all lines."""
    if whole:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):  # read it as lines, whose errors name the line
            pass
        else:
            yield from _items_within(value)
            return
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield f"line {number}", _decoded_line(line)


def _items_within(value: Any) -> Iterator[tuple[str, Any]]:
    """The records under the one key that holds a list of them, ``{"version": 1, "data": [...]}``; else the value."""
    lists = {
        key: items
        for key, items in (value.items() if isinstance(value, dict) else ())
        if isinstance(items, list) and items and all(isinstance(item, dict) for item in items)
    }
    is_record = isinstance(value, dict) and any(all(key in value for key in keys) for keys, _ in LAYOUTS.values())
    if len(lists) != 1 or is_record:
        yield "item 1", value
        return
    ((key, items),) = lists.items()
    yield from ((f'"{key}", item {number}', item) for number, item in enumerate(items, start=1))


def _decoded_line(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Unreadable(f"not UTF-8 text ({error.reason}); save the file as UTF-8")
    except json.JSONDecodeError as error:
        return Unreadable(f"not valid JSON at column {error.colno} ({error.msg})")
    except RecursionError:
        return Unreadable("the JSON is nested too deeply for a record")
    except ValueError as error:  # a number of thousands of digits
        return Unreadable(f"cannot be read ({error})")


def _rows_of_csv(path: Path, text: str, delimiter: str) -> Iterator[tuple[str, Any]]:
    """Rows below a line of column names; empty cells are absent keys. A cell may hold a whole article."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 2
    try:
        for row in reader:
            if None in row or None in row.values():
                yield (
                    f"line {line}",
                    Unreadable(f"the row must have {len(reader.fieldnames or ())} cells, like the first line"),
                )
            else:
                yield f"line {line}", {key: value if value != "" else None for key, value in row.items()}
            line = reader.line_num + 1
    except csv.Error as error:
        raise FinetuneError(f"{path}, line {line}: not valid CSV ({error}).") from None


def _rows_of_parquet(path: Path) -> Iterator[tuple[str, Any]]:
    from pyarrow import ArrowException, parquet

    try:
        batches = parquet.ParquetFile(path).iter_batches()
        number = 0
        for batch in batches:
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", row
    except (ArrowException, OSError, OverflowError) as error:
        raise FinetuneError(f"{path}: not a readable parquet file ({str(error).splitlines()[0]}).") from None
