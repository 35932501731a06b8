"""The evaluation as tables in the terminal."""

import math
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from finetune import Forecast, RunReport

SCORES = {"token_f1": "token F1", "bleu4": "BLEU-4", "rouge1": "ROUGE-1", "rougeL": "ROUGE-L", "exact": "exact match"}
ERRORS = {
    "false_answers": "answers the\nunanswerable",
    "false_refusals": "refuses the\nanswerable",
    "citation_precision": "citation\nprecision",
    "citation_recall": "citation\nrecall",
}


LIKELIHOOD = {
    "held_out": "gold answers,\nby heart",
    "general_prompts": "general questions\n(a rise is forgetting)",
    "general_text": "general text\n(a rise is forgetting)",
}
FEW = 20
"""Fewer questions than this are not divided by language: every figure would be noise."""


def print_retrieval(result: dict[str, Any]) -> None:
    """Print how well passages are found: a table a language, and whether fusing both ways was worth it."""
    console = Console(width=max(Console().width, 100))
    for language, found in result["results"].items():
        title = f"Passages of the gold document found for {found['questions']} questions ({language}), in percent"
        table = Table(title=title, box=box.ROUNDED)
        for heading in ("", *found["figures"]["fused"]):
            table.add_column(heading)
        for way, figures in found["figures"].items():
            percent = [[f"{100 * part:.1f}" for part in figure] for figure in figures.values()]
            cells = [f"{value} ({low} to {high})" for value, low, high in percent]
            table.add_row(way, *cells)
        console.print(table)
        for name, above in found["fused above the better leg"].items():
            value, low, high = (100 * part for part in above["fused minus it"])
            console.print(f"{name}: fused minus {above['better leg']} {value:+.1f} ({low:+.1f} to {high:+.1f})")
    console.print(f"Intervals are 95 % bootstraps over questions. Written to {result['file']}")


def print_evaluation(result: dict[str, Any], ask_all: str = "") -> None:
    """Print the 2x2 table, the gain of tuning, the rates of each kind of error, and how well passages are found.

    ``ask_all`` is the command that asks all questions, where only some were asked.
    """
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

    few = result["questions"] < FEW
    console.print(_by_cell("Answers beside the gold ones", figures, SCORES, few))
    console.print(_by_cell("Errors and citations", figures, ERRORS, few))
    likelihood = Table(title="Loss, nats a token (perplexity)", box=box.SIMPLE)
    for title in ("", *LIKELIHOOD.values()):
        likelihood.add_column(title)
    for who, row in result["likelihood"].items():
        show = _interval if who == "rise" else _perplexity
        likelihood.add_row("rise by tuning" if who == "rise" else who, *(show(row[name]) for name in LIKELIHOOD))
    console.print(likelihood)

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
        more = f"; for all: {ask_all}" if ask_all else ""
        console.print(f"{result['questions']} questions give a first impression only{more}")
    console.print(
        "In brackets: 95 % bootstrap intervals over questions; all figures, answers and a picture are in evaluations/."
    )


def _by_cell(title: str, figures: dict[str, Any], columns: dict[str, str], few: bool) -> Table:
    """A row for each cell of the 2x2 table, and below it one for each language unless there are ``few`` questions."""
    table = Table(title=title, box=box.SIMPLE)
    table.add_column("who answers")
    table.add_column("language")
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for cell, languages in figures.items():
        for language, row in languages.items():
            if few and language != "all":
                continue
            absent = "citation" if cell.endswith("without index") else "-"
            values = ["" if name.startswith(absent) else _value(row[name]) for name in columns]
            table.add_row(cell if language == "all" else "", language, *values)
    return table


def forecast(told: "Forecast") -> str:
    """What a run will take, in a sentence, before it begins."""
    least = f"{told.least_seconds / 60:.0f} min" if told.least_seconds > 90 else f"{told.least_seconds:.0f} s"
    return (
        f"{told.examples} examples in {told.steps} steps, {told.tokens:,} tokens; {told.trained_parameters:,} "
        f"parameters learn; about {told.memory_bytes / 1e9:.1f} GB beside the model "
        f"({told.free_bytes / 1e9:.1f} free); at least {least}."
    )


def trained(report: "RunReport", rare: int = 0, shortened: str = "without their first rounds") -> str:
    """What a run did, in a sentence; ``rare`` unanswerable questions were not shown to it."""
    left = f", {report.over_budget} left out by max_train_tokens" if report.over_budget else ""
    left += f", {report.too_long} longer than max_length" if report.too_long else ""
    left += f", {report.shortened} {shortened}" if report.shortened else ""
    left += f", {rare} unanswerable ones left out so that refusals stay rare" if rare else ""
    before, after = report.losses()
    short = len(report.steps) < 4 or report.held_out_examples  # one step says nothing; and the best state was kept
    risen = "" if after < before or short else "; it did not fall: more examples or steps are needed"
    return (
        f"trained {report.trained_parameters:,} parameters on {report.examples} examples ({report.tokens:,} "
        f"tokens{left}) in {report.seconds:.0f} s; loss {before:.3f} -> {after:.3f} (first and last quarter of "
        f"{len(report.steps)} steps){risen}."
    )


def _perplexity(figure: list[float] | None) -> str:
    return "-" if figure is None else f"{figure[0]:.2f} ({math.exp(figure[0]):.1f})"


def _value(figure: list[float] | None) -> str:
    return "-" if figure is None else f"{figure[0]:.2f}"


def _interval(figure: list[float] | None) -> str:
    return "-" if figure is None else f"{figure[0]:.2f} ({figure[1]:.2f} to {figure[2]:.2f})"
