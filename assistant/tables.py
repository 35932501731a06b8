"""The evaluation as a table in the terminal."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

COLUMNS = {
    "token_f1": "token F1",
    "false_refusals": "refused, but\nanswerable",
    "false_answers": "answered, but\nunanswerable",
    "citation_precision": "citation\nprecision",
    "citation_recall": "citation\nrecall",
}


def print_evaluation(result: dict[str, Any]) -> None:
    """Print the 2x2 table, the gain of tuning, and how well passages were found; 95 % intervals in brackets."""
    console = Console(width=max(Console().width, 120))
    table = Table(
        title=f"{result['questions']} held-out questions of {result['base_model']} and adapter {result['adapter']!r}",
        box=box.SIMPLE,
    )
    table.add_column("who answers")
    table.add_column("language")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for cell, languages in result["table"].items():
        for language, figures in languages.items():
            row = [
                "-" if column.startswith("citation") and cell.endswith("without index") else _figure(figures[column])
                for column in COLUMNS
            ]
            table.add_row(cell if language == "all" else "", language, *row, end_section=language != "all")
    console.print(table)
    for index, gain in result["gain"].items():
        verdict = "better than" if gain[1] > 0 else "worse than" if gain[2] < 0 else "not proven different from"
        console.print(f"Tuned minus base, {index}: token F1 {_figure(gain)}: tuned is {verdict} base.")
    found = Table(title="Finding the gold document", box=box.SIMPLE)
    for title in ("language", "questions", "hit@1", "hit@5", "MRR"):
        found.add_column(title, justify="left" if title == "language" else "right")
    for language, figures in result["retrieval"].items():
        found.add_row(
            language, str(figures["questions"]), *(_figure(figures[name]) for name in ("hit@1", "hit@5", "mrr"))
        )
    console.print(found)
    console.print(f"Refusal: {result['refusal']}")
    console.print("Figures in brackets are 95 % bootstrap intervals over questions.")


def _figure(figure: list[float] | tuple[float, float, float]) -> str:
    value, low, high = figure
    return "-" if value != value else f"{value:.2f} ({low:.2f} to {high:.2f})"
