"""Texts -> vectors, by any model in the layout of sentence-transformers, in OpenVINO or in sentence-transformers.

Not supported: models with their own code, sparse and multi-vector models.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from base_models.acquire.fetch import fetch, fingerprint
from base_models.catalogue import CATALOGUE, find
from base_models.encoder_selection import Encoder, load_fastest_encoder
from base_models.errors import ModelError

BATCH = 32
"""Texts that are embedded together. Chosen."""


class Embedder:
    """An embedding model in memory. Its methods may be called from several threads; they take turns."""

    def __init__(self, name: str, fingerprint: str, encoder: Encoder) -> None:
        self.name = name
        """Catalogue name, or the path it was loaded from."""
        self.fingerprint = fingerprint
        """SHA-256 (hex) of the model; vectors of two fingerprints must never be compared."""
        self._encoder = encoder
        self._lock = threading.Lock()
        self._passage_prompt = encoder.prompts.get("document") or encoder.prompts.get("passage") or ""
        self._query_prompt = encoder.prompts.get("query") or ""
        self.dimension: int = self._encode([""], "").shape[1]
        """Length of a vector."""
        self.max_tokens: int = encoder.most_tokens - encoder.count_tokens(self._passage_prompt)
        """The most tokens of a passage that are read, as :meth:`token_offsets` counts them; the rest is truncated."""

    def encode_passages(
        self, texts: Sequence[str], progress: Callable[[int], object] | None = None
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Vectors of passages, float32 [len(texts), dimension], of length 1.

        ``progress`` is called with the number of newly embedded texts.
        """
        vectors = np.empty((len(texts), self.dimension), np.float32)
        # sorted by length, to pad little; the number of bytes predicts that of tokens in any script
        order = sorted(range(len(texts)), key=lambda number: len(texts[number].encode()), reverse=True)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            vectors[batch] = self._encode([texts[number] for number in batch], self._passage_prompt)
            if progress:
                progress(len(batch))
        return vectors

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Vectors of questions, float32 [len(texts), dimension], of length 1; the dot product ranks passages."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), BATCH):
            vectors[start : start + BATCH] = self._encode(list(texts[start : start + BATCH]), self._query_prompt)
        return vectors

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """The character span (start, end) in ``text`` of each of the embedder's tokens, without special tokens."""
        with self._lock:
            return self._encoder.token_offsets(text)

    def _encode(self, texts: list[str], prompt: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        with self._lock:
            return self._encoder.encode(texts, prompt)


_in_memory: "WeakValueDictionary[tuple[str, str, str], Embedder]" = WeakValueDictionary()
"""By name, fingerprint and device; an unused embedder is dropped."""
_loading = threading.Lock()


def load_embedder(name_or_path: str | Path, device: str = "auto") -> Embedder:
    """Load an embedder by catalogue name (fetched first if needed), or from a folder of sentence-transformers.

    ``device`` "auto" takes cuda, then mps, then cpu. Only the fetch uses the network. Callers in
    one process share an embedder.
    """
    with _loading:
        folder = _folder(name_or_path)
        key = (str(name_or_path), fingerprint(name_or_path), device)
        embedder = _in_memory.get(key)
        if embedder is None:
            encoder = load_fastest_encoder(name_or_path, folder, device)
            embedder = _in_memory[key] = Embedder(*key[:2], encoder)
        return embedder


def _folder(name_or_path: str | Path) -> Path:
    """The folder of an embedder, by catalogue name (fetched first if needed) or by path."""
    if str(name_or_path) in CATALOGUE:
        entry = find(str(name_or_path))
        if entry.kind != "embedder":
            embedders = " or ".join(other.name for other in CATALOGUE.values() if other.kind == "embedder")
            raise ModelError(f"{entry.name} is a {entry.kind} model, not an embedder; use {embedders}.")
        return fetch(entry.name)
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        find(str(name_or_path))
    if not (folder / "modules.json").is_file():
        raise ModelError(
            f"{folder} is not a sentence-transformers embedder, because it has no modules.json; give another folder."
        )
    return folder
