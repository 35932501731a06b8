"""The released int8 and int4 checkpoints of ChatGLM-6B: linear layers whose weights stay packed in memory.

    int8   weight [out, in] int8            weight[o, i] = q[o, i]
    int4   weight [out, in / 2] int8        byte j of a row = q[o, 2j] in the high nibble, q[o, 2j + 1] in the low one
    both   weight_scale [out] float16       the layer's matrix is q * weight_scale: symmetric, one scale an output row

The released code needs a CUDA binary, or a C compiler when it loads. Here a few bfloat16 rows of activations go through
torch's own packed products on a CPU (``_weight_int8pack_mm``, ``_weight_int4pack_mm_for_cpu``; those of other types are
not vectorised), or with AVX2 through compiled loops (``compiled_products.py``). Everything else unpacks a piece of a
matrix at a time, small enough for the processor's cache.

Not supported: gradients of the packed weights (they are frozen; what LoRA needs is there), packed embeddings.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from base_models import compiled_products, pieces
from base_models.errors import ModelError

FEW_ROWS = 32
"""Up to so many rows torch's packed product beats unpacking."""
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
        return (self.numbers(0, self.out_features) * self.weight_scale.float()[:, None]).to(dtype)

    def numbers(self, start: int, stop: int) -> torch.Tensor:
        """The integers of the output rows from ``start`` to ``stop``, [rows, in_features], in int8 or float32."""
        packed = self.weight[start:stop]
        if self.bits == 8:
            return packed
        if packed.device.type == "cpu" and compiled_products.can_compile():
            return _unpack_compiled(packed) if self.laid_out else compiled_products.unpack(packed)
        return _numbers_laid_out(packed) if self.laid_out else _unpack(packed)

    def released_weight(self) -> torch.Tensor:
        """The packed numbers in the released layout, whatever the layout in memory is."""
        return _pack(_numbers_laid_out(self.weight)) if self.laid_out else self.weight

    def product(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """hidden_states [..., in_features] times the matrix, without the bias."""
        rows = hidden_states.flatten(0, -2)
        on_cpu, compiled = rows.device.type == "cpu", compiled_products.wanted()
        if on_cpu and compiled and len(rows) <= compiled_products.FEW_ROWS:
            result = compiled_products.product(rows, self.weight, self.bits)
        elif on_cpu and not compiled and len(rows) <= FEW_ROWS and rows.dtype == torch.bfloat16 and self._has_product():
            result = self._packed_product(rows)
        else:
            result = pieces.product(rows.to(_product_dtype(rows)), self.numbers, self.out_features)
        return (result * self.weight_scale.float()).to(hidden_states.dtype).unflatten(0, hidden_states.shape[:-1])

    def _packed_product(self, rows: torch.Tensor) -> torch.Tensor:
        if self.bits == 8:
            return torch._weight_int8pack_mm(rows, self.weight, _ones(self.out_features))
        if not self.laid_out:
            self.weight, self.laid_out = _to_laid_out(self.weight), True
        table = _ones_and_zeros(self.in_features // _GROUP, self.out_features)
        return torch._weight_int4pack_mm_for_cpu(rows, self.weight, _GROUP, table)

    def gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        """What :meth:`product` has as gradient of its input, from that of its output."""
        scaled = (gradient * self.weight_scale.float()).to(_product_dtype(gradient))
        return pieces.gradient(scaled, self.numbers, self.in_features).to(gradient.dtype)

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
        return ctx.layer.gradient(gradient), None


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


def _product_dtype(rows: torch.Tensor) -> torch.dtype:
    """What to multiply in: as the activations are, but float32 on a processor that has no half precision."""
    return torch.float32 if rows.device.type == "cpu" and not pieces.multiplies_bfloat16() else rows.dtype


@lru_cache(maxsize=8)
def _ones(out_features: int) -> torch.Tensor:
    return torch.ones(out_features, dtype=torch.bfloat16)


@lru_cache(maxsize=8)
def _ones_and_zeros(groups: int, out_features: int) -> torch.Tensor:
    """Scale 1 and zero point 0 for every group; one table serves all layers of a shape."""
    ones = torch.ones(groups, out_features, dtype=torch.bfloat16)
    return torch.stack((ones, torch.zeros_like(ones)), -1).contiguous()


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


def _unpack_compiled(laid_out: torch.Tensor) -> torch.Tensor:
    return compiled_products.unpack_laid_out(laid_out, _layout()[1])


def _numbers_laid_out(laid_out: torch.Tensor) -> torch.Tensor:
    """The integers, int8 [out, in], of rows that lie as the int4 product wants them."""
    out_features, half = laid_out.shape
    block, order = _layout()
    columns = _nibbles(laid_out).view(out_features // block, 2 * half, block)  # [blocks, in, rows in the block's order]
    numbers = torch.empty_like(columns)
    numbers[:, :, order] = columns
    return numbers.transpose(1, 2).reshape(out_features, 2 * half).to(torch.int8) - 8
