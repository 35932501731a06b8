"""Compares chat models on held-out questions of a domain: right answers, and seconds per answer on this machine.

    python benchmarks/chat_models.py DOMAIN [--model NAME ...] [--context-tokens N ...] [--questions N]

For each model and each context length (``retrieval.context_tokens``), reports how many answerable questions are right
by facts (in the model's own text, and with the quotes), wrong and refused; seconds per answer (median and maximum,
without the search); and seconds to the first token. Questions are answered one at a time. The engine is set by
domain.toml or selected for the machine. Results go to benchmarks/results/chat_models-CAPABILITY.json.
"""

import json
import statistics
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from hardware import hardware

from assistant import Assistant
from assistant.answering.pipeline import Asked, find
from assistant.evaluation.evaluate import Cell
from assistant.evaluation.evaluate import _rows as rows_of
from assistant.evaluation.sampling import balanced
from base_models import stream
from domain import Domain, read_questions, write_text
from indexes import Index

MODELS = ["qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"]
CONTEXTS = [200, 600]


def main(
    domain: Path,
    model: Annotated[list[str], typer.Option(help="A chat model; may be named several times.")] = MODELS,
    context_tokens: Annotated[
        list[int], typer.Option(help="Length of context; may be given several times.")
    ] = CONTEXTS,
    questions: Annotated[int, typer.Option(help="How many held-out questions; 0: all.")] = 12,
    adapter: Annotated[str, typer.Option(help="A run of the domain, for one model; empty is the base model.")] = "",
    out: Annotated[Path | None, typer.Option(help="Instead of benchmarks/results/chat_models-CAPABILITY.json.")] = None,
) -> None:
    opened = Domain.open(domain)
    asked = balanced(read_questions(opened.held_out_questions), questions)
    table = []
    for name in model:
        for tokens in context_tokens:
            retrieval = opened.settings.retrieval.model_copy(update={"context_tokens": tokens})
            settings = opened.settings.model_copy(
                update={"base_model": name, "adapter": adapter, "retrieval": retrieval}
            )
            table.append(
                {"model": name, "adapter": adapter, "context_tokens": tokens}
                | measure(replace(opened, settings=settings), asked)
            )
            print(table[-1], flush=True)
    facts = hardware()
    result = {
        "format": 1,
        "questions": len(asked),
        "table": table,
        "hardware": facts,
        "versions": {name: version(name) for name in ("lorewright", "torch", "transformers", "openvino")},
    }
    name = f"chat_models-{facts['cpu_capability']}{'-tuned' if adapter else ''}.json"
    file = out or Path(__file__).parent / "results" / name
    write_text(file, json.dumps(result, indent=1) + "\n")
    print(f"written to {file}")


def measure(domain: Domain, questions: list[Any]) -> dict[str, Any]:
    """One row of the table."""
    with Index.open(domain) as index:
        assistant = Assistant(domain, index)
        found = find(index, assistant.refusal, [Asked.of(question) for question in questions])
        engine = assistant.llm.answering
        sampling, folder = assistant.llm.sampling(), assistant.llm.adapter
        whole, first, lengths, said = [], [], [], {}
        for position, one in enumerate(found):
            for part in one.asks:
                messages = assistant.prompts.answering(part.asked, part.shown)
                start = time.perf_counter()
                pieces: list[str] = []
                for piece in stream(engine, messages, sampling, folder):
                    if not isinstance(piece, str):
                        lengths.append(piece.completion_tokens)
                        continue
                    if not pieces:
                        first.append(time.perf_counter() - start)
                    pieces.append(piece)
                whole.append(time.perf_counter() - start)
                said[position, part.asked.part] = "".join(pieces)
        rows = rows_of(
            assistant, Cell("tuned" if domain.settings.adapter else "base", index=True), questions, found, said
        )
    judged = [row for question, row in zip(questions, rows, strict=True) if question.answerable]
    refused = [row["outcome"] == "refused" for row in judged]
    return {
        "engine": engine.engine,
        "answerable": len(judged),
        "right": sum(bool(row["right"]) for row in judged),
        "right_written": sum(bool(row["right_written"]) for row in judged),
        "refused": sum(refused),
        "wrong": sum(not row["right"] and not no for row, no in zip(judged, refused, strict=True)),
        "answers": len(whole),
        "seconds": round(statistics.median(whole), 2),
        "longest_seconds": round(max(whole), 2),
        "first_token_seconds": round(statistics.median(first), 2),
        "tokens": statistics.median(lengths),
    }


if __name__ == "__main__":
    typer.run(main)
