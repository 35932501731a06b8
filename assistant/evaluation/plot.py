"""Plots an evaluation: before and after side by side, each score with its interval."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from domain import whole_file

COLOURS = {"base": "#9aa5b1", "tuned": "#2f6f4f"}
OUTCOMES = {"right": "#2f6f4f", "wrong": "#c0504d", "refused": "#c9ced6"}
RISES = {"held_out": "gold answers", "general_prompts": "general\nquestions", "general_text": "general\ntext"}


def plot_evaluation(result: dict[str, Any], path: Path) -> None:
    """Draw right, wrong and refused in each cell, false refusals against false answers, and the rise of the loss by
    tuning. The file is written completely or not at all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4), layout="constrained")
    outcomes, trade_off, losses = figure.subplots(1, 3, width_ratios=(5, 3, 3))
    _outcomes(outcomes, result["table"])
    outcomes.set(title=f"Answers to the answerable of {result['questions']} questions", ylim=(0, 1))
    _trade_off(trade_off, result)
    if "rise" in result["likelihood"]:
        _bars(losses, ["tuned"], "tuned", [result["likelihood"]["rise"][key] for key in RISES], list(RISES.values()))
        losses.axhline(0, color="black", linewidth=0.8)
        losses.set(title="Change of the loss by tuning (nats per token)")
    else:
        losses.set_axis_off()
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=120, format="png")


def _outcomes(axes: Any, table: dict[str, Any]) -> None:
    """A stacked bar per cell: right, wrong and refused; the interval is that of right."""
    cells = [name for name, row in table.items() if row["all"]["right"]]
    bottom = [0.0] * len(cells)
    for key, colour in OUTCOMES.items():
        heights = [table[cell]["all"][key][0] for cell in cells]
        axes.bar(range(len(cells)), heights, 0.7, bottom=bottom, color=colour, label=key)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    for place, cell in enumerate(cells):
        value, low, high = table[cell]["all"]["right"]
        axes.errorbar(place, value, [[value - low], [high - value]], color="black", capsize=3)
    axes.set_xticks(range(len(cells)), [cell.replace(", ", "\n") for cell in cells], fontsize=8)
    axes.legend(fontsize=8)


def _trade_off(axes: Any, result: dict[str, Any]) -> None:
    """The curve over all thresholds, with the chosen level marked."""
    curve = result["trade_off"]
    if not curve:
        axes.set_axis_off()
        return
    axes.step([point["false_refusals"] for point in curve], [point["false_answers"] for point in curve], where="post")
    rows = result["answers"]["base, with index"]
    refused = [row["outcome"] == "refused" for row in rows if row["answerable"]]
    answered = [row["outcome"] != "refused" for row in rows if not row["answerable"]]
    chosen = (sum(refused) / len(refused), sum(answered) / len(answered))
    axes.plot(*chosen, "o", color="#c0504d", label=f"refusal = {result['refusal_level']}")
    axes.set(
        title="Refusal at every threshold",
        xlabel="refuses the answerable",
        ylabel="answers the unanswerable",
        xlim=(0, 1),
        ylim=(0, 1.02),
    )
    axes.legend()
    axes.grid(alpha=0.3)


def _bars(
    axes: Any, who: Sequence[str], name: str, figures: Sequence[Sequence[float] | None], labels: Sequence[str]
) -> None:
    """Bars of one of ``who`` beside those of the others; an undefined score has no bar."""
    width = 0.8 / len(who)
    for place, figure in enumerate(figures):
        if figure:
            value, low, high = figure
            at = place + (who.index(name) - (len(who) - 1) / 2) * width
            shown = name if place == 0 else None
            error = [[value - low], [high - value]]
            axes.bar(at, value, width, color=COLOURS[name], yerr=error, capsize=3, label=shown)
    axes.set_xticks(range(len(labels)), labels, fontsize=9)
    axes.grid(axis="y", alpha=0.3)
