"""Arguments and helpers of every ``from_pretrained``: files of a local folder only, safetensors, no progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from base_models.hardware import choose_device, choose_dtype

Model = TypeVar("Model")
LOCAL_ONLY: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""Arguments of every ``from_pretrained``; without the second, transformers would ask at the terminal."""


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Switch off transformers' own progress bar, which counts tensors for a second or two."""
    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            enable_progress_bar()


def sentence_transformers_model(kind: Callable[..., Model], folder: Path, device: str, dtype: str = "auto") -> Model:
    """Load a ``SentenceTransformer`` or ``CrossEncoder``; ``dtype`` "auto" is the fastest one on a CPU."""
    device = choose_device(device)
    chosen = choose_dtype(dtype, device) if device == "cpu" else torch.float32
    with no_progress_bar():
        return kind(str(folder), device=device, model_kwargs={"dtype": chosen, "use_safetensors": True}, **LOCAL_ONLY)
