"""FAISS indexes of vectors: exact while they are few, inverted lists when they are many.

Up to :data:`FLAT_LIMIT` passages every vector is compared (IndexFlatIP). Beyond, vectors lie in lists around centroids,
a byte a dimension (IVF with SQ8): a search looks into the nearest lists only. How many is measured when the index is
made, on sentences of its own passages embedded as questions: as few as find :data:`RECALL` of their ten nearest
passages. (Passages themselves would not do as questions: an embedder puts questions elsewhere, and eight lists that
found all neighbours of passages found 79 % of those of sentences, ``benchmarks/index_scale.py`` at 150,000.) Of the
choices in FAISS these lists are the one that can also delete (HNSW cannot), so an index follows its folder for long
before it is made anew.
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
"""Quantised vectors mistake near ranks for each other, so so many times more are taken than are asked for."""

_TRAINING_PER_LIST = 64
_PART = 50_000

Vectors = np.ndarray[Any, np.dtype[np.float32]]
Read = Callable[[np.ndarray], Vectors]
"""Ids of passages to their vectors, float32 [n, d]."""


def faiss_module() -> Any:
    """FAISS; on macOS with one thread, for torch brings an OpenMP of its own, and two with threads crash there.

    On Linux both share one, and the number of threads of one is that of the other: torch would be left with one.
    """
    import faiss

    if sys.platform == "darwin":
        faiss.omp_set_num_threads(1)
    return faiss


def build(ids: np.ndarray, read: Read, ask: Callable[[], Vectors]) -> tuple[Any, float]:
    """An index of these passages, and its recall@10 against exact search (1.0 when it is exact); None without any.

    ``ask`` gives vectors of questions, float32 [n, d]; it is called only where the index is not exact.
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
        "The vectors of %s passages are put into lists, once; for a million that takes over a minute.", f"{len(ids):,}"
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
    """Set how many lists are looked at; return the recall that was reached. Never all: then flat would be faster."""
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
    """Whether an index of ``count`` passages had better be made anew."""
    if not is_approximate(index):
        return count > FLAT_LIMIT
    made_for = (index.nlist / 4) ** 2
    return count > 4 * made_for or count < min(made_for, FLAT_LIMIT) / 2


def ids_in(index: Any) -> np.ndarray:
    """The sorted ids of an index's passages."""
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
    """The ids in parts that fit into memory with their vectors."""
    for start in range(0, len(ids), _PART):
        yield ids[start : start + _PART]
