"""nf4 layers of bitsandbytes that multiply by compiled loops, where bitsandbytes has no product for the processor.

Without AVX-512 it unpacks the whole matrix for every token. The weights stay as bitsandbytes has packed them, so what
it saves, merges and trains on is the same.
"""

from typing import Any

import torch
from bitsandbytes.functional import dequantize_blockwise
from bitsandbytes.nn import Linear4bit

from base_models import compiled_products, pieces


class CompiledLinear4bit(Linear4bit):
    """A frozen nf4 layer; its input gets gradients."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = _Product.apply(hidden_states, self.weight)
        return product if self.bias is None else product + self.bias.to(product.dtype)


class _Product(torch.autograd.Function):
    """Keeps nothing of the unpacked matrix for the backward pass, which unpacks it again."""

    @staticmethod
    def forward(ctx: Any, hidden_states: torch.Tensor, weight: Any) -> torch.Tensor:
        ctx.weight = weight
        rows, matrix = hidden_states.flatten(0, -2).float(), _Matrix(weight)
        if len(rows) <= compiled_products.FEW_ROWS:
            result = compiled_products.nf4_product(rows, matrix.packed, matrix.scales, matrix.code)
        else:
            result = pieces.product(rows, matrix.rows, len(matrix.packed))
        return result.to(hidden_states.dtype).unflatten(0, hidden_states.shape[:-1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (outputs,) = gradients
        matrix = _Matrix(ctx.weight)
        result = pieces.gradient(outputs.float(), matrix.rows, 2 * matrix.packed.shape[1])
        return result.to(outputs.dtype), None


class _Matrix:
    """A packed weight row by row, with the scales of its blocks; with double quantisation these are packed too."""

    def __init__(self, weight: Any):
        state = weight.quant_state
        out_features, in_features = state.shape
        scales = dequantize_blockwise(state.absmax, state.state2) + state.offset if state.nested else state.absmax
        self.packed = weight.data.view(out_features, in_features // 2)
        self.scales = scales.float().view(out_features, in_features // state.blocksize)
        self.code = state.code

    def rows(self, start: int, stop: int) -> torch.Tensor:
        return compiled_products.unpack_nf4(self.packed[start:stop], self.scales[start:stop], self.code)


def multiply_compiled(model: torch.nn.Module) -> None:
    """Let the nf4 layers of a model that lies on the CPU multiply by compiled loops, where those are wanted."""
    if not compiled_products.wanted():
        return
    for part in model.modules():
        if type(part) is Linear4bit:
            weight: Any = part.weight
            state = weight.quant_state
            whole_rows = state.shape[1] % state.blocksize == 0  # else blocks go over rows
            if state.quant_type == "nf4" and state.blocksize == compiled_products.NF4_BLOCK and whole_rows:
                part.__class__ = CompiledLinear4bit  # the weights stay where they are
