"""What the training loop reports of each optimiser step, and the best parameters so far."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Step:
    """Reported after each optimiser step."""

    step: int
    steps: int
    loss: float
    """Mean negative log-likelihood per labelled token, in nats."""
    learning_rate: float
    tokens: int
    """Tokens read so far, prompts included."""
    tokens_per_second: float
    seconds_left: float
    held_out_loss: float | None = None
    """The same mean on the held-out examples, after steps with an evaluation."""


@dataclass
class Best:
    """The parameters with the lowest held-out loss so far."""

    loss: float = math.inf
    step: int = 0
    evals_since: int = 0
    """How many evaluations there were since, without a lower loss."""
    parameters: list[torch.Tensor] | None = None
