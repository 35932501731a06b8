"""FAISS indexes of vectors: exact search for a small index, inverted lists for a large one.

Up to :data:`FLAT_LIMIT` passages, every vector is compared (IndexFlatIP). Above that, vectors are stored in lists
around centroids, one byte per dimension (IVF with SQ8), and a search probes only the nearest lists. The number of
probed lists is measured when the index is built, with sentences of its own passages embedded as questions: the smallest
number that finds :data:`RECALL` of the ten nearest passages. (Passages do not work as questions, because an embedder
places questions elsewhere: eight lists that found all neighbours of passages found 79 % of those of sentences,
``benchmarks/index_scale.py`` at 150,000.) Of the FAISS index types this one also supports deletion (HNSW does not), so
an index can follow its folder for a long time before it must be rebuilt.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

FLAT_LIMIT = 100_000
RECALL = 0.975
OVERFETCH = 4
"""Oversampling factor: quantised vectors confuse near ranks, so this many times more candidates are fetched."""

_TRAINING_PER_LIST = 64
_PART = 50_000

Vectors = np.ndarray[Any, np.dtype[np.float32]]
Read = Callable[[np.ndarray], Vectors]
"""Maps ids of passages to their vectors, float32 [n, d]."""


def faiss_module() -> Any:
    """Import FAISS; on macOS set it to one thread.

    On macOS torch has its own OpenMP, and two multi-threaded OpenMP runtimes crash. On Linux both share one runtime and
    one thread count, so limiting FAISS would limit torch too.
    """
    import faiss

    if sys.platform == "darwin":
        faiss.omp_set_num_threads(1)
    return faiss


def build(ids: np.ndarray, read: Read, ask: Callable[[], Vectors]) -> tuple[Any, float]:
    """Build an index of these passages; return it with its recall@10 against exact search (1.0 if it is exact).

    The index is None if there are no passages. ``ask`` returns question vectors, float32 [n, d]; it is called only for
    an approximate index.
    """
    faiss = faiss_module()
    if not len(ids):
        return None, 1.0
    if len(ids) <= FLAT_LIMIT:
        vectors = read(ids)
        flat = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        flat.add_with_ids(vectors, ids)
        return flat, 1.0
    logger.warning(
        "Training the approximate index on %s vectors, once; for a million this takes over a minute.", f"{len(ids):,}"
    )
    lists = int(4 * len(ids) ** 0.5)
    chosen = np.random.default_rng(0).choice(ids, min(len(ids), lists * _TRAINING_PER_LIST), replace=False)
    training = read(np.sort(chosen))
    index = faiss.index_factory(training.shape[1], f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(training)
    questions = ask()
    nearest, nearest_ids = np.empty((len(questions), 0), np.float32), np.empty((len(questions), 0), np.int64)
    for part in parts(ids):
        vectors = read(part)
        index.add_with_ids(vectors, part)
        nearest = np.hstack([nearest, questions @ vectors.T])
        nearest_ids = np.hstack([nearest_ids, np.broadcast_to(part, (len(questions), len(part)))])
        best = np.argsort(-nearest, axis=1)[:, :10]
        nearest = np.take_along_axis(nearest, best, axis=1)
        nearest_ids = np.take_along_axis(nearest_ids, best, axis=1)
    return index, _probe(index, questions, nearest_ids)


def _probe(index: Any, questions: Vectors, exact: np.ndarray) -> float:
    """Set the number of probed lists and return the recall. Beyond a quarter of the lists, exact search is faster."""
    index.nprobe = 8
    while True:
        _, found = index.search(questions, 10 * OVERFETCH)
        hits = [len(np.intersect1d(row, true)) for row, true in zip(found, exact, strict=True)]
        recall = sum(hits) / exact.size
        if recall >= RECALL or index.nprobe >= index.nlist // 4:
            return recall
        index.nprobe = min(int(index.nprobe * 1.4), index.nlist // 4)


def is_approximate(index: Any) -> bool:
    return hasattr(index, "nprobe")


def outgrown(index: Any, count: int) -> bool:
    """Whether an index should be rebuilt to hold ``count`` passages."""
    if not is_approximate(index):
        return count > FLAT_LIMIT
    made_for = (index.nlist / 4) ** 2
    return count > 4 * made_for or count < min(made_for, FLAT_LIMIT) / 2


def ids_in(index: Any) -> np.ndarray:
    """The sorted passage ids of an index."""
    faiss = faiss_module()
    if not is_approximate(index):
        return np.sort(faiss.vector_to_array(index.id_map))
    lists = index.invlists
    held = [
        faiss.rev_swig_ptr(lists.get_ids(number), size)
        for number in range(index.nlist)
        if (size := lists.list_size(number))
    ]
    return np.sort(np.concatenate(held)) if held else np.empty(0, np.int64)


def parts(ids: np.ndarray) -> Iterator[np.ndarray]:
    """Split the ids into batches whose vectors fit into memory."""
    for start in range(0, len(ids), _PART):
        yield ids[start : start + _PART]
