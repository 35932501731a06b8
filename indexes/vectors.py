"""``index/vectors.faiss``: a FAISS cache of the vectors in SQLite. Losing it costs a moment, no data.

The file is the output of ``faiss.write_index`` followed by a trailer: the identity and generation of the index, and the
SHA-256 of everything before it. FAISS does not validate its input, so only data with a correct hash is passed to it. A
passage id is never reused and its vector never changes, so a cache of any generation of the same index is updated by
removing deleted ids and adding new ones.

``approximate.py`` decides between exact and approximate search.
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
"""A saved file may lack up to this share of the passages: reading so few from SQLite takes no time."""

ONE_BY_ONE = 5_000
"""If a filter matches at most this many passages, their vectors are read from SQLite and compared exactly."""

SAMPLE = 1_000
"""Number of passages sampled for the statistics of a question's cosines."""

State = tuple[str, int]
"""Identity and generation of an index: equal states have equal passages."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]
_NO_VECTORS: Vectors = np.empty((0, 0), np.float32)


class VectorCache:
    """Nearest passages by inner product; may be shared between threads."""

    def __init__(self, path: Path, ask: Callable[[sqlite3.Connection], Vectors]) -> None:
        """``ask`` returns question vectors, to measure the recall of approximate search."""
        self.path = path
        self._ask = ask
        self._lock = threading.Lock()
        self._state: State = ("", -1)
        self._index: Any = None
        self._ids = np.empty(0, np.int64)
        self._recall = 1.0
        self._trailer = b""
        """Trailer of the file as last read or written here; it differs if another process wrote the file."""
        self._added = self._removed = 0
        """Number of passages in memory that the file lacks, and of deleted passages that it still contains."""
        self._damaged = False
        self._sample, self._sample_state = _NO_VECTORS, self._state
        self._direction: Vectors | None = None

    def search(
        self, connection: sqlite3.Connection, queries: Vectors, count: int, among: np.ndarray | None = None
    ) -> list[list[int]]:
        """For each row of ``queries`` (float32 [n, d]), the ids of the ``count`` nearest passages, the best first.

        Searches the snapshot of ``connection``, restricted to the ids in ``among`` if given. An approximate search
        returns more than ``count``, so that the caller can select with exact vectors.
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
            if is_approximate(self._index) and (ids < 0).any():  # the probed lists contain too few: probe all
                parameters.nprobe = self._index.nlist
                _, ids = self._index.search(wanted, most, params=parameters)
        return [[int(passage) for passage in row if passage >= 0] for row in ids]

    def sample(self, connection: sqlite3.Connection) -> tuple[Vectors, Vectors | None]:
        """Vectors of at least :data:`SAMPLE` evenly chosen passages of the index, or of all if there are fewer.

        The second value is their :func:`indexes.cross_language.language_direction`.
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
        """Description of the search method, for display."""
        with self._lock:
            self._synchronise(connection)
            if self._index is None or not is_approximate(self._index):
                return "exact (every vector is compared)"
            return (
                f"approximate: {self._index.nprobe} of {self._index.nlist} inverted lists are probed; recall@10 was "
                f"{100 * self._recall:.1f} % of exact search when they were trained"
            )

    def save(self, connection: sqlite3.Connection) -> None:
        """Write the file unless it is up to date; the caller must hold the writer lock.

        ``connection`` must see the current state, because an older one contains deleted vectors. If the file cannot be
        written, for example on a full disk, nothing is lost: searches read the vectors from SQLite.
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
        """Whether the file has the searched state or a later one, except for a few additions."""
        trailer = self._trailer_of_file()
        identity, generation = _state_in(trailer)
        if self._damaged or identity != self._state[0]:
            return False
        if generation >= self._state[1]:
            return True
        # removed vectors must leave the file too, because they reveal the text
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
        # an index without common passages may be of another embedder, with another dimension
        if self._index is None or len(gone) == len(self._ids) or outgrown(self._index, len(wanted)):
            self._index, self._recall = build(
                wanted, lambda ids: read_vectors(connection, ids), lambda: self._ask(connection)
            )
            self._added = len(wanted)  # the index differs from the file, even if few passages are new
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
        """Load the index from the file; leave it empty if the file is missing, damaged or of another index."""
        self._index, self._ids, self._recall = None, np.empty(0, np.int64), 1.0
        self._file_is(b"")
        if _state_in(self._trailer_of_file())[0] != identity:
            return
        try:
            content = np.fromfile(self.path, np.uint8)
        except OSError:  # another process has just emptied the index
            return
        self._file_is(content[-_TRAILER.size :].tobytes())
        self._damaged = hashlib.sha256(content[:-32].data).digest() != content[-32:].tobytes()
        if not self._damaged:
            self._index = faiss_module().deserialize_index(content[: -_TRAILER.size])
            self._recall = _TRAILER.unpack(self._trailer)[3]
            self._ids = ids_in(self._index)

    def _file_is(self, trailer: bytes) -> None:
        """Record that the file has this trailer (empty: no file) and matches the memory."""
        self._trailer, self._added, self._removed, self._damaged = trailer, 0, 0, False

    def _trailer_of_file(self) -> bytes:
        """The last bytes of the current file; empty if there is none."""
        try:
            with self.path.open("rb") as file:
                file.seek(-_TRAILER.size, os.SEEK_END)
                return file.read()
        except OSError:
            return b""


def _state_in(trailer: bytes) -> State:
    """The state of the index that the file was written from; ``("", -1)`` for an invalid trailer."""
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
