"""Compares indexing speed with LangChain's pipeline, using the same embedder and threads.

    python benchmarks/indexing.py FOLDER WORK --peer-python .venv-peer/bin/python

FOLDER contains real documents (see index_scale.py). Both sides index the same texts until they can be searched; they
alternate three times. Lorewright reads files, splits, embeds and stores; LangChain gets the texts. Chunks differ in
size, so characters per second are reported besides passages per second, also counting only the characters that the
model reads: it truncates chunks that are too long (Lorewright's never are). Embedding alone is compared on equal texts.

Then 10,000 small files are indexed, and indexed again unchanged.
"""

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from hardware import hardware

from base_models import fetch, load_embedder
from domain import Domain, Settings, create_domain, write_text
from indexes import Index
from indexes.readers import read_document

REPEATS = 3


def texts_of(folder: Path, most: int) -> dict[str, str]:
    """Real documents with at least ``most`` characters in total."""
    texts: dict[str, str] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink() and file.suffix in (".html", ".txt", ".md"):
            text = read_document(file.name, file.read_bytes()).text
            if len(text) > 500:
                texts[f"{len(texts):04}.txt"] = text
        if sum(map(len, texts.values())) > most:
            break
    return texts


def ours(texts: dict[str, str], work: Path) -> tuple[float, int]:
    """Seconds from files to an index, with the embedder already loaded as in the peer; and the number of passages."""
    shutil.rmtree(work, ignore_errors=True)
    domain = create_domain(work)
    for name, text in texts.items():
        write_text(domain.documents / name, text)
    embedder = load_embedder(domain.settings.embedder)
    started = time.perf_counter()
    report = Index.open(domain, embedder).update()
    return time.perf_counter() - started, report.passages


def theirs(texts: dict[str, str], work: Path, python: Path) -> dict[str, Any]:
    """The output of `langchain_peer.py` for one repeat."""
    given = {
        "documents": texts,
        "model": str(fetch(Settings().embedder)),
        "threads": torch.get_num_threads(),
        "questions": [],
        "repeats": 1,
    }
    write_text(work / "in.json", json.dumps(given))
    peer = [
        str(python),
        str(Path(__file__).with_name("langchain_peer.py")),
        str(work / "in.json"),
        str(work / "out.json"),
    ]
    subprocess.run(peer, check=True, capture_output=True)
    return json.loads((work / "out.json").read_text(encoding="utf-8"))


def speeds(seconds: float, passages: int, characters: int, read: int) -> dict[str, float]:
    return {
        "passages a second": passages / seconds,
        "characters a second": characters / seconds,
        "characters a second that the model reads": read / seconds,
    }


def embedding_alone(texts: list[str]) -> dict[str, Any]:
    """Texts per second of our embedder and of sentence-transformers with its defaults, on equal texts."""
    from sentence_transformers import SentenceTransformer

    embedder = load_embedder(Settings().embedder)
    plain = SentenceTransformer(str(fetch(Settings().embedder)), device="cpu", local_files_only=True)
    rates: dict[str, list[float]] = {"ours": [], "sentence-transformers": []}
    for _ in range(REPEATS):
        started = time.perf_counter()
        vectors = embedder.encode_passages(texts)
        rates["ours"].append(len(texts) / (time.perf_counter() - started))
        started = time.perf_counter()
        exact = plain.encode(texts, prompt="passage: ", normalize_embeddings=True, show_progress_bar=False)
        rates["sentence-transformers"].append(len(texts) / (time.perf_counter() - started))
    return {name: round(statistics.median(values), 1) for name, values in rates.items()} | {
        "lowest cosine between both": round(float(np.min((vectors * exact).sum(1))), 5)
    }


def unchanged(texts: dict[str, str], work: Path, files: int) -> dict[str, float]:
    """Seconds to index ``files`` files of one passage, and to index them again unchanged, with the user's command."""
    shutil.rmtree(work, ignore_errors=True)
    domain = create_domain(work)
    whole = "\n".join(texts.values())
    for number in range(files):
        part = whole[number * 300 % (len(whole) - 300) :][:300]
        write_text(domain.documents / f"{number % 100:02}" / f"{number:05}.txt", f"{number}. {part}")
    time.sleep(3)  # recently written files are checked once more
    command = [sys.executable, "-m", "assistant.cli", "index", str(work)]
    seconds = {}
    for name in ("first", "again", "and again"):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds[name] = round(time.perf_counter() - started, 2)
    with Index.open(Domain.open(work)) as index:
        started = time.perf_counter()
        index.update()
        seconds["again, without starting Python"] = round(time.perf_counter() - started, 2)
    return seconds


def main(
    folder: Path,
    work: Path,
    peer_python: Annotated[Path, typer.Option(help="Python of an environment with langchain-community.")],
    characters: int = 200_000,
    files: int = 10_000,
    out: Path = Path("benchmarks/results/indexing.json"),
) -> None:
    work.mkdir(parents=True, exist_ok=True)
    texts = texts_of(folder, characters)
    total = sum(map(len, texts.values()))
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "LangChain": []}
    peer: dict[str, Any] = {}
    for _ in range(REPEATS):
        seconds, passages = ours(texts, work / "ours")
        runs["ours"].append(speeds(seconds, passages, total, total))
        peer = theirs(texts, work, peer_python)
        runs["LangChain"].append(speeds(peer["seconds"][0], peer["chunks"], total, peer["characters_read"]))
        typer.echo(f"ours {runs['ours'][-1]}, LangChain {runs['LangChain'][-1]}")
    medians = {
        name: {key: round(statistics.median(run[key] for run in rows), 1) for key in rows[0]}
        for name, rows in runs.items()
    }
    ratios = {key: round(medians["ours"][key] / medians["LangChain"][key], 2) for key in medians["ours"]}
    with Index.open(Domain.open(work / "ours")) as index, index._storage.reading() as connection:
        stored = [row[0] for row in connection.execute("SELECT text FROM passages ORDER BY id LIMIT 400")]
    record = {
        "format": 1,
        "benchmark": "indexing",
        "hardware": hardware(),
        "characters": total,
        "documents": len(texts),
        "medians": medians,
        "ours to LangChain": ratios,
        "embedding alone, texts a second": embedding_alone(stored),
        f"{files:,} files, seconds": unchanged(texts, work / "many", files),
        "peer": peer["versions"],
    }
    write_text(out, json.dumps(record, indent=2) + "\n")
    typer.echo(json.dumps(record, indent=2))


if __name__ == "__main__":
    typer.run(main)
