"""Stores texts that a program adds to an index, beside the files of its folder.

Each text has an id chosen by the caller, and metadata. It is split, embedded and searched like a file. A text whose id
already exists replaces the stored one. An update of the folder does not change added texts, and a rebuild keeps them.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from domain import is_text
from indexes.errors import IndexingError
from indexes.ingest import Divided, Tools, divide, embed_and_store
from indexes.readers.text.plain import divide_plain
from indexes.storage import transaction
from indexes.writing import Record, Writer


@dataclass(frozen=True)
class GivenText:
    """An added text with its id and metadata (JSON values)."""

    id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


def add_given(connection: sqlite3.Connection, texts: Sequence[GivenText], tools: Tools) -> bool:
    """Store the texts, one transaction each; return whether any replaced a stored one.

    Raises :class:`IndexingError` for an invalid text, before anything is stored.
    """
    group = [_divided(text, tools) for text in {text.id: text for text in texts}.values()]
    replaced = bool(read_given(connection, [divided.record.path for divided in group]))
    embed_and_store(connection, group, tools, lambda _share: None)
    Writer(connection, tools.dictionary).erase_traces()
    return replaced


def delete_given(connection: sqlite3.Connection, ids: Sequence[str] | None, tools: Tools) -> int:
    """Remove these texts, or all of them, in one transaction; return the number removed. Unknown ids are ignored."""
    writer = Writer(connection, tools.dictionary)
    with transaction(connection):
        stored = dict(connection.execute("SELECT path, id FROM documents WHERE given = 1"))
        found = list(stored.values()) if ids is None else [stored[id_] for id_ in set(ids) & stored.keys()]
        for document_id in found:
            writer.forget(document_id)
    writer.erase_traces()
    return len(found)


def read_given(connection: sqlite3.Connection, ids: Sequence[str] | None = None) -> list[GivenText]:
    """The texts with these ids, in their order, without missing ones; all texts if ``ids`` is None."""
    columns = "SELECT path, text, metadata FROM documents WHERE given = 1"
    if ids is None:
        rows = connection.execute(f"{columns} ORDER BY id").fetchall()
    else:
        valid = [id_ for id_ in ids if isinstance(id_, str) and is_text(id_)]
        rows = [row for id_ in valid for row in connection.execute(f"{columns} AND path = ?", (id_,))]
    return [GivenText(id_, text, json.loads(metadata)) for id_, text, metadata in rows]


def _divided(given: GivenText, tools: Tools) -> Divided:
    if not (isinstance(given.text, str) and is_text(given.text) and is_text(given.id) and given.id):
        raise IndexingError(f"the text {given.id!r} or its id is empty or contains a lone surrogate.")
    try:
        metadata = json.dumps(dict(given.metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise IndexingError(f"the metadata of the text {given.id!r} cannot be written as JSON: {error}.") from None
    data, now = given.text.encode(), time.time_ns()
    record = Record(given.id, True, len(data), -1, now, now, hashlib.sha256(data).hexdigest(), metadata)
    return divide(record, replace(divide_plain(given.text), format="plain"), tools)
