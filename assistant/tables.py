"""The evaluation as tables in the terminal."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

DETAILS = {
    "token_f1": "token F1",
    "false_answers": "answers the\nunanswerable",
    "false_refusals": "refuses the\nanswerable",
    "citation_precision": "citation\nprecision",
    "citation_recall": "citation\nrecall",
}


FEW = 20
"""Fewer questions than this are not divided by language: every figure would be noise."""


def print_evaluation(result: dict[str, Any]) -> None:
    """Print the 2x2 table, the gain of tuning, the rates of each kind of error, and how well passages are found."""
    console = Console(width=max(Console().width, 100))
    figures = result["table"]
    two_by_two = Table(title=f"Token F1 on {result['questions']} held-out questions", box=box.ROUNDED)
    for title in ("", "without index", "with index"):
        two_by_two.add_column(title)
    for who, name in (("base", result["base_model"]), ("tuned", f"adapter {result['adapter']}")):
        cells = [figures.get(f"{who}, {index} index") for index in ("without", "with")]
        if all(cells):
            two_by_two.add_row(f"{who} ({name})", *(_interval(cell["all"]["token_f1"]) for cell in cells if cell))
    console.print(two_by_two)
    for index, gain in result["gain"].items():
        console.print(f"Tuned minus base, {index}: {_interval(gain)}: {result['verdict'][index]}")

    details = Table(title="Errors and citations", box=box.SIMPLE)
    details.add_column("who answers")
    details.add_column("language")
    for title in DETAILS.values():
        details.add_column(title, justify="right")
    few = result["questions"] < FEW
    for cell, languages in figures.items():
        for language, row in languages.items():
            if few and language != "all":
                continue
            absent = "citation" if cell.endswith("without index") else "-"
            values = ["" if name.startswith(absent) else _value(row[name]) for name in DETAILS]
            details.add_row(cell if language == "all" else "", language, *values)
    console.print(details)

    found = Table(title="Finding the gold document", box=box.SIMPLE)
    for title in ("language", "questions", "hit@1", "hit@5", "MRR"):
        found.add_column(title)
    for language, row in result["retrieval"].items():
        if few and language != "all":
            continue
        found.add_row(language, str(row["questions"]), *(_interval(row[name]) for name in ("hit@1", "hit@5", "mrr")))
    console.print(found)
    console.print(f"Refusal: {result['refusal']}.")
    if few:
        console.print(f"{result['questions']} questions give a first impression only; for all: lorewright evaluate.")
    console.print("In brackets: 95 % bootstrap intervals over questions; all figures and answers are in evaluations/.")


def _value(figure: list[float] | None) -> str:
    return "-" if figure is None else f"{figure[0]:.2f}"


def _interval(figure: list[float] | None) -> str:
    return "-" if figure is None else f"{figure[0]:.2f} ({figure[1]:.2f} to {figure[2]:.2f})"
