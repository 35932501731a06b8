"""Loops over packed weights, compiled by numba: products for processors with AVX2 alone, unpacking for all of x86.

With AVX2 alone the products that libraries have for packed weights take longer than memory needs to deliver them:
torch's for the int8 release of ChatGLM-6B twice as long, for int4 7 times, bitsandbytes' for nf4 122 times
(``benchmarks/chatglm.py`` has them beside these loops, which gain 1.07, 1.8 and 9 times). The loops below read each
packed byte once and add up in float32. With AVX-512 the libraries' products are used, and only int4 is unpacked here,
for prompts. numba compiles the loops in a second at their first use, with no compiler on the machine; where it is not
installed, torch does it all. Not used on ARM, where nobody has measured them.

    int8, int4   the released layouts, see chatglm/quantization_chatglm.py
    nf4          byte j of a row = code of weight 2j in the high nibble, of 2j + 1 in the low one; a code's value, times
                 the scale of its block of weights, is the weight (QLoRA, arXiv:2305.14314)
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch

FEW_ROWS = 16
"""Up to so many rows of inputs these products beat unpacking a matrix."""
TILE = 256
"""Columns that are unpacked together."""
NF4_BLOCK = 64
"""Weights that share a scale in nf4: the paper's number and bitsandbytes' default; a constant, so that the loop over
them becomes vector instructions."""


@lru_cache(maxsize=1)
def can_compile() -> bool:
    """Whether this is a processor on which the loops were measured, and numba is installed."""
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return False
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


@lru_cache(maxsize=1)
def wanted() -> bool:
    """Whether this processor gains by the products below."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2" and can_compile()


def product(inputs: torch.Tensor, weight: torch.Tensor, bits: int) -> torch.Tensor:
    """inputs [n, in] times the transposed int8 or int4 weight [out, in * bits / 8], in float32."""
    inputs = inputs.detach().float()
    parts = [inputs] if bits == 8 else inputs.unflatten(1, (-1, 2)).unbind(2)
    arrays = [part.contiguous().numpy() for part in parts]
    result = np.empty((len(weight), len(inputs)), np.float32)
    _by_rows(_int8 if bits == 8 else _int4, arrays, weight.numpy(), result)
    return torch.from_numpy(result).T


def unpack(weight: torch.Tensor) -> torch.Tensor:
    """The integers of an int4 weight [out, in / 2], as float32 [out, in]."""
    result = np.empty((len(weight), 2 * weight.shape[1]), np.float32)
    _by_rows(_unpack_int4, [], weight.numpy(), result)
    return torch.from_numpy(result)


def unpack_laid_out(weight: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """The integers, float32 [out, in], of an int4 weight [out, in / 2] that lies as torch's product wants it.

    Blocks of rows lie column by column; ``order`` says which row of its block each nibble of a column is of.
    """
    block = len(order)
    columns = weight.view(len(weight) // block, -1, block // 2)
    result = np.empty((len(columns), block, columns.shape[1]), np.float32)
    _by_rows(_unpack_columns, [order.numpy()], columns.numpy(), result)
    return torch.from_numpy(result).flatten(0, 1)


def nf4_product(inputs: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    """inputs [n, in] times the transposed nf4 weight [out, in / 2] uint8, in float32.

    ``scales`` [out, in / 64] are of the blocks of each row, ``code`` [16] the values of the codes; both float32.
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
    """As many threads as torch has take a share of the output rows each; the loops hold no lock of Python's."""
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
    return ThreadPoolExecutor(thread_name_prefix="packed")


@lru_cache(maxsize=1)
def _compiled() -> dict[Callable[..., None], Callable[..., None]]:
    from numba import njit

    # "reassoc": the sums may be taken in any order, without which no vector instruction can take them
    compile_loop: Any = njit(fastmath={"reassoc", "contract"}, nogil=True)
    return {loop: compile_loop(loop) for loop in (_int8, _int4, _unpack_int4, _unpack_columns, _nf4, _unpack_nf4)}


def _int8(inputs: Any, weight: Any, result: Any) -> None:
    for row in range(weight.shape[0]):
        for n in range(inputs.shape[0]):
            total = np.float32(0)
            for i in range(weight.shape[1]):
                total += inputs[n, i] * np.float32(weight[row, i])
            result[row, n] = total


def _int4(even: Any, odd: Any, weight: Any, result: Any) -> None:
    """The nibbles are taken as 0..15, eight too many each: flipping a sign bit is cheaper than extending it."""
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
    """A tile of columns at a time, which stays in the processor's first cache while row after row is read from it."""
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
    """A row is looked up into the processor's first cache, and multiplied from there."""
    looked_up = np.empty(weight.shape[1], np.uint64)
    values = looked_up.view(np.float32)
    for row in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            looked_up[j] = pairs[weight[row, j]]
        for n in range(inputs.shape[0]):
            total = np.float32(0)
            for b in range(scales.shape[1]):
                part = np.float32(0)
                for i in range(b * NF4_BLOCK, (b + 1) * NF4_BLOCK):
                    part += inputs[n, i] * values[i]
                total += part * scales[row, b]
            result[row, n] = total


def _unpack_nf4(pairs: Any, scales: Any, weight: Any, result: Any) -> None:
    looked_up = np.empty(weight.shape[1], np.uint64)
    values = looked_up.view(np.float32)
    for row in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            looked_up[j] = pairs[weight[row, j]]
        for b in range(scales.shape[1]):
            for i in range(b * NF4_BLOCK, (b + 1) * NF4_BLOCK):
                result[row, i] = values[i] * scales[row, b]
