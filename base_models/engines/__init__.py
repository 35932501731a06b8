"""Engines generate token ids from token ids: the same chat model, computed by transformers or by OpenVINO.

``transformers`` is the reference and supports every model; ``openvino`` (an optional package) is faster on a CPU.
Other code uses :class:`Engine`; nothing here knows of text, messages or prompts.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from base_models.engines.sampling import Sampling, Token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Engine", "Sampling", "Token"]


class Engine(Protocol):
    """A chat model in memory that answers. Its methods may be called from several threads."""

    name: str
    """Catalogue name, or the path it was loaded from."""
    fingerprint: str
    """SHA-256 that names the base weights."""
    tokenizer: "PreTrainedTokenizerBase"
    chat_format: str
    """SHA-256 of chat template, special tokens and vocabulary."""
    adapter: Path | None
    """The default adapter; None is the base model."""

    @property
    def context_length(self) -> int:
        """The most tokens that the model reads, prompt and answer together."""
        ...

    @property
    def engine(self) -> str:
        """transformers or openvino."""
        ...

    def generate_ids(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, adapter: Path | None = None
    ) -> list[list[int]]:
        """The answer to each prompt, with the end token where the model wrote one."""
        ...

    def stream_ids(self, prompt: Sequence[int], sampling: Sampling, adapter: Path | None = None) -> Iterator[Token]:
        """One answer, token by token; closing the iterator stops the model at its next token."""
        ...
