"""``index/vectors.faiss``: a cache of the vectors in SQLite, ready for FAISS. Losing it loses a moment, no passage.

The file is what ``faiss.write_index`` writes, followed by a trailer: which index and generation it was made of, and the
SHA-256 of everything before. FAISS does not check what it reads, so nothing is given to it that fails the hash.
A passage's id is never used again and its vector never changes, so a cache of any generation of the same index
is brought up to date by dropping the ids that are gone and adding those that are new.

``approximate.py`` says when vectors are compared one by one, and what is done with more of them.
"""

import hashlib
import os
import sqlite3
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from domain import whole_file
from indexes.approximate import OVERFETCH, build, faiss_module, ids_in, is_approximate, outgrown, parts
from indexes.cross_language import language_direction, passage_languages
from indexes.storage import read_built_with

_TRAILER = struct.Struct("<8s32sqd32s")
_MAGIC = b"LOREVEC2"

SMALL_ADDITION = 0.01
"""A file that lacks no more than this share of the passages is good enough: reading the few takes no time."""

ONE_BY_ONE = 5_000
"""A filter that leaves no more passages than these has their vectors read from SQLite and compared."""

SAMPLE = 1_000
"""Passages by which one tells what a cosine with a question is worth."""

State = tuple[str, int]
"""Identity and generation of an index: equal where the passages are."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]
_NO_VECTORS: Vectors = np.empty((0, 0), np.float32)


class VectorCache:
    """Nearest passages by inner product; may be shared between threads."""

    def __init__(self, path: Path, ask: Callable[[sqlite3.Connection], Vectors]) -> None:
        """``ask`` gives vectors of some questions that the passages answer, to measure an approximate search with."""
        self.path = path
        self._ask = ask
        self._lock = threading.Lock()
        self._state: State = ("", -1)
        self._index: Any = None
        self._ids = np.empty(0, np.int64)
        self._recall = 1.0
        self._trailer = b""
        """Of the file as it was read or written here; one with another trailer holds what somebody else put there."""
        self._added = self._removed = 0
        """Passages in memory that that file lacks, and in it that are gone."""
        self._damaged = False
        self._sample, self._sample_state = _NO_VECTORS, self._state
        self._direction: Vectors | None = None

    def search(
        self, connection: sqlite3.Connection, queries: Vectors, count: int, among: np.ndarray | None = None
    ) -> list[list[int]]:
        """For each row of ``queries`` (float32 [n, d]) the ids of the ``count`` nearest passages, the best first.

        The passages are those of the snapshot that ``connection`` reads, or of them the ones in ``among`` (ids). Where
        the search is approximate more than ``count`` come back, for whoever has the exact vectors to choose from.
        """
        if among is not None and len(among) <= ONE_BY_ONE:
            return _compared_one_by_one(connection, queries, count, among)
        with self._lock:
            self._synchronise(connection)
            if self._index is None or self._index.ntotal == 0:
                return [[] for _ in queries]
            faiss = faiss_module()
            chosen = {"sel": faiss.IDSelectorBatch(among)} if among is not None else {}
            if is_approximate(self._index):
                count *= OVERFETCH
                parameters = faiss.SearchParametersIVF(nprobe=self._index.nprobe, **chosen)
            else:
                parameters = faiss.SearchParameters(**chosen)
            wanted = np.ascontiguousarray(queries, np.float32)
            most = min(count, self._index.ntotal if among is None else len(among))
            _, ids = self._index.search(wanted, most, params=parameters)
            if is_approximate(self._index) and (ids < 0).any():  # the lists looked at hold too few: look into all
                parameters.nprobe = self._index.nlist
                _, ids = self._index.search(wanted, most, params=parameters)
        return [[int(passage) for passage in row if passage >= 0] for row in ids]

    def sample(self, connection: sqlite3.Connection) -> tuple[Vectors, Vectors | None]:
        """Vectors of :data:`SAMPLE` passages of the whole index or more, evenly chosen; all where there are fewer.

        And their :func:`indexes.cross_language.language_direction`.
        """
        with self._lock:
            self._synchronise(connection)
            if self._sample_state != self._state:
                ids = self._ids[:: max(1, len(self._ids) // SAMPLE)]
                self._sample = read_vectors(connection, ids) if len(ids) else _NO_VECTORS
                languages = passage_languages(connection, ids)
                self._direction = language_direction(self._sample, languages) if len(ids) else None
                self._sample_state = self._state
            return self._sample, self._direction

    def describe(self, connection: sqlite3.Connection) -> str:
        """How the passages are searched, for people."""
        with self._lock:
            self._synchronise(connection)
            if self._index is None or not is_approximate(self._index):
                return "exact: every vector is compared"
            return (
                f"approximate: {self._index.nprobe} of {self._index.nlist} lists of vectors are looked at, which found "
                f"{100 * self._recall:.1f} % of the ten nearest when they were made (recall@10 against exact search)"
            )

    def save(self, connection: sqlite3.Connection) -> None:
        """Write the file unless it is up to date; only who holds the update lock may call this.

        ``connection`` must see the present state: an older one has vectors of what is deleted by now. Where the file
        cannot be written, on a full disk for example, nothing is lost: searches go on from SQLite.
        """
        with self._lock:
            if not self._damaged and _state_in(self._trailer_of_file()) == _state(connection):
                return
            self._synchronise(connection)
            if self.is_saved():
                return
            with suppress(OSError):
                if self._index is None:
                    self.path.unlink(missing_ok=True)
                    self._file_is(b"")
                    return
                data = faiss_module().serialize_index(self._index)
                identity, generation = self._state
                head = _TRAILER.pack(_MAGIC, identity.encode(), generation, self._recall, bytes(32))[:-32]
                digest = hashlib.sha256(data)
                digest.update(head)
                trailer = head + digest.digest()
                with whole_file(self.path) as partial, partial.open("wb") as file:
                    file.write(data)
                    file.write(trailer)
                self._file_is(trailer)

    def is_saved(self) -> bool:
        """Whether the file holds what was searched last or came after it, but for a few additions."""
        trailer = self._trailer_of_file()
        identity, generation = _state_in(trailer)
        if self._damaged or identity != self._state[0]:
            return False
        if generation >= self._state[1]:
            return True
        # what was removed must also leave the file: its vectors tell about the text
        return trailer == self._trailer and not self._removed and self._added <= SMALL_ADDITION * len(self._ids)

    def _synchronise(self, connection: sqlite3.Connection) -> None:
        state = _state(connection)
        if state == self._state:
            return
        if state[0] != self._state[0]:
            self._load(state[0])
        rows = connection.execute("SELECT id FROM passages INDEXED BY kept WHERE same_as IS NULL ORDER BY id")
        wanted = np.fromiter((row[0] for row in rows), np.int64)
        gone = np.setdiff1d(self._ids, wanted, assume_unique=True)
        new = np.setdiff1d(wanted, self._ids, assume_unique=True)
        # one of which nothing stays may be another embedder's, with vectors of another length
        if self._index is None or len(gone) == len(self._ids) or outgrown(self._index, len(wanted)):
            self._index, self._recall = build(
                wanted, lambda ids: read_vectors(connection, ids), lambda: self._ask(connection)
            )
            self._added = len(wanted)  # another index than the file's, however few passages are new
        else:
            if len(gone):
                self._index.remove_ids(gone)
            for part in parts(new):
                self._index.add_with_ids(read_vectors(connection, part), part)
            self._added += len(new)
        self._removed += len(gone)
        self._ids = wanted
        self._state = state

    def _load(self, identity: str) -> None:
        """Take the index in the file; none where it is missing, damaged or another index's."""
        self._index, self._ids, self._recall = None, np.empty(0, np.int64), 1.0
        self._file_is(b"")
        if _state_in(self._trailer_of_file())[0] != identity:
            return
        try:
            content = np.fromfile(self.path, np.uint8)
        except OSError:  # another process emptied the index just now
            return
        self._file_is(content[-_TRAILER.size :].tobytes())
        self._damaged = hashlib.sha256(content[:-32].data).digest() != content[-32:].tobytes()
        if not self._damaged:
            self._index = faiss_module().deserialize_index(content[: -_TRAILER.size])
            self._recall = _TRAILER.unpack(self._trailer)[3]
            self._ids = ids_in(self._index)

    def _file_is(self, trailer: bytes) -> None:
        """The file has this trailer (none: empty) and holds what is in memory."""
        self._trailer, self._added, self._removed, self._damaged = trailer, 0, 0, False

    def _trailer_of_file(self) -> bytes:
        """The last bytes of the file as it is now; empty where there is none."""
        try:
            with self.path.open("rb") as file:
                file.seek(-_TRAILER.size, os.SEEK_END)
                return file.read()
        except OSError:
            return b""


