"""Measures the index at 10,000, 100,000 and 1,000,000 passages: search time, recall, memory and disk.

    python benchmarks/index_scale.py WORK FOLDER...

The folders contain real documents, such as Debian's handbook and reference in two languages (`make bench` fetches
them). They should have more passages than a million vectors have lists, about 4,000. They are read, split and embedded
by the default embedder once, into WORK. Each passage of the measured index joins the first half of one real passage and
the second half of another. Its vector is that of the first with small noise (0.1 of its length), because independent
random vectors would have no neighbours to find. The code that stores documents stores them, a hundred passages per
document. Embedding the question is not measured.

Questions are sentences of real passages. Recall is relative to exact search over all vectors. Each size is measured in
a separate process, so that its memory is that of the index alone. `--sizes 1000000` repeats one row of the results and
keeps the others.
"""

import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

import numpy as np
import psutil
import typer
from hardware import hardware

from base_models import fingerprint, load_embedder
from base_models.embedding import Embedder
from domain import Domain, Settings, create_domain, write_text
from indexes import Index
from indexes.dictionary import Dictionary
from indexes.full_text import POSTINGS
from indexes.readers import Extracted, read_document
from indexes.readers.document import Block
from indexes.search_request import Mode
from indexes.sentences import sentences_of
from indexes.splitting import Piece, split
from indexes.storage import save_built_with, transaction
from indexes.writing import Record, Writer

NOISE = 0.1
QUESTIONS = 300
A_DOCUMENT = 100

Vectors = np.ndarray


def embed(work: Path, folders: list[Path]) -> int:
    """Embed the passages of real documents, and questions, into ``work``; returns the number of passages."""
    texts_file, vectors_file = work / "passages.json", work / "vectors.npz"
    if not vectors_file.exists():
        embedder = load_embedder(Settings().embedder)
        texts = list(dict.fromkeys(_texts(folders, embedder)))
        chance = np.random.default_rng(1)
        questions: list[str] = []
        while len(questions) < QUESTIONS:
            sentences = [s.strip() for s in sentences_of(texts[chance.integers(len(texts))]) if 8 <= len(s) <= 120]
            questions += sentences[:1]
        typer.echo(f"embedding {len(texts)} passages")
        vectors, asked = embedder.encode_passages(texts), embedder.encode_queries(questions)
        write_text(texts_file, json.dumps({"texts": texts, "questions": questions}, ensure_ascii=False))
        np.savez(vectors_file, vectors=vectors, asked=asked)
    return len(embedded(work)[0])


def embedded(work: Path) -> tuple[list[str], Vectors, list[str], Vectors]:
    """Texts and vectors of the passages, and of the questions."""
    stored = json.loads((work / "passages.json").read_text(encoding="utf-8"))
    arrays = np.load(work / "vectors.npz")
    return stored["texts"], arrays["vectors"], stored["questions"], arrays["asked"]


def _texts(folders: list[Path], embedder: Embedder) -> Any:
    for file in sorted(file for folder in folders for file in folder.rglob("*")):
        if file.is_file() and not file.is_symlink() and file.suffix in (".html", ".txt", ".md"):
            document = read_document(file.name, file.read_bytes())
            for piece in split(document, embedder.token_offsets, 200, embedder.max_tokens):
                yield document.text[piece.start : piece.end]


