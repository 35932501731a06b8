"""Read safetensors into numpy, without torch.

The format: 8 bytes with the length of the header (little-endian), the header in JSON, the tensors one after another
(https://huggingface.co/docs/safetensors). The package's own numpy reader does not support bfloat16.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from base_models.errors import ModelError

TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""


def tensor_names(path: Path) -> list[str]:
    """The names of the tensors of a file; raises :class:`ModelError` if it is missing or damaged."""
    return list(_header(path)[0])


def read_tensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The names and tensors of a file in float32, one by one; raises :class:`ModelError` if it is damaged."""
    header, first = _header(path)
    for name, tensor in header.items():
        start, end = tensor["data_offsets"]
        stored = np.fromfile(path, np.uint8, end - start, offset=first + start).view(TYPES[tensor["dtype"]])
        if tensor["dtype"] == "BF16":
            stored = (stored.astype(np.uint32) << 16).view(np.float32)
        yield name, stored.astype(np.float32).reshape(tensor["shape"])


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Type, shape and offset of each tensor, and the position in the file that the offsets are relative to."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, LONGEST_HEADER)))
        header.pop("__metadata__", None)
        for name, tensor in header.items():
            start, end = tensor["data_offsets"]
            if end - start != math.prod(tensor["shape"]) * np.dtype(TYPES[tensor["dtype"]]).itemsize:
                raise ValueError(f"the size of {name} does not match its shape")
        if 8 + size + max(tensor["data_offsets"][1] for tensor in header.values()) > path.stat().st_size:
            raise ValueError("the file is truncated")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is missing or damaged ({error}); train it again.") from None
    return header, 8 + size
