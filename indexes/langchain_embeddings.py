"""Adapters between the embedders of this project and LangChain's ``Embeddings``, in both directions."""

import hashlib
import re
from collections.abc import Callable, Sequence

import numpy as np
from langchain_core.embeddings import Embeddings

from indexes.index import Index
from indexes.language import CJK


class PassageEmbeddings(Embeddings):
    """The embedder of an index as LangChain ``Embeddings``."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.index.embedder.encode_passages(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.index.embedder.encode_queries([text])[0].tolist()


class EmbedderOfLangChain:
    """LangChain ``Embeddings`` as an embedder for :class:`Index`; vectors are normalised to length 1."""

    max_tokens = 1_000_000
    """LangChain does not expose the token limit of a model, so only passage_tokens of domain.toml limits passages."""

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        self.name = type(embeddings).__name__
        probe = self.encode_queries(["Lorewright 知识"])
        self.dimension = probe.shape[1]
        self.fingerprint = hashlib.sha256(f"{self.name} {np.round(probe, 3).tolist()}".encode()).hexdigest()

    def encode_passages(self, texts: Sequence[str], progress: Callable[[int], object] | None = None) -> np.ndarray:
        vectors = _of_length_1(self._embeddings.embed_documents(list(texts)))
        if progress:
            progress(len(texts))
        return vectors

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return _of_length_1([self._embeddings.embed_query(text) for text in texts])

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Approximates most tokenizers: one token per Chinese character, four letters or punctuation mark."""
        return [match.span() for match in re.finditer(rf"[{CJK}]|[^\W{CJK}]{{1,4}}|[^\w\s]", text)]


def _of_length_1(rows: list[list[float]]) -> np.ndarray:
    vectors = np.array(rows, np.float32)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
