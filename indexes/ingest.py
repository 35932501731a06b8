"""Splits, embeds and stores documents; used for files of the folder and for added texts."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from indexes.dictionary import Dictionary
from indexes.errors import IndexingError
from indexes.migrations import embedding_key
from indexes.quality import checked
from indexes.readers import Extracted
from indexes.splitting import Piece, split
from indexes.storage import BuiltWith, read_built_with, save_built_with, transaction
from indexes.writing import Record, Writer, forget_unstored, keep_unstored, stored_vectors, unstored_vectors

if TYPE_CHECKING:
    from base_models.embedding import Embedder

SLICE = 256
"""Passages embedded per batch, about ten seconds of work on two cores: the most that an interruption loses."""


@dataclass(frozen=True)
class Tools:
    """The settings, dictionary and embedder that an index is built with."""

    built_with: BuiltWith
    dictionary: Dictionary
    embedder: "Callable[[], Embedder]"
    """Called only if something must be embedded."""
    old: sqlite3.Connection | None = None
    """Another index of the same embedder, from which vectors are reused."""
    forgotten: dict[bytes, bytes] = field(default_factory=dict)
    """Vectors of documents removed during this update, by embedding key."""


@dataclass(frozen=True)
class Divided:
    """A document split into passages that are not embedded yet."""

    record: Record
    document: Extracted
    pieces: list[Piece]


def divide(record: Record, document: Extracted, tools: Tools) -> Divided:
    """Split a document into passages. Raises :class:`IndexingError` if the text of a file is garbled."""
    if not record.given:
        document = checked(document)
    pieces: list[Piece] = []
    if document.blocks:
        embedder = tools.embedder()
        pieces = split(document, embedder.token_offsets, tools.built_with.passage_tokens, embedder.max_tokens)
    return Divided(record, document, pieces)


def embed_and_store(
    connection: sqlite3.Connection, group: Sequence[Divided], tools: Tools, advance: Callable[[float], object]
) -> None:
    """Embed the passages whose text has no vector yet, then store the documents, one transaction each.

    A stored document with the same path is replaced. ``advance`` receives the embedded share of the texts. Vectors of
    files are saved after each batch, so that an interrupted book continues where it stopped; a program can add its
    texts in smaller calls.
    """
    given = any(divided.record.given for divided in group)
    texts = {embedding_key(piece.embedded): piece.embedded for divided in group for piece in divided.pieces}
    vectors = stored_vectors(connection, texts)
    vectors |= {key: tools.forgotten[key] for key in texts if key in tools.forgotten}
    if tools.old:
        vectors |= stored_vectors(tools.old, texts.keys() - vectors.keys())
    vectors |= unstored_vectors(connection, tools.built_with.fingerprint, texts.keys() - vectors.keys())
    new = [key for key in texts if key not in vectors]
    done = 0

    def count(newly: int) -> None:
        nonlocal done
        done += newly
        advance(done / len(new))

    for start in range(0, len(new), SLICE):
        part = new[start : start + SLICE]
        rows = tools.embedder().encode_passages([texts[key] for key in part], count)
        embedded = {key: row.tobytes() for key, row in zip(part, np.asarray(rows, np.float32), strict=True)}
        vectors |= embedded
        if start + SLICE < len(new) and not given:
            keep_unstored(connection, tools.built_with.fingerprint, embedded)
    writer = Writer(connection, tools.dictionary)
    for divided in group:
        rows_of_document = [vectors[embedding_key(piece.embedded)] for piece in divided.pieces]
        with transaction(connection):
            stored = connection.execute(
                "SELECT id FROM documents WHERE given = ? AND path = ?", (divided.record.given, divided.record.path)
            ).fetchone()
            if stored:
                writer.forget(stored[0], tools.forgotten)
            writer.store(divided.record, divided.document, divided.pieces, rows_of_document)
    forget_unstored(connection, texts)


def difference(stored: dict[str, object], now: BuiltWith) -> str:
    """Why an index built with ``stored`` cannot be used now, as a clause; empty if it can."""
    if stored["fingerprint"] != now.fingerprint:
        if stored["embedder"] != now.embedder:
            return f"was built with the embedder {stored['embedder']}, but domain.toml names {now.embedder}"
        return f"was built with different weights of the embedder {now.embedder}"
    if stored["passage_tokens"] != now.passage_tokens:
        return f"was built with passage_tokens = {stored['passage_tokens']}, but it is {now.passage_tokens} now"
    if (stored["splitter"], stored["segmenter"]) != (now.splitter, now.segmenter):
        return "was built by another version of Lorewright, which splits texts differently"
    if stored.get("dictionary", "") != now.dictionary:
        return "was built with a different dictionary.txt"
    return ""


def prepare(connection: sqlite3.Connection, tools: Tools, command: str) -> None:
    """Record the settings of an empty index; raise :class:`IndexingError` if an index was built with other settings."""
    stored = read_built_with(connection)
    if connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None:
        with transaction(connection):
            save_built_with(connection, tools.built_with)
    elif why := difference(stored, tools.built_with):
        raise IndexingError(f"The index {why}; rebuild it with: {command} --rebuild")
