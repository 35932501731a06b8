"""``index/vectors.faiss``: a cache of the vectors in SQLite, ready for FAISS. Losing it loses a moment, no passage.

The file is what ``faiss.write_index`` writes, followed by a trailer: which index and generation it was made of, and the
SHA-256 of everything before. FAISS does not check what it reads, so nothing is given to it that fails the hash.
A passage's id is never used again and its vector never changes, so a cache of any generation of the same index
is brought up to date by dropping the ids that are gone and adding those that are new.
"""

import hashlib
import os
import sqlite3
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from domain import whole_file
from indexes.storage import read_built_with

_TRAILER = struct.Struct("<8s32sq32s")
_MAGIC = b"LOREVEC1"

State = tuple[str, int]
"""Identity and generation of an index: equal where the passages are."""


class VectorCache:
    """Nearest passages by inner product, exact (IndexFlatIP); may be shared between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._index: Any = None
        self._state: State = ("", -1)
        self._damaged = False

    def search(self, connection: sqlite3.Connection, queries: np.ndarray, count: int) -> list[list[int]]:
        """For each row of ``queries`` (float32 [n, d]) the ids of the ``count`` nearest passages, the best first.

        The passages are exactly those of the snapshot that ``connection`` reads.
        """
        with self._lock:
            self._synchronise(connection)
            if self._index is None or self._index.ntotal == 0:
                return [[] for _ in queries]
            _, ids = self._index.search(np.ascontiguousarray(queries, np.float32), min(count, self._index.ntotal))
        return [[int(passage) for passage in row if passage >= 0] for row in ids]

    def save(self, connection: sqlite3.Connection) -> None:
        """Write the file unless it is up to date; only who holds the update lock may call this.

        Where it cannot be written, on a full disk for example, nothing is lost: searches go on from SQLite.
        """
        with self._lock:
            if not self._damaged and self._state_of_file() == _state(connection):
                return
            self._synchronise(connection)
            with suppress(OSError):
                if self._index is None:
                    self.path.unlink(missing_ok=True)
                    return
                data = _faiss().serialize_index(self._index).tobytes()
                head = _TRAILER.pack(_MAGIC, self._state[0].encode(), self._state[1], bytes(32))[:-32]
                with whole_file(self.path) as partial:
                    partial.write_bytes(data + head + hashlib.sha256(data + head).digest())
                self._damaged = False

    def is_saved(self) -> bool:
        """Whether the file holds what was searched last, or what came after it."""
        identity, generation = self._state_of_file()
        return not self._damaged and identity == self._state[0] and generation >= self._state[1]

    def _synchronise(self, connection: sqlite3.Connection) -> None:
        state = _state(connection)
        if state == self._state:
            return
        if state[0] != self._state[0]:
            self._index = self._loaded(state[0])
        wanted = np.array([row[0] for row in connection.execute("SELECT id FROM passages ORDER BY id")], np.int64)
        self._index = _updated(self._index, wanted, connection)
        self._state = state

    def _loaded(self, identity: str) -> Any:
        """The index in the file; None where it is missing, damaged or another index's."""
        if self._state_of_file()[0] != identity:
            return None
        content = self.path.read_bytes()
        self._damaged = hashlib.sha256(content[:-32]).digest() != content[-32:]
        if self._damaged:
            return None
        return _faiss().deserialize_index(np.frombuffer(content[: -_TRAILER.size], np.uint8))

    def _state_of_file(self) -> State:
        """What the trailer says; ``("", -1)`` where there is none."""
        try:
            with self.path.open("rb") as file:
                file.seek(-_TRAILER.size, os.SEEK_END)
                magic, identity, generation, _ = _TRAILER.unpack(file.read())
        except (OSError, struct.error):
            return "", -1
        return (identity.decode("ascii", "replace"), generation) if magic == _MAGIC else ("", -1)


def _state(connection: sqlite3.Connection) -> State:
    built = read_built_with(connection)
    return built["identity"], built["generation"]


def _faiss() -> Any:
    """FAISS; on macOS with one thread, for torch brings an OpenMP of its own, and two with threads crash there.

    On Linux both share one, and the number of threads of one is that of the other: torch would be left with one.
    """
    import faiss

    if sys.platform == "darwin":
        faiss.omp_set_num_threads(1)
    return faiss


def _updated(index: Any, wanted: np.ndarray, connection: sqlite3.Connection) -> Any:
    """``index`` (or None) with exactly the passages ``wanted``, their vectors read from SQLite where they are new."""
    faiss = _faiss()
    present = faiss.vector_to_array(index.id_map) if index is not None else np.empty(0, np.int64)
    gone, new = np.setdiff1d(present, wanted), np.setdiff1d(wanted, present)
    if len(gone):
        index.remove_ids(gone)
    for start in range(0, len(new), 10_000):
        part = new[start : start + 10_000].tolist()
        rows = connection.execute(
            f"SELECT vector FROM passages WHERE id IN ({','.join('?' * len(part))}) ORDER BY id", part
        ).fetchall()
        vectors = np.frombuffer(b"".join(row[0] for row in rows), np.float32).reshape(len(part), -1)
        if index is None:
            index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        index.add_with_ids(vectors, np.array(part, np.int64))
    return index
