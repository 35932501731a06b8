"""The evaluation as a picture: before and after, side by side, each figure with its interval."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.tables import ERRORS
from domain import whole_file

COLOURS = {"base": "#9aa5b1", "tuned": "#2f6f4f"}
RISES = {"held_out": "gold answers", "general_prompts": "general\nquestions", "general_text": "general\ntext"}


def plot_evaluation(result: dict[str, Any], path: Path) -> None:
    """Draw token F1 in the four cells, the errors with the index, and what tuning did to the loss; whole or not at
    all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    answers, errors, losses = figure.subplots(1, 3, width_ratios=(2, 4, 3))
    table = result["table"]
    who = [name for name in COLOURS if f"{name}, with index" in table]
    cells = ("without index", "with index")
    for name in who:
        _bars(answers, who, name, [table[f"{name}, {cell}"]["all"]["token_f1"] for cell in cells], cells)
        _bars(errors, who, name, [table[f"{name}, with index"]["all"][key] for key in ERRORS], list(ERRORS.values()))
    answers.set(title=f"Token F1, {result['questions']} questions", ylim=(0, None))
    errors.set(title="Errors and citations, with index", ylim=(0, 1))
    answers.legend()
    if "rise" in result["likelihood"]:
        _bars(losses, ["tuned"], "tuned", [result["likelihood"]["rise"][key] for key in RISES], list(RISES.values()))
        losses.axhline(0, color="black", linewidth=0.8)
        losses.set(title="Rise of the loss by tuning (nats a token)")
    else:
        losses.set_axis_off()
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=120, format="png")


def _bars(
    axes: Any, who: Sequence[str], name: str, figures: Sequence[Sequence[float] | None], labels: Sequence[str]
) -> None:
    """Bars of one of ``who``, beside those of the others; a figure that is not defined has none."""
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
