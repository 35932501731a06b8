"""Loops over packed weights, compiled by numba: products on processors with AVX2, unpacking on all of x86.

With AVX2 but not AVX-512, torch's product for the int4 release of ChatGLM-6B takes 7 times as long as reading the
weights from memory, and bitsandbytes' for nf4 122 times. ``benchmarks/chatglm.py`` measures them beside these loops,
which are 1.8 and 9 times as fast. A loop reads each packed byte once and sums in float32. There is none for int8:
torch's product takes only twice as long as reading the weights, and a loop was no more than 1.07 times as fast. With
AVX-512 the libraries' products are used, and a loop only unpacks int4 for prompts. numba compiles the loops in a second
at their first use, without a compiler on the machine; where numba is not installed, torch does everything. Not used on
ARM, where they were not measured.

    int4   the released layout and torch's, see int4_layouts.py
    nf4    byte j of a row = code of weight 2j in the high nibble, of 2j + 1 in the low one; the value of a code times
           the scale of its block of weights is the weight (QLoRA, arXiv:2305.14314)
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch

FEW_INPUTS = 16
"""Most input rows for these products; with more, the blockwise matmul. Chosen."""
TILE = 256
"""Columns that are unpacked together. Chosen."""
NF4_BLOCK = 64
"""Weights that share a scale in nf4: the paper's number and bitsandbytes' default. A constant, so that the compiler
vectorises the loop over them."""


@lru_cache(maxsize=1)
def can_compile() -> bool:
    """Whether the loops were measured on this kind of processor, and numba is installed."""
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return False
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


@lru_cache(maxsize=1)
def are_faster() -> bool:
    """Whether the products below are faster on this processor than those of the libraries."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2" and can_compile()


