"""Compares the quality of answers in OpenVINO and in transformers on held-out questions.

    python benchmarks/engine_parity.py DOMAIN [--adapter RUN] [--questions N]

Passages, thresholds and prompts are the same. Reports the share of equal model answers (greedy, compared as text), and
for each engine how many answerable questions are right, wrong and refused, by facts. Results go to
benchmarks/results/engine_parity-CAPABILITY[-tuned].json.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from hardware import hardware

from assistant import Assistant
from assistant.answering.pipeline import Asked, find
from assistant.evaluation.evaluate import Cell, Row, said_in
from assistant.evaluation.evaluate import _rows as rows_of
from assistant.evaluation.metrics import bootstrap, ratio
from domain import read_questions, write_text

ENGINES: tuple[Literal["transformers", "openvino"], ...] = ("transformers", "openvino")


def main(
    domain: Path,
    adapter: Annotated[str, typer.Option(help="A run of the domain; empty is the base model.")] = "",
    questions: Annotated[int, typer.Option(help="How many, evenly chosen; 0: all.")] = 0,
    results: Annotated[Path, typer.Option(help="The folder for the result.")] = Path(__file__).parent / "results",
) -> None:
    assistant = Assistant.open(domain)
    asked = read_questions(assistant.domain.held_out_questions)
    asked = asked[:: max(1, len(asked) // questions)] if questions else asked
    found = find(assistant.index, assistant.refusal, [Asked.of(question) for question in asked])
    cell = Cell("tuned" if adapter else "base", index=True)
    said, summary = {}, {}
    for engine in ENGINES:
        assistant.llm.engine = engine
        said[engine] = said_in(assistant, cell, adapter, [found], shown)
        rows = rows_of(assistant, cell, asked, found, said[engine])
        summary[engine] = shares([row for question, row in zip(asked, rows, strict=True) if question.answerable])
        print(engine, summary[engine], flush=True)
    one, other = (said[engine] for engine in ENGINES)
    equal = sum(one[unit] == other[unit] for unit in one) / len(one)
    print(f"equal answers: {equal:.2f} of {len(one)}")
    facts = hardware()
    result = {
        "format": 1,
        "base_model": assistant.domain.settings.base_model,
        "adapter": adapter,
        "questions": len(asked),
        "answers": len(one),
        "equal": equal,
        "engines": summary,
        "hardware": facts,
        "versions": {name: version(name) for name in ("lorewright", "torch", "transformers", "openvino")},
    }
    name = f"engine_parity-{facts['cpu_capability']}{'-tuned' if adapter else ''}.json"
    file = results / name
    write_text(file, json.dumps(result, indent=1) + "\n")
    print(f"written to {file}")


def shares(rows: list[Row]) -> dict[str, Any]:
    """Shares of the answerable questions, [value, low, high] with 95 % bootstrap intervals."""
    refused = [row["outcome"] == "refused" for row in rows]
    right = [bool(row["right"]) for row in rows]
    wrong = [not one and not other for one, other in zip(refused, right, strict=True)]
    kinds = {"right": right, "wrong": wrong, "refused": refused}
    return {kind: bootstrap([(float(one), 1) for one in values], ratio) for kind, values in kinds.items()}


def shown(what: str, done: int, total: int) -> None:
    print(f"{what}: {done}/{total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
