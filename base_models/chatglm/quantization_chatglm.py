"""The released int8 and int4 checkpoints of ChatGLM-6B: linear layers whose weights stay packed in memory.

    int8   weight [out, in] int8            weight[o, i] = q[o, i]
    int4   weight [out, in / 2] int8        byte j of a row = q[o, 2j] in the high nibble, q[o, 2j + 1] in the low one
    both   weight_scale [out] float16       the layer's matrix is q * weight_scale: symmetric, one scale an output row

The released code needs a CUDA binary, or a C compiler when it loads. Here a few rows of activations go through torch's
own packed products on a CPU (``_weight_int8pack_mm``, ``_weight_int4pack_mm_for_cpu``); many rows, other devices and
odd shapes through bit operations, which unpack one matrix at a time. Activations are multiplied in float32 on a CPU:
reading the weights takes the time there, and the scales then stay exact.

Not supported: gradients of the packed weights (they are frozen; what LoRA needs is there), packed embeddings.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from base_models.errors import ModelError

FEW_ROWS = 16
"""Up to so many rows the packed product beats unpacking the matrix first."""
_GROUP = 64  # torch's int4 product wants scales by group of inputs; ours are all one, and the row's scale comes after


class PackedLinear(nn.Linear):
    """A linear layer in the released layout; its weights are frozen, its bias and input get gradients."""

    weight: torch.Tensor  # type: ignore[assignment]  # Linear's is a parameter
    weight_scale: torch.Tensor

    def __init__(self, in_features: int, out_features: int, bits: int):
        nn.Module.__init__(self)  # not Linear's, which would make a float weight
        self.in_features, self.out_features, self.bits = in_features, out_features, bits
        self.laid_out = False
        """Whether ``weight`` lies as torch's int4 product wants it, instead of as released."""
        packed = torch.zeros(out_features, in_features * bits // 8, dtype=torch.int8)
        self.register_buffer("weight", packed)
        self.register_buffer("weight_scale", torch.ones(out_features, dtype=torch.float16))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = _Product.apply(hidden_states, self)
        return product + self.bias

    def unpacked(self, dtype: torch.dtype) -> torch.Tensor:
        """The layer's matrix, [out_features, in_features]."""
        numbers = self.weight if self.bits == 8 else _unpack(self.released_weight())
        return (numbers * self.weight_scale.float()[:, None]).to(dtype)

    def released_weight(self) -> torch.Tensor:
        """The packed numbers in the released layout, whatever the layout in memory is."""
        return _to_released(self.weight) if self.laid_out else self.weight

    def product(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """hidden_states [..., in_features] times the matrix, without the bias."""
        rows = hidden_states.flatten(0, -2)
        if len(rows) > FEW_ROWS or rows.device.type != "cpu" or not self._has_product():
            return nn.functional.linear(hidden_states, self.unpacked(hidden_states.dtype))
        rows, scale = rows.float(), self.weight_scale.float()
        if self.bits == 8:
            result = torch._weight_int8pack_mm(rows, self.weight, scale)
        else:
            if not self.laid_out:
                self.weight, self.laid_out = _to_laid_out(self.weight), True
            table = _ones(self.in_features // _GROUP, self.out_features)
            result = torch._weight_int4pack_mm_for_cpu(rows, self.weight, _GROUP, table) * scale
        return result.to(hidden_states.dtype).unflatten(0, hidden_states.shape[:-1])

    def _has_product(self) -> bool:
        if self.bits == 8:
            return hasattr(torch, "_weight_int8pack_mm")
        fits = self.in_features % _GROUP == 0 and self.out_features % 64 == 0
        return fits and hasattr(torch, "_weight_int4pack_mm_for_cpu")

    def _apply(self, fn: Callable, recurse: bool = True) -> "PackedLinear":
        self.weight, self.laid_out = self.released_weight(), False  # another device knows no layout of this CPU's
        scale = self.weight_scale
        super()._apply(fn, recurse)
        self.weight_scale = scale.to(self.weight.device)  # .bfloat16() would round it
        return self

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self.released_weight()

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.weight, self.laid_out = self.released_weight(), False
        super()._load_from_state_dict(*args, **kwargs)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bits={self.bits}"


class _Product(torch.autograd.Function):
    """Keeps nothing of the unpacked matrix for the backward pass, which unpacks it again."""

    @staticmethod
    def forward(ctx: Any, hidden_states: torch.Tensor, layer: PackedLinear) -> torch.Tensor:
        ctx.layer = layer
        return layer.product(hidden_states)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = gradients
        return gradient @ ctx.layer.unpacked(gradient.dtype), None


def quantize(weight: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The released way to pack a matrix [out, in]: packed weight and float16 scales, as a checkpoint holds them."""
    if bits not in (4, 8):
        raise ModelError(f"ChatGLM-6B is packed in 4 or 8 bits, not in {bits}.")
    scale = (weight.abs().amax(1) / (2 ** (bits - 1) - 1)).half()
    numbers = torch.round(weight / scale[:, None].to(weight.dtype)).to(torch.int8)
    return (numbers if bits == 8 else _pack(numbers)), scale


def _pack(numbers: torch.Tensor) -> torch.Tensor:
    return (numbers[:, ::2] << 4) | (numbers[:, 1::2] & 15)


def _unpack(packed: torch.Tensor) -> torch.Tensor:
    return torch.stack((packed >> 4, (packed << 4) >> 4), -1).flatten(1)


@lru_cache(maxsize=8)
def _ones(groups: int, out_features: int) -> torch.Tensor:
    """Scale 1 and zero point 0 for every group; one table serves all layers of a shape."""
    return torch.stack((torch.ones(groups, out_features), torch.zeros(groups, out_features)), -1).contiguous()


def _to_laid_out(released: torch.Tensor) -> torch.Tensor:
    """From the released int4 layout to that of this processor's int4 product, [out, in / 2] uint8."""
    return torch._convert_weight_to_int4pack_for_cpu(_unpack(released).int() + 8, 1)


@lru_cache(maxsize=1)
def _layout() -> tuple[int, torch.Tensor]:
    """How many rows of a matrix a block of the processor's layout holds, and in what order its nibbles hold them.

    It depends on the processor (64 rows with AVX-512, 32 with AVX2, 1 elsewhere), and torch can only lay out, so it is
    read off from laying out the digits of the row numbers.
    """
    rows = torch.arange(64)[:, None].expand(64, 64)
    low, high = (
        _nibbles(torch._convert_weight_to_int4pack_for_cpu((rows // place % 16).int(), 1)).flatten().long()
        for place in (1, 16)
    )
    order = low + 16 * high  # row number of every nibble, in memory order
    block = next(size for size in (1, 16, 32, 64) if order[: 64 * size].max() < size)
    return block, order[:block]


def _nibbles(laid_out: torch.Tensor) -> torch.Tensor:
    return torch.stack((laid_out & 15, laid_out >> 4), -1).flatten(1)


def _to_released(laid_out: torch.Tensor) -> torch.Tensor:
    """The inverse of :func:`_to_laid_out`."""
    out_features, half = laid_out.shape
    block, order = _layout()
    columns = _nibbles(laid_out).view(out_features // block, 2 * half, block)  # [blocks, in, rows in the block's order]
    numbers = torch.empty_like(columns)
    numbers[:, :, order] = columns
    return _pack(numbers.transpose(1, 2).reshape(out_features, 2 * half).to(torch.int8) - 8)
