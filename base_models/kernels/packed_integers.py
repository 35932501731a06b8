"""The released int8 and int4 checkpoints of ChatGLM-6B: linear layers whose weights stay packed in memory.

    int8   weight [out, in] int8            weight[o, i] = q[o, i]
    int4   weight [out, in / 2] int8        byte j of a row = q[o, 2j] in the high nibble, q[o, 2j + 1] in the low one
    both   weight_scale [out] float16       the layer's matrix is q * weight_scale: symmetric, one scale an output row

The released code needs a CUDA binary, or a C compiler when it loads. Here a few bfloat16 input rows on a CPU go through
torch's own packed products (``_weight_int8pack_mm``, ``_weight_int4pack_mm_for_cpu``; those of other types are not
vectorised); int4 with AVX2 goes through a compiled loop, in every type. Everything else is a blockwise dequantised
matmul.

Not supported: training the packed weights (they are frozen, as LoRA needs it), packed embeddings.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from base_models.errors import ModelError
from base_models.kernels import compiled_loops
from base_models.kernels.blockwise import FrozenMatmul, has_bfloat16, input_gradient, matmul
from base_models.kernels.int4_layouts import (
    pack,
    to_torch_layout,
    unpack,
    unpack_torch_layout,
    unpack_torch_layout_compiled,
)

FEW_INPUTS = 32
"""Most input rows for torch's packed products; with more, the blockwise matmul. Chosen."""
GROUP = 64
"""Inputs that share a scale in torch's int4 product; here all its scales are 1, and the row's scale comes after it."""


class PackedLinear(nn.Linear):
    """A linear layer in the released layout; its weights are frozen, its bias and input get gradients."""

    weight: torch.Tensor  # type: ignore[assignment]  # Linear's is a parameter
    weight_scale: torch.Tensor

    def __init__(self, in_features: int, out_features: int, bits: int):
        nn.Module.__init__(self)  # not Linear's, which would allocate a float weight
        self.in_features, self.out_features, self.bits = in_features, out_features, bits
        self.in_torch_layout = False
        """Whether ``weight`` is in the layout of torch's int4 product instead of the released one."""
        packed = torch.zeros(out_features, in_features * bits // 8, dtype=torch.int8)
        self.register_buffer("weight", packed)
        self.register_buffer("weight_scale", torch.ones(out_features, dtype=torch.float16))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = FrozenMatmul.apply(hidden_states, self._product, self._gradient)
        return product + self.bias

    def unpacked(self, dtype: torch.dtype) -> torch.Tensor:
        """The layer's matrix, [out_features, in_features]."""
        return (self.numbers(0, self.out_features) * self.weight_scale.float()[:, None]).to(dtype)

    def numbers(self, start: int, stop: int) -> torch.Tensor:
        """The integers of the output rows from ``start`` to ``stop``, [rows, in_features], in int8 or float32."""
        packed = self.weight[start:stop]
        if self.bits == 8:
            return packed
        if packed.device.type == "cpu" and compiled_loops.can_compile():
            return unpack_torch_layout_compiled(packed) if self.in_torch_layout else compiled_loops.unpack_int4(packed)
        return unpack_torch_layout(packed) if self.in_torch_layout else unpack(packed)

    def released_weight(self) -> torch.Tensor:
        """The packed numbers in the released layout, whatever the layout in memory is."""
        return pack(unpack_torch_layout(self.weight)) if self.in_torch_layout else self.weight

    def _product(self, inputs: torch.Tensor) -> torch.Tensor:
        """Input rows [n, in_features] times the matrix, without the bias."""
        on_cpu, use_loop = inputs.device.type == "cpu", self.bits == 4 and compiled_loops.are_faster()
        if on_cpu and use_loop and len(inputs) <= compiled_loops.FEW_INPUTS:
            result = compiled_loops.int4_matmul(inputs, self.weight)
        elif on_cpu and not use_loop and len(inputs) <= FEW_INPUTS and self._torch_multiplies(inputs.dtype):
            result = self._torch_product(inputs)
        else:
            result = matmul(inputs.to(_product_dtype(inputs)), self.numbers, self.out_features)
        return result * self.weight_scale.float()

    def _gradient(self, outputs: torch.Tensor) -> torch.Tensor:
        scaled = (outputs * self.weight_scale.float()).to(_product_dtype(outputs))
        return input_gradient(scaled, self.numbers, self.in_features)

    def _torch_multiplies(self, dtype: torch.dtype) -> bool:
        if dtype != torch.bfloat16:
            return False
        if self.bits == 8:
            return hasattr(torch, "_weight_int8pack_mm")
        fits = self.in_features % GROUP == 0 and self.out_features % 64 == 0
        return fits and hasattr(torch, "_weight_int4pack_mm_for_cpu")

    def _torch_product(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.bits == 8:
            return torch._weight_int8pack_mm(inputs, self.weight, _ones(self.out_features))
        if not self.in_torch_layout:
            self.weight, self.in_torch_layout = to_torch_layout(self.weight), True
        table = _ones_and_zeros(self.in_features // GROUP, self.out_features)
        return torch._weight_int4pack_mm_for_cpu(inputs, self.weight, GROUP, table)

    def _apply(self, fn: Callable, recurse: bool = True) -> "PackedLinear":
        self.weight, self.in_torch_layout = self.released_weight(), False  # other devices do not know the CPU's layout
        scale = self.weight_scale
        super()._apply(fn, recurse)
        self.weight_scale = scale.to(self.weight.device)  # .bfloat16() would round it
        return self

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self.released_weight()

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.weight, self.in_torch_layout = self.released_weight(), False
        super()._load_from_state_dict(*args, **kwargs)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bits={self.bits}"


def quantize(weight: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pack a matrix [out, in] as the released code did: the packed weight and float16 scales of a checkpoint."""
    if bits not in (4, 8):
        raise ModelError(f"ChatGLM-6B is packed in 4 or 8 bits, not in {bits}.")
    scale = (weight.abs().amax(1) / (2 ** (bits - 1) - 1)).half()
    numbers = torch.round(weight / scale[:, None].to(weight.dtype)).to(torch.int8)
    return (numbers if bits == 8 else pack(numbers)), scale


def _product_dtype(rows: torch.Tensor) -> torch.dtype:
    """The dtype to multiply in: that of the activations, but float32 on a CPU without bfloat16 instructions."""
    return torch.float32 if rows.device.type == "cpu" and not has_bfloat16() else rows.dtype


@lru_cache(maxsize=8)
def _ones(out_features: int) -> torch.Tensor:
    return torch.ones(out_features, dtype=torch.bfloat16)


@lru_cache(maxsize=8)
def _ones_and_zeros(groups: int, out_features: int) -> torch.Tensor:
    """Scale 1 and zero point 0 for every group; one table serves all layers of a shape."""
    ones = torch.ones(groups, out_features, dtype=torch.bfloat16)
    return torch.stack((ones, torch.zeros_like(ones)), -1).contiguous()
