"""The device and dtype for a model on this machine, and whether its weights fit into memory.

The CUDA and MPS branches could not be run on the machines of this project.
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

from base_models.acquire.fetch import cache_folder
from base_models.errors import ModelError
from base_models.processor import processor
from domain import write_text


def choose_device(device: str = "auto") -> str:
    """The device to run on: the given one (also "cuda:1"), or the first available of cuda, mps, cpu."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(kind for kind in present if present[kind])
    if not re.fullmatch(r"cuda(:\d+)?|mps|cpu", device):
        raise ModelError(f"unknown device {device!r}; use auto, cuda, mps or cpu.")
    if not present[device.partition(":")[0]]:
        raise ModelError(f"torch finds no {device} device on this machine; use auto or cpu.")
    return device


def gpu_memory() -> int:
    """Bytes of memory of the CUDA device; 0 without one."""
    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0


def choose_dtype(dtype: str, device: str) -> torch.dtype:
    """A dtype by name; "auto" is the faster of bfloat16 and float32 on a CPU (measured once), and 16 bits on a GPU."""
    if dtype != "auto":
        if dtype not in ("bfloat16", "float16", "float32"):
            raise ModelError(f"unknown dtype {dtype!r}; use auto, bfloat16, float16 or float32.")
        return getattr(torch, dtype)
    if device == "cpu":
        return getattr(torch, _fastest_cpu_dtype())
    return torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else torch.float16


def _fastest_cpu_dtype() -> str:
    """Time a matrix product in both dtypes, and cache the result; processors differ by orders of magnitude."""
    key = f"{processor()} {torch.__version__} {torch.get_num_threads()}"
    file = cache_folder() / "fastest_dtype.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if key not in known:
        float32 = _shortest_product(torch.float32)
        known[key] = "bfloat16" if _shortest_product(torch.bfloat16, beside=float32) < float32 else "float32"
        write_text(file, json.dumps(known, indent=1))
    return known[key]


def _shortest_product(dtype: torch.dtype, beside: float = math.inf) -> float:
    """Seconds of the fastest of five products, after one to warm up; of one, if that alone takes five times ``beside``.

    Without instructions for bfloat16 a product takes 68 times as long (AMD EPYC with AVX2, one thread).
    """
    left, right = torch.ones(64, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    left @ right
    shortest = math.inf
    for _ in range(5):
        start = time.perf_counter()
        left @ right
        shortest = min(shortest, time.perf_counter() - start)
        if shortest > 5 * beside:
            break
    return shortest


def fits(folder: Path, dtype: torch.dtype, device: str) -> bool:
    """Whether the weights leave a tenth of the available memory free; not checked on a GPU."""
    if device != "cpu":
        return True
    weights = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            weights += sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return weights * dtype.itemsize < 0.9 * psutil.virtual_memory().available


M_MMAP_THRESHOLD = -3
"""glibc's parameter: the size from which a block of memory is mapped separately, see mallopt(3)."""


@contextmanager
def returning_freed_memory() -> Iterator[None]:
    """Return freed memory to the system at once. glibc would keep what lies between blocks that are still in use: after
    loading a model in nf4, as much as its packed weights take."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, 2**20)
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # the highest value that glibc sets by itself
        libc.malloc_trim(0)
