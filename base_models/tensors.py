"""Reading safetensors into numpy, for code that does without torch.

The format: 8 bytes with the length of the header (little-endian), the header in JSON, the tensors one after another
(https://huggingface.co/docs/safetensors). The package's own reader for numpy knows no bfloat16.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}


def tensor_names(path: Path) -> list[str]:
    """The names of the tensors of a file."""
    return list(_header(path)[0])


def read_tensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The names and tensors of a file, in float32, one at a time."""
    header, size = _header(path)
    for name, tensor in header.items():
        start, end = tensor["data_offsets"]
        stored = np.fromfile(path, np.uint8, end - start, offset=8 + size + start).view(TYPES[tensor["dtype"]])
        if tensor["dtype"] == "BF16":
            stored = (stored.astype(np.uint32) << 16).view(np.float32)
        yield name, stored.astype(np.float32).reshape(tensor["shape"])


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Type, shape and place of each tensor, and the bytes of the header."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return header, size