def int4_matmul(inputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """``inputs`` [n, in] times the transposed int4 weight [out, in / 2], in float32."""
    arrays = [part.contiguous().numpy() for part in inputs.detach().float().unflatten(1, (-1, 2)).unbind(2)]
    result = np.empty((len(weight), len(inputs)), np.float32)
    _by_rows(_int4, arrays, weight.numpy(), result)
    return torch.from_numpy(result).T


def unpack_int4(weight: torch.Tensor) -> torch.Tensor:
    """The integers of an int4 weight [out, in / 2], as float32 [out, in]."""
    result = np.empty((len(weight), 2 * weight.shape[1]), np.float32)
    _by_rows(_unpack_int4, [], weight.numpy(), result)
    return torch.from_numpy(result)


def unpack_int4_columns(weight: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """The integers, float32 [out, in], of an int4 weight [out, in / 2] in the layout of torch's product.

    ``order`` is the row number of each nibble of a column within its block of rows.
    """
    block = len(order)
    columns = weight.view(len(weight) // block, -1, block // 2)
    result = np.empty((len(columns), block, columns.shape[1]), np.float32)
    _by_rows(_unpack_columns, [order.numpy()], columns.numpy(), result)
    return torch.from_numpy(result).flatten(0, 1)


def nf4_matmul(inputs: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    """``inputs`` [n, in] times the transposed nf4 weight [out, in / 2] uint8, in float32.

    ``scales`` [out, in / 64] has one scale per block of a row, ``code`` [16] the value of each code; both float32.
    """
    arrays = [inputs.detach().float().contiguous().numpy(), _pairs(code)]
    result = np.empty((len(weight), len(inputs)), np.float32)
    _by_rows(_nf4, arrays, scales.numpy(), weight.numpy(), result)
    return torch.from_numpy(result).T


def unpack_nf4(weight: torch.Tensor, scales: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    """The nf4 weight [out, in / 2] as float32 [out, in]."""
    result = np.empty((len(weight), 2 * weight.shape[1]), np.float32)
    _by_rows(_unpack_nf4, [_pairs(code)], scales.numpy(), weight.numpy(), result)
    return torch.from_numpy(result)


def _pairs(code: torch.Tensor) -> Any:
    """The two float32 values that each byte stands for, side by side in one 64-bit number, [256]."""
    byte = np.arange(256)
    values = code.float().numpy()
    return np.stack((values[byte >> 4], values[byte & 15]), -1).view(np.uint64)[:, 0].copy()


def _by_rows(loop: Callable[..., None], inputs: list[Any], *rows: Any) -> None:
    """Run a loop in as many threads as torch has, each on a share of the output rows; a loop does not hold the GIL."""
    compiled = _compiled()[loop]
    count = len(rows[0])
    share = -(-count // torch.get_num_threads())
    others = [
        _pool().submit(compiled, *inputs, *(array[start : start + share] for array in rows))
        for start in range(share, count, share)
    ]
    compiled(*inputs, *(array[:share] for array in rows))
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="compiled-loops")


@lru_cache(maxsize=1)
def _compiled() -> dict[Callable[..., None], Callable[..., None]]:
    from numba import njit

    # "reassoc" allows sums in any order, which vector instructions need
    compile_loop: Any = njit(fastmath={"reassoc", "contract"}, nogil=True)
    return {loop: compile_loop(loop) for loop in (_int4, _unpack_int4, _unpack_columns, _nf4, _unpack_nf4)}


def _int4(even: Any, odd: Any, weight: Any, result: Any) -> None:
    """Nibbles are read as 0..15, which is 8 too much, and that is subtracted: cheaper than extending their sign bit."""
    for n in range(even.shape[0]):
        surplus = np.float32(0)
        for j in range(even.shape[1]):
            surplus += np.float32(8) * (even[n, j] + odd[n, j])
        for row in range(weight.shape[0]):
            total = -surplus
            for j in range(even.shape[1]):
                both = np.uint32(np.uint8(weight[row, j]) ^ np.uint8(0x88))
                high, low = np.int32(both >> np.uint32(4)), np.int32(both & np.uint32(15))
                total += np.float32(high) * even[n, j] + np.float32(low) * odd[n, j]
            result[row, n] = total


def _unpack_int4(weight: Any, result: Any) -> None:
    for row in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            both = np.int32(weight[row, j])
            result[row, 2 * j] = np.float32(both >> np.int32(4))
            result[row, 2 * j + 1] = np.float32(np.int32(both << np.int32(28)) >> np.int32(28))


def _unpack_columns(order: Any, columns: Any, result: Any) -> None:
    """Unpack a tile of columns at a time, which stays in the L1 cache while it is read row after row."""
    for block in range(columns.shape[0]):
        for start in range(0, columns.shape[1], TILE):
            stop = min(start + TILE, columns.shape[1])
            for j in range(columns.shape[2]):
                low, high = result[block, order[2 * j]], result[block, order[2 * j + 1]]
                for i in range(start, stop):
                    both = np.int32(columns[block, i, j])
                    low[i] = np.float32((both & np.int32(15)) - np.int32(8))
                    high[i] = np.float32((both >> np.int32(4)) - np.int32(8))


def _nf4(inputs: Any, pairs: Any, scales: Any, weight: Any, result: Any) -> None:
    """Dequantise a row into the L1 cache, then multiply it with every input row."""
    dequantised = np.empty(weight.shape[1], np.uint64)
    values = dequantised.view(np.float32)
    for row in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            dequantised[j] = pairs[weight[row, j]]
        for n in range(inputs.shape[0]):
            total = np.float32(0)
            for b in range(scales.shape[1]):
                part = np.float32(0)
                for i in range(b * NF4_BLOCK, (b + 1) * NF4_BLOCK):
                    part += inputs[n, i] * values[i]
                total += part * scales[row, b]
            result[row, n] = total


def _unpack_nf4(pairs: Any, scales: Any, weight: Any, result: Any) -> None:
    dequantised = np.empty(weight.shape[1], np.uint64)
    values = dequantised.view(np.float32)
    for row in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            dequantised[j] = pairs[weight[row, j]]
        for b in range(scales.shape[1]):
            for i in range(b * NF4_BLOCK, (b + 1) * NF4_BLOCK):
                result[row, i] = values[i] * scales[row, b]
