"""int4 weights in two layouts: as ChatGLM-6B was released, and as torch's int4 product reads them on a CPU.

released     byte j of a row = weight 2j in the high nibble, weight 2j + 1 in the low one
torch's      blocks of rows, column by column; the order of the rows in a block depends on the processor
"""

from functools import lru_cache

import torch

from base_models.kernels import compiled_loops


def pack(numbers: torch.Tensor) -> torch.Tensor:
    """Integers from -8 to 7 [out, in] -> the released layout, int8 [out, in / 2]."""
    return (numbers[:, ::2] << 4) | (numbers[:, 1::2] & 15)


def unpack(packed: torch.Tensor) -> torch.Tensor:
    """The released layout -> integers [out, in], int8."""
    return torch.stack((packed >> 4, (packed << 4) >> 4), -1).flatten(1)


def to_torch_layout(released: torch.Tensor) -> torch.Tensor:
    """The released layout -> torch's on this processor, uint8 [out, in / 2]."""
    return torch._convert_weight_to_int4pack_for_cpu(unpack(released).int() + 8, 1)


def unpack_torch_layout(packed: torch.Tensor) -> torch.Tensor:
    """Torch's layout -> integers [out, in], int8."""
    out_features, half = packed.shape
    block, order = _block_and_order()
    columns = _nibbles(packed).view(out_features // block, 2 * half, block)  # [blocks, in, rows in the block's order]
    numbers = torch.empty_like(columns)
    numbers[:, :, order] = columns
    return numbers.transpose(1, 2).reshape(out_features, 2 * half).to(torch.int8) - 8


def unpack_torch_layout_compiled(packed: torch.Tensor) -> torch.Tensor:
    """Torch's layout -> integers [out, in], float32, by a compiled loop."""
    return compiled_loops.unpack_int4_columns(packed, _block_and_order()[1])


@lru_cache(maxsize=1)
def _block_and_order() -> tuple[int, torch.Tensor]:
    """How many rows a block of torch's layout holds, and the row number of each nibble in it.

    A block has 64 rows with AVX-512, 32 with AVX2, 1 elsewhere. Torch converts to its layout but not back, so the order
    is found by converting matrices that hold the digits of the row numbers.
    """
    rows = torch.arange(64)[:, None].expand(64, 64)
    low, high = (
        _nibbles(torch._convert_weight_to_int4pack_for_cpu((rows // place % 16).int(), 1)).flatten().long()
        for place in (1, 16)
    )
    order = low + 16 * high  # row number of every nibble, in memory order
    block = next(size for size in (1, 16, 32, 64) if order[: 64 * size].max() < size)
    return block, order[:block]


def _nibbles(packed: torch.Tensor) -> torch.Tensor:
    return torch.stack((packed & 15, packed >> 4), -1).flatten(1)
