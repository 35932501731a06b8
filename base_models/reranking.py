"""Scores of passages for a question, by a cross-encoder in the layout of sentence-transformers.

A cross-encoder reads question and passage together, which is slower and more accurate than comparing vectors. Not
supported: models with their own code.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from base_models.acquire.fetch import fetch
from base_models.catalogue import CATALOGUE, find
from base_models.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

BATCH = 16
"""Passages that are scored together. Chosen."""


class Reranker:
    """A cross-encoder in memory. Its method may be called from several threads; they take turns."""

    def __init__(self, name: str, model: "CrossEncoder") -> None:
        self.name = name
        self._model = model
        self._lock = threading.Lock()

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """One score per text, higher for a better answer; only comparable within one question."""
        if not texts:
            return []
        with self._lock:
            predicted = self._model.predict(
                [(question, text) for text in texts], batch_size=BATCH, show_progress_bar=False
            )
        return [float(score) for score in predicted]


def load_reranker(name_or_path: str | Path, device: str = "auto") -> Reranker:
    """Load a cross-encoder with one output by catalogue name (fetched first if needed) or from a folder.

    ``device`` "auto" takes cuda, then mps, then cpu.
    """
    from sentence_transformers import CrossEncoder

    from base_models.local_files import sentence_transformers_model

    if str(name_or_path) in CATALOGUE:
        if (kind := find(str(name_or_path)).kind) != "reranker":
            rerankers = " or ".join(entry.name for entry in CATALOGUE.values() if entry.kind == "reranker")
            raise ModelError(f"{name_or_path} is a {kind} model, not a reranker; use {rerankers}.")
        path = fetch(str(name_or_path))
    else:
        path = Path(name_or_path).expanduser()
    if not (path / "config.json").is_file() or not list(path.glob("*.safetensors")):
        raise ModelError(
            f"{name_or_path} is not a reranker, because it has no config.json or no .safetensors file; "
            "save a cross-encoder there, or leave retrieval.reranker empty in domain.toml."
        )
    model = sentence_transformers_model(CrossEncoder, path, device)
    if model.num_labels != 1:
        raise ModelError(f"{name_or_path} has {model.num_labels} outputs, but a reranker has one; use another model.")
    return Reranker(str(name_or_path), model)
