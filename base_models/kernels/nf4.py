"""nf4 layers of bitsandbytes that multiply by compiled loops, where bitsandbytes has no product for the processor.

Without AVX-512 bitsandbytes dequantises the whole matrix for every token. The weights stay as bitsandbytes packed
them, so saving, merging and training are unchanged.
"""

from typing import Any

import torch
from bitsandbytes.functional import dequantize_blockwise
from bitsandbytes.nn import Linear4bit

from base_models.kernels import compiled_loops
from base_models.kernels.blockwise import FrozenMatmul, input_gradient, matmul


class CompiledLinear4bit(Linear4bit):
    """A frozen nf4 layer; gradients flow to its input."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = FrozenMatmul.apply(hidden_states, self._product, self._gradient)
        return product if self.bias is None else product + self.bias.to(product.dtype)

    def _product(self, inputs: torch.Tensor) -> torch.Tensor:
        inputs, matrix = inputs.float(), _Matrix(self.weight)
        if len(inputs) <= compiled_loops.FEW_INPUTS:
            return compiled_loops.nf4_matmul(inputs, matrix.packed, matrix.scales, matrix.code)
        return matmul(inputs, matrix.rows, len(matrix.packed))

    def _gradient(self, outputs: torch.Tensor) -> torch.Tensor:
        matrix = _Matrix(self.weight)
        return input_gradient(outputs.float(), matrix.rows, 2 * matrix.packed.shape[1])


class _Matrix:
    """A packed weight by rows, with the scales of its blocks; double quantisation packs the scales too."""

    def __init__(self, weight: Any):
        state = weight.quant_state
        out_features, in_features = state.shape
        scales = dequantize_blockwise(state.absmax, state.state2) + state.offset if state.nested else state.absmax
        self.packed = weight.data.view(out_features, in_features // 2)
        self.scales = scales.float().view(out_features, in_features // state.blocksize)
        self.code = state.code

    def rows(self, start: int, stop: int) -> torch.Tensor:
        return compiled_loops.unpack_nf4(self.packed[start:stop], self.scales[start:stop], self.code)


def use_compiled_loops(model: torch.nn.Module) -> None:
    """Let the nf4 layers of a model on the CPU multiply by compiled loops, where those are faster."""
    if not compiled_loops.are_faster():
        return
    for part in model.modules():
        if type(part) is Linear4bit:
            weight: Any = part.weight
            state = weight.quant_state
            whole_rows = state.shape[1] % state.blocksize == 0  # otherwise a block of weights spans two rows
            if state.quant_type == "nf4" and state.blocksize == compiled_loops.NF4_BLOCK and whole_rows:
                part.__class__ = CompiledLinear4bit  # the weights stay where they are
