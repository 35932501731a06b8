"""On what a model runs here: the device, the type of its weights, and whether they fit into memory.

The CUDA and MPS branches were written with care but could not be run on the machines of this project.
"""

import ctypes
import json
import math
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from safetensors import safe_open

from base_models.errors import ModelError
from base_models.fetch import cache_folder
from domain import write_text


def choose_device(device: str = "auto") -> str:
    """The device to run on: the one named ("cuda:1" too), or the first present of cuda, mps, cpu."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(kind for kind in present if present[kind])
    if not re.fullmatch(r"cuda(:\d+)?|mps|cpu", device):
        raise ModelError(f"device {device!r} is unknown; take auto, cuda, mps or cpu.")
    if not present[device.partition(":")[0]]:
        raise ModelError(f"torch finds no {device} on this machine; take auto or cpu.")
    return device


def gpu_memory() -> int:
    """Bytes of memory of the CUDA device; 0 without one."""
    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0


def choose_dtype(dtype: str, device: str) -> torch.dtype:
    """bfloat16 or float32 by name, or by what is faster: bfloat16 on CUDA, a measurement on a CPU."""
    if dtype != "auto":
        if dtype not in ("bfloat16", "float16", "float32"):
            raise ModelError(f"dtype {dtype!r} is unknown; take auto, bfloat16, float16 or float32.")
        return getattr(torch, dtype)
    if device == "cpu":
        return getattr(torch, _fastest_cpu_dtype())
    return torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else torch.float16


def _fastest_cpu_dtype() -> str:
    """Time one matrix product in both types; processors differ by a factor of ten either way. Kept in the cache."""
    key = f"{platform.processor() or platform.machine()} {torch.__version__} {torch.get_num_threads()}"
    file = cache_folder() / "fastest_dtype.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if key not in known:
        times = {}
        for name in ("float32", "bfloat16"):
            left, right = (
                torch.ones(64, 2048, dtype=getattr(torch, name)),
                torch.ones(2048, 2048, dtype=getattr(torch, name)),
            )
            left @ right
            start = time.perf_counter()
            for _ in range(5):
                left @ right
            times[name] = time.perf_counter() - start
        known[key] = min(times, key=times.__getitem__)
        write_text(file, json.dumps(known, indent=1))
    return known[key]


def fits(folder: Path, dtype: torch.dtype, device: str) -> bool:
    """Whether the weights leave a tenth of this machine's free memory; a GPU's is not asked."""
    if device != "cpu":
        return True
    weights = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            weights += sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return weights * dtype.itemsize < 0.9 * psutil.virtual_memory().available


M_MMAP_THRESHOLD = -3
"""glibc's number for the size from which a block of memory is taken from the system alone, see mallopt(3)."""


@contextmanager
def freeing_at_once() -> Iterator[None]:
    """Within it, memory that is freed goes back to the system. glibc would keep it between the blocks that stay: after
    loading a model in nf4, as much again as its packed weights take."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, 2**20)
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # the highest that glibc itself goes to
        libc.malloc_trim(0)
