"""Products with a matrix whose weights are too coarse to multiply with, unpacked a piece of rows at a time.

A piece fits into the processor's cache, so the weights come from memory in their coarse form, and the whole matrix is
never there in a fine one. For the int8 and int4 releases of ChatGLM-6B, and for bfloat16 on processors that cannot
multiply it: these take several times as long for a product in bfloat16 as for unpacking it and one in float32.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

PIECE = 512
"""Rows of a matrix that are unpacked together; a multiple of every packed layout's block."""
FEW_ROWS = 4
"""With fewer rows of inputs the processor waits for memory anyway, and unpacking costs more than it saves."""

Rows = Callable[[int, int], torch.Tensor]
"""The weights of the output rows from one number to another, [rows, in_features], in any type."""


def product(inputs: torch.Tensor, rows: Rows, out_features: int) -> torch.Tensor:
    """inputs [n, in_features] times the transposed matrix, in the type of the inputs."""
    result = inputs.new_empty(len(inputs), out_features)
    for start in range(0, out_features, PIECE):
        result[:, start : start + PIECE] = inputs @ rows(start, start + PIECE).to(inputs.dtype).T
    return result


def gradient(outputs: torch.Tensor, rows: Rows, in_features: int) -> torch.Tensor:
    """What :func:`product` has as gradient of its inputs, from that of its outputs [..., out_features]."""
    result = outputs.new_zeros(*outputs.shape[:-1], in_features)
    for start in range(0, outputs.shape[-1], PIECE):
        result += outputs[..., start : start + PIECE] @ rows(start, start + PIECE).to(outputs.dtype)
    return result


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for it."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


class WideLinear(nn.Linear):
    """A linear layer with bfloat16 weights that multiplies in float32; but not where it learns itself."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        learns = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters())
        if learns or hidden_states.shape[:-1].numel() < FEW_ROWS:
            return super().forward(hidden_states)
        result: torch.Tensor = _Product.apply(hidden_states, self.weight, self.bias)
        return result


class _Product(torch.autograd.Function):
    """Keeps nothing of the unpacked matrix for the backward pass, which unpacks it again."""

    @staticmethod
    def forward(ctx: Any, hidden_states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.weight = weight
        inputs = hidden_states.flatten(0, -2).float()
        result = product(inputs, lambda start, stop: weight[start:stop], len(weight))
        if bias is not None:
            result += bias
        return result.to(hidden_states.dtype).unflatten(0, hidden_states.shape[:-1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (outputs,) = gradients
        weight = ctx.weight
        result = gradient(outputs.float(), lambda start, stop: weight[start:stop], weight.shape[1])
        return result.to(outputs.dtype), None, None


def multiply_in_float32(model: nn.Module) -> None:
    """Let the bfloat16 linear layers of a model multiply in float32."""
    for part in model.modules():
        if type(part) is nn.Linear and part.weight.dtype == torch.bfloat16:
            part.__class__ = WideLinear  # the weights stay where they are
