"""Measures retrieval: dense, full text, and several ways to fuse the two.

    python benchmarks/retrieval.py measure examples/peft-handbook --questions train
    python benchmarks/retrieval.py debian-faq faq/usr/share/doc/debian/FAQ faq-domain --language zh --asked en
    python benchmarks/retrieval.py measure faq-domain

``measure`` needs a domain with an index (`lorewright index DOMAIN`) and questions that name their gold document. By
language it prints the share of questions with a passage of that document first (hit@1) or in the first five (hit@5),
and the mean reciprocal rank of the first such passage (MRR), with its difference from the better of dense and full text
alone (95 % interval over resampled questions). It writes the same as JSON to the domain's evaluations. Unanswerable
questions are skipped, and so are follow-up questions, which cannot be understood alone.

``debian-faq`` creates a domain, and its index, from the FAQ in two languages that Debian packages as debian-faq and
debian-faq-zh-cn (`apt-get download`, `dpkg-deb -x`): each section is a document without its title, and the titles are
the questions. Sections correspond by number, so the documents of one language can be searched in the other. The texts
keep their own licence and must stay out of the project.
"""

import itertools
import json
import platform
import re
import time
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import psutil
import typer

from assistant.evaluation.metrics import bootstrap, mean
from assistant.evaluation.retrieval import FIGURES, ranks_of
from domain import Domain, create_domain, read_questions, write_text
from indexes import Index, language_of
from indexes.readers import read_document
from indexes.search import Scores, fuse

FORMAT = 1
WEIGHTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
PACKAGES = ("faiss-cpu", "numpy", "sentence-transformers", "torch", "transformers")

app = typer.Typer(add_completion=False, no_args_is_help=True)
Rankings = dict[str, list[np.ndarray]]
"""Name of a ranking method -> for each question the ids of passages, best first."""


