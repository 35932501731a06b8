"""Whether an adapter has won, and may answer in place of the base model, or of the reader that is shipped for it.

A finished run is a candidate. It is promoted by an evaluation in which, with the index, its own words are right more
often than the other's by more than chance, or as often while fewer of its sentences are unsupported; and in which
it has not forgotten too much of everyday language.
"""

from dataclasses import dataclass
from typing import Any

from assistant.adapters import is_shipped, use
from domain import Domain

MOST_FORGOTTEN = 0.3
"""The most that the loss on everyday questions or texts may rise, in nats a token. Chosen between what LoRA forgot with
replay and without, 0.23 and 0.40 (docs/finetuning.md)."""
FEWEST = 20
"""Fewer judged questions prove nothing, whatever their interval says. Chosen."""


@dataclass(frozen=True)
class Decision:
    """Whether an adapter is promoted, and why, in a sentence."""

    won: bool
    reason: str


def decide(result: dict[str, Any]) -> Decision:
    """Read the decision off the result of an evaluation of an adapter."""
    name = result["adapter"]
    right, unsupported = (result["gain"][score]["with index"] for score in ("right_written", "unsupported"))
    judged = sum(row["right"] is not None for row in result["answers"]["tuned, with index"])
    if right is None or judged < FEWEST:
        return Decision(False, f"{judged} questions can be judged, and {FEWEST} are the fewest that prove anything")
    rise = max(result["likelihood"]["rise"][text][0] for text in ("general_prompts", "general_text"))
    said = f"right {_signed(right)}, unsupported sentences {_signed(unsupported)}"
    better = right[1] > 0
    as_good = right[0] >= 0 and unsupported is not None and unsupported[2] < 0
    before = {"base": "the base model", "reader": "the reader"}[result["compared"]["with index"][1]]
    if not (better or as_good):
        return Decision(False, f"{name!r} is not shown to be better than {before}: {said}")
    if rise > MOST_FORGOTTEN:
        return Decision(
            False,
            f"{name!r} has forgotten too much: loss on everyday language {rise:+.2f}, at most {MOST_FORGOTTEN:.2f}",
        )
    return Decision(True, f"{name!r} is better than {before}: {said}")


def promote(domain: Domain, result: dict[str, Any]) -> str:
    """Let the adapter of an evaluation answer if it won; what was decided, in a sentence."""
    name, answers = result["adapter"], domain.settings.adapter
    if not name:
        return ""
    decision = decide(result)
    by_hand = domain.command("use")
    if name == answers:
        change = "" if decision.won else f"; it answers because domain.toml says so: {by_hand} base takes it off"
        return f"{decision.reason}{change}."
    if not decision.won:
        return f"{decision.reason}; it stays a candidate ({by_hand} {name} lets it answer all the same)."
    if answers and not is_shipped(domain, answers):
        return (
            f"{decision.reason}; {answers!r} answers, and two adapters are not compared: {by_hand} {name} changes it."
        )
    use(domain, name)
    return f"{decision.reason}, so it answers from now on (domain.toml)."


def _signed(gain: tuple[float, float, float]) -> str:
    value, low, high = gain
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