def grow(work: Path, size: int) -> dict[str, Any]:
    """Grow the index and its cache of vectors to ``size`` passages; returns the speed if anything was added."""
    texts, vectors, questions, asked = embedded(work)
    index = open_index(work, questions, asked)
    chance = np.random.default_rng(0)
    started, stored = time.perf_counter(), 0
    with index._storage.writing() as connection:
        (present,) = connection.execute("SELECT count(*) FROM passages").fetchone()
        with transaction(connection):
            save_built_with(connection, index._models.tools().built_with)
        writer = Writer(connection, Dictionary(""))
        for number in range(size // A_DOCUMENT):
            first, second = chance.integers(len(texts), size=(2, A_DOCUMENT))
            noise = chance.normal(size=(A_DOCUMENT, vectors.shape[1])).astype(np.float32)
            if number < present // A_DOCUMENT:
                continue  # still drawn, so that the indexes of all sizes start with the same passages
            rows = vectors[first] + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            document, pieces = _document([_mixed(texts[a], texts[b]) for a, b in zip(first, second, strict=True)])
            with transaction(connection):
                record = Record(f"{number:06}.txt", False, len(document.text), 0, 0, 0, f"{number:064}")
                writer.store(record, document, pieces, [row.tobytes() for row in rows])
            stored += A_DOCUMENT
    grown = time.perf_counter()
    with index._storage.reading() as connection:
        index._vectors.save(connection)
    if not stored:
        return {}
    return {
        "stored a second, without embedding": round(stored / (grown - started)),
        "cache of vectors made (s)": round(time.perf_counter() - grown, 1),
    }


def _mixed(first: str, second: str) -> str:
    return first[: len(first) // 2] + " " + second[len(second) // 2 :]


def _document(texts: list[str]) -> tuple[Extracted, list[Piece]]:
    text, pieces = "\n\n".join(texts), []
    start = 0
    for passage in texts:
        pieces.append(Piece(start, start + len(passage), (), None, None, "", passage))
        start += len(passage) + 2
    return Extracted(text, [Block(piece.start, piece.end) for piece in pieces], format="plain"), pieces


class Questions:
    """An embedder that looks up the vectors of our questions, so that only the search is measured."""

    def __init__(self, questions: list[str], vectors: Vectors, dimension: int) -> None:
        self.name, self.dimension, self.max_tokens = Settings().embedder, dimension, 512
        self.fingerprint = fingerprint(self.name)
        self.known = dict(zip(questions, vectors, strict=True))

    def encode_queries(self, texts: list[str]) -> Vectors:
        if any(text not in self.known for text in texts):  # questions that test an approximate search
            return load_embedder(self.name).encode_queries(texts)
        return np.stack([self.known[text] for text in texts])


def measure(work: Path) -> dict[str, Any]:
    """Milliseconds per question, recall, and sizes."""
    _, _, questions, asked = embedded(work)
    index = open_index(work, questions, asked)
    own = psutil.Process().memory_info().rss / 2**20
    started = time.perf_counter()
    index.search(questions[0])
    first = time.perf_counter() - started
    figures: dict[str, Any] = {"first search, cache loaded (s)": round(first, 2)}
    found: dict[str, list[list[int]]] = {}
    for mode in get_args(Mode):
        times = []
        found[mode] = []
        for question in questions:
            started = time.perf_counter()
            passages = index.search(question, 10, mode)
            times.append(1000 * (time.perf_counter() - started))
            found[mode].append([passage.id for passage in passages])
        figures[mode] = {f"p{p} (ms)": round(float(np.percentile(times, p)), 1) for p in (50, 95)}
    figures["memory of the process, above that before (MB)"] = round(psutil.Process().memory_info().rss / 2**20 - own)
    with index._storage.reading() as connection:
        exact = _exact(connection, asked)
        figures["vectors are searched"] = index._vectors.describe(connection)
    figures["dense"]["recall@10"] = _overlap(found["dense"], exact)
    import indexes.full_text

    indexes.full_text.POSTINGS = 10**9
    approximate: tuple[Mode, ...] = ("full_text", "hybrid")
    for mode in approximate:
        unpruned = [[p.id for p in index.search(question, 10, mode)] for question in questions[:100]]
        figures[mode]["first 10 as without pruning"] = _overlap(found[mode][:100], unpruned)
        same = [a[:1] == b[:1] for a, b in zip(found[mode], unpruned, strict=False)]
        figures[mode]["first as without pruning"] = round(float(np.mean(same)), 3)
    indexes.full_text.POSTINGS = POSTINGS
    figures["files (MB)"] = {f.name: round(f.stat().st_size / 2**20, 1) for f in sorted(index.domain.index.iterdir())}
    return figures


def _exact(connection: Any, asked: Vectors) -> list[list[int]]:
    best = np.full((len(asked), 10), -1.0, np.float32)
    ids = np.zeros((len(asked), 10), np.int64)
    cursor = connection.execute(
        "SELECT passage_id, vector FROM vectors JOIN passages ON id = passage_id WHERE same_as IS NULL"
    )
    while rows := cursor.fetchmany(20_000):
        part = np.array([row[0] for row in rows])
        scores = asked @ np.frombuffer(b"".join(row[1] for row in rows), np.float32).reshape(len(rows), -1).T
        top = np.argpartition(-scores, min(10, len(part) - 1), axis=1)[:, :10]
        all_scores = np.hstack([best, np.take_along_axis(scores, top, axis=1)])
        all_ids = np.hstack([ids, part[top]])
        order = np.argsort(-all_scores, axis=1)[:, :10]
        best, ids = np.take_along_axis(all_scores, order, axis=1), np.take_along_axis(all_ids, order, axis=1)
    return ids.tolist()


def _overlap(found: list[list[int]], wanted: list[list[int]]) -> float:
    return round(float(np.mean([len({*a} & {*b}) / max(1, len(b)) for a, b in zip(found, wanted, strict=True)])), 4)


def open_index(work: Path, questions: list[str], asked: Vectors) -> Index:
    """The index in ``work``; an interrupted or smaller one grows from its current size."""
    place = work / "domain"
    domain = Domain.open(place) if place.exists() else create_domain(place)
    return Index.open(domain, Questions(questions, asked, asked.shape[1]))  # type: ignore[arg-type]


def main(
    work: Path,
    folders: list[Path],
    sizes: str = "10000,100000,1000000",
    out: Path = Path("benchmarks/results/index_scale.json"),
) -> None:
    work.mkdir(parents=True, exist_ok=True)
    results = json.loads(out.read_text(encoding="utf-8"))["results"] if out.exists() else {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        passages = processes.submit(embed, work, folders).result()
        for size in sizes.split(","):
            grown = processes.submit(grow, work, int(size)).result()
            results[size] = results.get(size, {}) | grown | processes.submit(measure, work).result()
            typer.echo(json.dumps({size: results[size]}, indent=2))
    record = {
        "format": 1,
        "benchmark": "index_scale",
        "real_passages": passages,
        "hardware": hardware(),
        "results": results,
    }
    write_text(out, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
