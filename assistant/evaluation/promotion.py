"""Decides whether an adapter replaces the base model, or its shipped reader, as the one that answers.

A finished run is a candidate. An evaluation promotes it if, with the index, its own text is right more often than that
of the model it is compared with, by more than chance, or as often with fewer unsupported sentences; and if it has not
forgotten too much of everyday language.
"""

from dataclasses import dataclass
from typing import Any

from assistant.domain_adapters import is_shipped, use
from domain import Domain

MOST_FORGOTTEN = 0.3
"""Maximum rise of the loss on everyday questions or texts, in nats per token. Chosen between the rise of LoRA with
replay, 0.23, and without, 0.40 (docs/finetuning.md)."""
FEWEST = 20
"""Minimum number of judged questions; fewer prove nothing, whatever their interval. Chosen."""


@dataclass(frozen=True)
class Decision:
    """Whether an adapter is promoted, and the reason as a sentence."""

    won: bool
    reason: str


def decide(result: dict[str, Any]) -> Decision:
    """Decide from the evaluation result of an adapter."""
    name = result["adapter"]
    right, unsupported = (result["gain"][score]["with index"] for score in ("right_written", "unsupported"))
    judged = sum(row["right"] is not None for row in result["answers"]["tuned, with index"])
    if right is None or judged < FEWEST:
        return Decision(False, f"only {judged} questions can be scored, and a comparison needs at least {FEWEST}")
    rise = max(result["likelihood"]["rise"][text][0] for text in ("general_prompts", "general_text"))
    said = f"right {_signed(right)}, unsupported sentences {_signed(unsupported)}"
    better = right[1] > 0
    as_good = right[0] >= 0 and unsupported is not None and unsupported[2] < 0
    before = {"base": "the base model", "reader": "the reader"}[result["compared"]["with index"][1]]
    if not (better or as_good):
        return Decision(False, f"{name!r} is not proven better than {before}: {said}")
    if rise > MOST_FORGOTTEN:
        return Decision(
            False,
            f"{name!r} has forgotten too much: loss on general text {rise:+.2f}, allowed {MOST_FORGOTTEN:+.2f}",
        )
    return Decision(True, f"{name!r} is better than {before}: {said}")


def promote(domain: Domain, result: dict[str, Any]) -> str:
    """Let the adapter of an evaluation answer if it won. Returns the decision as a sentence."""
    name, answers = result["adapter"], domain.settings.adapter
    if not name:
        return ""
    decision = decide(result)
    by_hand = domain.command("use")
    if name == answers:
        change = (
            ""
            if decision.won
            else f"; it is active because domain.toml names it; to deactivate it, run: {by_hand} base"
        )
        return f"{decision.reason}{change}."
    if not decision.won:
        return f"{decision.reason}; it stays a candidate; to activate it anyway, run: {by_hand} {name}"
    if answers and not is_shipped(domain, answers):
        return (
            f"{decision.reason}; it was not compared with the active adapter {answers!r}; "
            f"to switch, run: {by_hand} {name}"
        )
    use(domain, name)
    return f"{decision.reason}, so it is now active (domain.toml)."


def _signed(gain: tuple[float, float, float]) -> str:
    value, low, high = gain
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