@app.command()
def measure(
    domain: Path,
    questions: Annotated[Literal["held_out", "train"], typer.Option(help="Which question file to ask.")] = "held_out",
    out: Annotated[
        Path | None, typer.Option(help="Where to write the JSON; default: the domain's evaluations.")
    ] = None,
) -> None:
    """Print and write hit@1, hit@5 and MRR by language for every way of ranking."""
    opened = Domain.open(domain)
    file = opened.held_out_questions if questions == "held_out" else opened.train_questions
    asked = [question for question in read_questions(file) if question.answerable and question.document]
    asked = [question for question in asked if not question.history]
    texts = [question.text for question in asked]
    with Index.open(opened) as index:
        index.search_many(texts[:1])  # loads the embedder
        started = time.perf_counter()
        scores = index.candidates(texts)
        seconds = time.perf_counter() - started
        passages = {id_: index.passage(id_) for id_ in {int(id_) for row in scores for id_ in row.ids}}
        generation = index.generation
    languages = np.array([question.language or language_of(question.text) for question in asked])
    ranks = {
        name: ranks_of([[passages[int(id_)] for id_ in ids] for ids in ranking], asked)
        for name, ranking in rankings(scores).items()
    }
    results = []
    for language in sorted(set(languages)):
        own = {name: found[languages == language] for name, found in ranks.items()}
        better = max((own["dense"], own["full_text"]), key=lambda found: (1 / found).mean())
        for name, found in own.items():
            above = bootstrap((1 / found - 1 / better).tolist(), mean)
            assert above
            low_and_high = [round(100 * bound, 1) for bound in above[1:]]
            results.append({"ranking": name, "language": language} | figures(found) | {"above": low_and_high})
    print_table(results)
    record = {
        "format": FORMAT,
        "benchmark": "retrieval",
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "questions": f"{opened.path.name}/{questions}",
        "embedder": opened.settings.embedder,
        "passage_tokens": opened.settings.retrieval.passage_tokens,
        "index": generation,
        "seconds_per_question": round(seconds / len(asked), 4),
        "machine": {
            "system": platform.system(),
            "machine": platform.machine(),
            "cores": psutil.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30),
        },
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
        "results": results,
    }
    target = out or opened.evaluations / f"retrieval-{datetime.now():%Y%m%d-%H%M%S}.json"
    write_text(target, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    typer.echo(f"\n{len(asked)} questions, {1000 * seconds / len(asked):.0f} ms each; written to {target}")


@app.command("debian-faq")
def debian_faq(
    folder: Path,
    domain: Path,
    language: Annotated[
        Literal["en", "zh", "both"], typer.Option("--language", help="Of the documents, and of the questions.")
    ] = "both",
    asked: Annotated[
        Literal["en", "zh"] | None, typer.Option(help="Another language for the questions, of one of the documents.")
    ] = None,
) -> None:
    """Make an indexed domain of the FAQ in FOLDER, to measure on documents that nobody here wrote."""
    if asked and language == "both":
        raise typer.BadParameter("--asked needs --language en or --language zh.")
    made = create_domain(domain)
    sections = {
        name: list(faq_sections(folder, pattern))
        for name, pattern in (("en", "*.en.html"), ("zh", "zh-cn/*.zh-cn.html"))
        if language == "both" or name in (language, asked)
    }
    lines = []
    for of_documents in sections if language == "both" else [language]:
        of_questions = asked or of_documents
        pairs = zip(sections[of_documents], sections[of_questions], strict=True)
        for number, ((_, text), (title, _)) in enumerate(pairs, start=1):
            name = f"{of_documents}/{number:03}.txt"
            write_text(made.documents / name, text)
            messages = [{"role": "user", "content": title}, {"role": "assistant", "content": f"See {name}."}]
            lines.append({"id": name, "language": of_questions, "document": name, "messages": messages})
    write_text(made.held_out_questions, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    report = Index.open(made).update()
    typer.echo(f"{domain}: {len(report.added)} sections in {report.passages} passages, {len(lines)} questions")


def faq_sections(folder: Path, pattern: str) -> Iterator[tuple[str, str]]:
    """Title without its number, and text without its subsections, of each numbered section."""
    for file in sorted(folder.glob(pattern)):
        page = read_document(file.name, file.read_bytes())
        for headings, section in itertools.groupby(page.blocks, key=lambda block: block.headings):
            if title := re.fullmatch(r"\d+\.[\d.]+\s+(.+)", headings[-1] if headings else ""):
                yield title[1], "\n\n".join(page.text[block.start : block.end] for block in section)


def rankings(scores: list[Scores]) -> Rankings:
    """Every ranking method that is compared."""
    ways: Rankings = {
        "dense": [order(row, row.dense) for row in scores],
        "full_text": [order(row, np.where(row.full_text.bm25 > 0, row.full_text.bm25, -np.inf)) for row in scores],
        "reciprocal rank fusion": [order(row, reciprocal_ranks(row)) for row in scores],
    }
    for weight in WEIGHTS:
        ways[f"hybrid {weight}"] = [order(row, fuse(row, weight)) for row in scores]
    ways["min-max 0.5"] = [order(row, min_max(row.dense) + min_max(row.full_text.bm25)) for row in scores]
    return ways


def order(row: Scores, total: np.ndarray) -> np.ndarray:
    """Ids by descending score; ids without a score are left out."""
    best = np.lexsort((row.ids, -total))
    return row.ids[best][total[best] > -np.inf]


def reciprocal_ranks(row: Scores) -> np.ndarray:
    """Cormack et al. 2009: the sum over both rankings of 1 / (60 + rank), for the first 50 of each."""
    total = np.zeros(len(row.ids))
    for scores in (row.dense, row.full_text.bm25):
        ranks = np.empty(len(scores))
        ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
        total += np.where((ranks <= 50) & (scores > 0), 1 / (60 + ranks), 0)
    return total


def min_max(scores: np.ndarray) -> np.ndarray:
    """Scale to 0...1: the usual alternative to ``fuse``."""
    spread = np.ptp(scores) if len(scores) else 0.0
    return (scores - scores.min()) / spread if spread else np.zeros_like(scores)


def figures(ranks: np.ndarray) -> dict[str, Any]:
    """Hits and MRR in percent over questions with these ranks (infinite if nothing was found)."""
    names = {"hit_at_1": "hit@1", "hit_at_5": "hit@5", "mrr": "MRR"}
    return {"questions": len(ranks)} | {
        name: round(100 * float(FIGURES[figure](ranks).mean()), 1) for name, figure in names.items()
    }


def print_table(results: list[dict[str, Any]]) -> None:
    """Print one line per ranking method, languages side by side."""
    languages = sorted({result["language"] for result in results})
    numbers = {(result["ranking"], result["language"]): result for result in results}
    heads = (f"{language + ': hit@1  hit@5    MRR  above the better half':>52}" for language in languages)
    typer.echo(" " * 24 + "".join(heads))
    for name in dict.fromkeys(result["ranking"] for result in results):
        cells = [numbers[name, language] for language in languages]
        rows = (
            f"{c['hit_at_1']:>7}{c['hit_at_5']:>7}{c['mrr']:>7}{c['above'][0]:>+12.1f} to {c['above'][1]:+.1f}"
            for c in cells
        )
        typer.echo(f"{name:24}" + "".join(row.rjust(52) for row in rows))


if __name__ == "__main__":
    app()