def _state_in(trailer: bytes) -> State:
    """What a file with this trailer was made of; ``("", -1)`` where it is no trailer."""
    if len(trailer) != _TRAILER.size or not trailer.startswith(_MAGIC):
        return "", -1
    _, identity, generation, _, _ = _TRAILER.unpack(trailer)
    return identity.decode("ascii", "replace"), generation


def read_vectors(connection: sqlite3.Connection, ids: np.ndarray) -> Vectors:
    """The stored vectors of these passages, float32 [len(ids), d], in their order."""
    stored: dict[int, bytes] = {}
    for start in range(0, len(ids), 10_000):
        part = ",".join(map(str, ids[start : start + 10_000].tolist()))
        stored.update(connection.execute(f"SELECT passage_id, vector FROM vectors WHERE passage_id IN ({part})"))
    return np.frombuffer(b"".join(stored[id_] for id_ in ids.tolist()), np.float32).reshape(len(ids), -1)


def _compared_one_by_one(
    connection: sqlite3.Connection, queries: Vectors, count: int, among: np.ndarray
) -> list[list[int]]:
    if not len(among):
        return [[] for _ in queries]
    scores = queries @ read_vectors(connection, among).T
    return [among[np.lexsort((among, -row))[:count]].tolist() for row in scores]


def _state(connection: sqlite3.Connection) -> State:
    built = read_built_with(connection)
    return built["identity"], built["generation"]
