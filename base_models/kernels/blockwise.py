"""Blockwise dequantised matmul: the weights are converted to a finer type a block of rows at a time, then multiplied.

A block fits into the processor's cache, so weights are read from memory in their coarse type, and the whole matrix
never exists in the finer one. For the int8 and int4 releases of ChatGLM-6B, for nf4, and for bfloat16 on processors
without bfloat16 instructions: there a product in bfloat16 takes several times as long as converting the matrix and a
product in float32.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

BLOCK_ROWS = 512
"""Rows that are dequantised together; a multiple of the row block of every packed layout. Chosen."""
FEW_INPUTS = 4
"""Fewer input rows are multiplied in bfloat16: reading the weights takes longer than the product. Chosen."""

Rows = Callable[[int, int], torch.Tensor]
"""Dequantised weights of the output rows [start, stop), [rows, in_features], in any type."""
Function = Callable[[torch.Tensor], torch.Tensor]


class FrozenMatmul(torch.autograd.Function):
    """A product with frozen weights, given as two functions: ``FrozenMatmul.apply(inputs, product, gradient)``.

    ``product`` maps input rows [n, in_features] to output rows, ``gradient`` the gradient of the outputs to that of the
    inputs. The backward pass dequantises the weights again, so nothing dequantised is kept for it.
    """

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, product: Function, gradient: Function) -> torch.Tensor:
        ctx.gradient = gradient
        return product(inputs.flatten(0, -2)).to(inputs.dtype).unflatten(0, inputs.shape[:-1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (outputs,) = gradients
        return ctx.gradient(outputs).to(outputs.dtype), None, None


def matmul(inputs: torch.Tensor, rows: Rows, out_features: int) -> torch.Tensor:
    """``inputs`` [n, in_features] times the transposed matrix, in the type of the inputs."""
    result = inputs.new_empty(len(inputs), out_features)
    for start in range(0, out_features, BLOCK_ROWS):
        result[:, start : start + BLOCK_ROWS] = inputs @ rows(start, start + BLOCK_ROWS).to(inputs.dtype).T
    return result


def input_gradient(outputs: torch.Tensor, rows: Rows, in_features: int) -> torch.Tensor:
    """The gradient of the inputs of :func:`matmul`, from that of its outputs [..., out_features]."""
    result = outputs.new_zeros(*outputs.shape[:-1], in_features)
    for start in range(0, outputs.shape[-1], BLOCK_ROWS):
        result += outputs[..., start : start + BLOCK_ROWS] @ rows(start, start + BLOCK_ROWS).to(outputs.dtype)
    return result


def has_bfloat16() -> bool:
    """Whether this processor has bfloat16 instructions."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


class Float32MatmulLinear(nn.Linear):
    """A linear layer with bfloat16 weights that multiplies in float32, unless its own weights are trained."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        trained = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters())
        if trained or hidden_states.shape[:-1].numel() < FEW_INPUTS:
            return super().forward(hidden_states)
        result: torch.Tensor = FrozenMatmul.apply(hidden_states, self._product, self._gradient)
        return result

    def _product(self, inputs: torch.Tensor) -> torch.Tensor:
        result = matmul(inputs.float(), self._rows, self.out_features)
        return result if self.bias is None else result.add_(self.bias)

    def _gradient(self, outputs: torch.Tensor) -> torch.Tensor:
        return input_gradient(outputs.float(), self._rows, self.in_features)

    def _rows(self, start: int, stop: int) -> torch.Tensor:
        return self.weight[start:stop]


def multiply_in_float32(model: nn.Module) -> None:
    """Let the bfloat16 linear layers of a model multiply in float32."""
    for part in model.modules():
        if type(part) is nn.Linear and part.weight.dtype == torch.bfloat16:
            part.__class__ = Float32MatmulLinear  # the weights stay where they are
