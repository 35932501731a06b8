"""A few rows of activations times a matrix of the released int8 or int4 layout, for processors with AVX2 alone.

There torch's own packed products (``quantization_chatglm.py``) take several times as long as memory needs to deliver
the weights; ``benchmarks/chatglm.py`` has both. The loops below read each packed byte once, as released, and add up in
float32. numba compiles them in a second at their first use, with no compiler on the machine; where it is not installed,
torch's products are used. Not used on ARM, where nobody has measured them.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch


@lru_cache(maxsize=1)
def wanted() -> bool:
    """Whether this processor gains by it, and numba is installed."""
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        return False
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


def product(inputs: torch.Tensor, weight: torch.Tensor, bits: int) -> torch.Tensor:
    """inputs [n, in] times the transposed packed weight [out, in * bits / 8], in float32."""
    inputs = inputs.detach().float()
    parts = [inputs] if bits == 8 else inputs.unflatten(1, (-1, 2)).unbind(2)
    arrays = [part.contiguous().numpy() for part in parts]
    result = np.empty((len(weight), len(inputs)), np.float32)
    _by_rows(_compiled()[_int8 if bits == 8 else _int4], arrays, weight.numpy(), result)
    return torch.from_numpy(result).T


def unpack(weight: torch.Tensor) -> torch.Tensor:
    """The integers of an int4 weight [out, in / 2], as float32 [out, in]."""
    result = np.empty((len(weight), 2 * weight.shape[1]), np.float32)
    _by_rows(_compiled()[_unpack], [], weight.numpy(), result)
    return torch.from_numpy(result)


def _by_rows(loop: Callable[..., None], inputs: list[Any], weight: Any, result: Any) -> None:
    """As many threads as torch has take a share of the output rows each; the loops hold no lock of Python's."""
    share = -(-len(weight) // torch.get_num_threads())
    others = [
        _pool().submit(loop, *inputs, weight[start : start + share], result[start : start + share])
        for start in range(share, len(weight), share)
    ]
    loop(*inputs, weight[:share], result[:share])
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
    return {loop: compile_loop(loop) for loop in (_int8, _int4, _unpack)}


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


def _unpack(weight: Any, result: Any) -> None:
    for row in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            both = np.int32(weight[row, j])
            result[row, 2 * j] = np.float32(both >> np.int32(4))
            result[row, 2 * j + 1] = np.float32(np.int32(both << np.int32(28)) >> np.int32(28))
