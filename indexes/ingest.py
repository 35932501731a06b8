"""A document that was read becomes passages with vectors in the tables: what a folder and a program's texts share."""

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
"""Passages embedded at a time, about ten seconds of work on two cores: an interruption costs no more."""


@dataclass(frozen=True)
class Tools:
    """What passages and vectors are made with."""

    built_with: BuiltWith
    dictionary: Dictionary
    embedder: "Callable[[], Embedder]"
    """Called only when something must be embedded."""
    old: sqlite3.Connection | None = None
    """Another index with vectors of the same embedder, which need not be computed again."""
    forgotten: dict[bytes, bytes] = field(default_factory=dict)
    """Vectors, by embedding key, of documents that were removed during this update."""


@dataclass(frozen=True)
class Divided:
    """A document in passages, which wait for their vectors."""

    record: Record
    document: Extracted
    pieces: list[Piece]


def divide(record: Record, document: Extracted, tools: Tools) -> Divided:
    """The passages of a document. Raises :class:`IndexingError` where the text of a file is garbled."""
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
    """Embed all passages whose text was never embedded; then store the documents, one transaction each.

    A document of the same path that is stored is replaced. ``advance`` is told which share of the texts is embedded.
    Vectors of files are kept from slice to slice, so that an interrupted book is not begun again; a program can give
    its texts in parts.
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
    """Why an index that was built with ``stored`` cannot be used now, as a clause; empty when it can."""
    if stored["fingerprint"] != now.fingerprint:
        if stored["embedder"] != now.embedder:
            return f"was made with the embedder {stored['embedder']}, but domain.toml names {now.embedder}"
        return f"was made with other weights of the embedder {now.embedder}"
    if stored["passage_tokens"] != now.passage_tokens:
        return f"was made with passage_tokens = {stored['passage_tokens']}, and it is {now.passage_tokens} now"
    if (stored["splitter"], stored["segmenter"]) != (now.splitter, now.segmenter):
        return "was made by another version of Lorewright, which divided texts differently"
    if stored.get("dictionary", "") != now.dictionary:
        return "was made with other words in dictionary.txt"
    return ""


def prepare(connection: sqlite3.Connection, tools: Tools, command: str) -> None:
    """Note what an empty index is built with; raises :class:`IndexingError` where another one was built otherwise."""
    stored = read_built_with(connection)
    if connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None:
        with transaction(connection):
            save_built_with(connection, tools.built_with)
    elif why := difference(stored, tools.built_with):
        raise IndexingError(f"The index {why}. Make it again with: {command} --rebuild")
