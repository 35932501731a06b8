"""Formats evaluations and training reports for the terminal."""

import math
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from finetune import Forecast, RunReport

SCORES = {"token_f1": "token F1", "bleu4": "BLEU-4", "rouge1": "ROUGE-1", "rougeL": "ROUGE-L", "exact": "exact match"}
RIGHT = {
    "right": "right",
    "right_written": "right without\nquotes",
    "wrong": "wrong",
    "refused": "refused",
    "unsure": "answered,\nunsure",
    "unsupported": "unsupported\nsentences",
}
ERRORS = {
    "false_answers": "answers the\nunanswerable",
    "unsure_answers": "of which\nunsure",
    "citation_precision": "citation\nprecision",
    "citation_recall": "citation\nrecall",
}


LIKELIHOOD = {
    "held_out": "gold answers,\nno passages",
    "general_prompts": "general questions\n(higher: forgetting)",
    "general_text": "general text\n(higher: forgetting)",
}
POINTS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Rates of false refusals at which the trade-off is printed. Chosen."""
FEW = 20
"""With fewer questions, scores are not divided by language: they would be noise."""


def print_retrieval(result: dict[str, Any]) -> None:
    """Print retrieval scores: one table per language, and the gain by fusing both ways of searching."""
    console = Console(width=max(Console().width, 100))
    for language, found in result["results"].items():
        title = f"Retrieval of the gold document, {found['questions']} questions ({language}), in percent"
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
    console.print(f"95 % bootstrap intervals over questions. Written to {result['file']}")


def print_evaluation(result: dict[str, Any], ask_all: str = "") -> None:
    """Print right, wrong and refused in each cell, the gain by tuning, and the scores of retrieval and citations.

    ``ask_all`` is the command that asks all questions, if only some were asked.
    """
    console = Console(width=max(Console().width, 100))
    scores = result["table"]
    few = result["questions"] < FEW
    title = f"Answers to the answerable of {result['questions']} held-out questions"
    console.print(_by_cell(title, scores, RIGHT, few, with_intervals=True))
    console.print(
        "right: the answer, quotes included, contains all facts of the question; unsupported: no passage supports it"
    )
    if result["without_facts"]:
        unknown = f"; {result['not_judged']} without these are not scored" if result["not_judged"] else ""
        console.print(
            f"{result['without_facts']} answerable questions list no facts and are scored by the numbers and names of "
            f"their gold answers{unknown}"
        )
    for cell, gain in result["gain"]["right_written"].items():
        after, before = result["compared"][cell]
        console.print(
            f"Right without quotes, {after} minus {before}, {cell}: {_interval(gain)}: {result['verdict'][cell]}"
        )
    if result.get("promotion"):
        console.print(result["promotion"])
    console.print(_by_cell("Unanswerable questions, and citations", scores, ERRORS, few))
    console.print(_by_cell("Overlap with the gold answers", scores, SCORES, few))
    likelihood = Table(title="Loss in nats per token (perplexity)", box=box.SIMPLE)
    for title in ("", *LIKELIHOOD.values()):
        likelihood.add_column(title)
    for who, row in result["likelihood"].items():
        show = _interval if who == "rise" else _perplexity
        likelihood.add_row("change by tuning" if who == "rise" else who, *(show(row[name]) for name in LIKELIHOOD))
    console.print(likelihood)

    found = Table(title="Retrieval of the gold document", box=box.SIMPLE)
    for title in ("language", "questions", "hit@1", "hit@5", "MRR"):
        found.add_column(title)
    for language, row in result["retrieval"].items():
        if few and language != "all":
            continue
        found.add_row(language, str(row["questions"]), *(_interval(row[name]) for name in ("hit@1", "hit@5", "mrr")))
    console.print(found)
    _print_trade_off(console, result)
    console.print(f"Refusal: {result['refusal']}.")
    if few:
        more = f"; for all: {ask_all}" if ask_all else ""
        console.print(f"{result['questions']} questions are too few for a conclusion{more}")
    console.print(
        "In brackets: 95 % bootstrap intervals over questions. All scores, answers and a plot are in evaluations/."
    )


def _print_trade_off(console: Console, result: dict[str, Any]) -> None:
    """A few points of the curve: the rate of false answers at each of several rates of false refusals."""
    curve = result["trade_off"]
    if not curve:
        return
    table = Table(title="Refusal at other thresholds (answer.refusal)", box=box.SIMPLE)
    for heading in ("threshold", "refuses the answerable", "answers the unanswerable"):
        table.add_column(heading, justify="right")
    for share in POINTS:
        point = max((p for p in curve if p["false_refusals"] <= share), key=lambda p: p["threshold"])
        table.add_row(*(f"{point[key]:.2f}" for key in ("threshold", "false_refusals", "false_answers")))
    console.print(table)


def _by_cell(
    title: str, figures: dict[str, Any], columns: dict[str, str], few: bool, with_intervals: bool = False
) -> Table:
    """A row per cell of the 2x2 table, followed by one per language unless there are ``few`` questions."""
    table = Table(title=title, box=box.SIMPLE)
    table.add_column("model")
    table.add_column("language")
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for cell, languages in figures.items():
        for language, row in languages.items():
            if few and language != "all":
                continue
            absent = ("citation", "unsupported", "unsure") if cell.endswith("without index") else ()
            show = _interval if with_intervals else _value
            values = ["" if name.startswith(absent) else show(row[name]) for name in columns]
            table.add_row(cell if language == "all" else "", language, *values)
    return table


def forecast(told: "Forecast") -> str:
    """The cost of a run, as a sentence, before it starts."""
    least = f"{told.least_seconds / 60:.0f} min" if told.least_seconds > 90 else f"{told.least_seconds:.0f} s"
    return (
        f"{told.examples} examples in {told.steps} steps, {told.tokens:,} tokens; {told.trained_parameters:,} "
        f"trainable parameters; about {told.memory_bytes / 1e9:.1f} GB of memory besides the model "
        f"({told.free_bytes / 1e9:.1f} GB free); at least {least}."
    )


def trained(report: "RunReport", rare: int = 0, shortened: str = "without their first rounds") -> str:
    """The report of a run as a sentence; ``rare`` unanswerable questions were left out of it."""
    left = f", {report.over_budget} left out by max_train_tokens" if report.over_budget else ""
    left += f", {report.too_long} longer than max_length" if report.too_long else ""
    left += f", {report.shortened} {shortened}" if report.shortened else ""
    left += f", {rare} unanswerable left out to keep refusals rare" if rare else ""
    before, after = report.losses()
    short = len(report.steps) < 4 or report.held_out_examples  # too few steps to judge, or the best state was kept
    risen = "" if after < before or short else "; it did not fall, so use more examples or steps"
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
