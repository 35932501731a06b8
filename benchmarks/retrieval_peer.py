"""Compares retrieval with LangChain's pipeline, using the same embedder.

    python benchmarks/retrieval_peer.py DOMAIN... --peer-python .venv-peer/bin/python

Each domain needs an index and held-out questions with a gold document (`benchmarks/retrieval.py debian-faq` creates
such domains). LangChain gets the texts of the same documents. Differences are paired by question, with 95 % intervals
over resampled questions.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from hardware import hardware

from assistant.evaluation.metrics import bootstrap, mean
from assistant.evaluation.retrieval import FIGURES, ranks_of
from base_models import fetch
from domain import Domain, read_questions, write_text
from indexes import Index


def compare(domain: Domain, peer_python: Path) -> dict[str, Any]:
    """Scores of both in percent, and the gain over LangChain."""
    asked = [q for q in read_questions(domain.held_out_questions) if q.answerable and q.document and not q.history]
    with Index.open(domain) as index:
        texts = {name: index.text(name) for name in index.documents()}
        ours = ranks_of(index.search_many([question.text for question in asked], 50), asked)
    given = {
        "documents": texts,
        "model": str(fetch(domain.settings.embedder)),
        "threads": torch.get_num_threads(),
        "questions": [question.text for question in asked],
        "repeats": 1,
    }
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.json"), Path(folder, "out.json")
        write_text(source, json.dumps(given))
        peer = [str(peer_python), str(Path(__file__).with_name("langchain_peer.py")), str(source), str(target)]
        subprocess.run(peer, check=True, capture_output=True)
        result = json.loads(target.read_text(encoding="utf-8"))
    theirs = np.array(
        [
            next((rank for rank, name in enumerate(names, start=1) if name == question.document), np.inf)
            for names, question in zip(result["found"], asked, strict=True)
        ]
    )
    record: dict[str, Any] = {"questions": len(asked), "peer": result["versions"]}
    for name in ("hit@1", "hit@5", "MRR"):
        values = [FIGURES[name](ranks) for ranks in (ours, theirs)]
        difference = bootstrap((values[0] - values[1]).tolist(), mean)
        assert difference
        record[name] = {
            "ours": round(100 * float(values[0].mean()), 1),
            "LangChain": round(100 * float(values[1].mean()), 1),
            "ours above it": [round(100 * part, 1) for part in difference],
        }
    return record


def main(
    domains: list[Path],
    peer_python: Annotated[Path, typer.Option(help="Python of an environment with langchain-community.")],
    out: Path = Path("benchmarks/results/retrieval_peer.json"),
) -> None:
    results = {domain.name: compare(Domain.open(domain), peer_python) for domain in domains}
    record = {"format": 1, "benchmark": "retrieval_peer", "hardware": hardware(), "results": results}
    write_text(out, json.dumps(record, indent=2) + "\n")
    typer.echo(json.dumps(results, indent=2))


if __name__ == "__main__":
    typer.run(main)
