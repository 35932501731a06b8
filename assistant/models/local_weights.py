"""What every local model for LangChain has: weights that are loaded once in a process, and settings of one call."""

import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError

from assistant.errors import AssistantError
from base_models import Sampling, load_openvino
from base_models.engine_selection import choose_engine
from base_models.generation import Generation

if TYPE_CHECKING:
    from base_models.engines import Engine
    from base_models.loaded_model import LoadedModel

LOADING = threading.Lock()
"""Prevents threads from loading the same weights twice."""


@lru_cache(maxsize=1)  # one base model fills the memory of a small machine; another name replaces it
def _loaded(model: str, quantization: Literal["nf4", "int8"] | None, dtype: str, device: str) -> "LoadedModel":
    from base_models import load  # imports torch, which OpenVINO does not need

    return load(model, quantization=quantization, dtype=dtype, device=device)


@lru_cache(maxsize=1)
def _in_openvino(model: str) -> "Engine":
    return load_openvino(model)


class LocalWeights(BaseModel):
    """The fields of a local model: which weights, and how they answer."""

    model: str
    """Catalogue name or path of a model folder."""
    engine: Literal["auto", "transformers", "openvino"] = "auto"
    """The inference engine; "auto" selects the faster one for this model, adapter and machine."""
    adapter: Path | None = None
    """Folder of a finished run; None for the base model."""
    quantization: Literal["nf4", "int8"] | None = None
    dtype: str = "auto"
    device: str = "auto"
    max_tokens: int = Field(default=256, ge=1)
    """Maximum tokens in one answer."""
    temperature: float = Field(default=0.0, ge=0)
    """0 always chooses the likeliest token."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    """With a temperature above 0: choose among the likeliest tokens with this total probability."""
    seed: int | None = None
    """With a temperature above 0: the same seed gives the same answer."""
    repetition_penalty: float = Field(default=1.0, ge=1)
    stop: list[str] | None = None
    """Stop strings: the answer ends before the first of them."""
    logprobs: bool = False
    """Whether ``response_metadata["logprobs"]`` of an answer holds its tokens with their log-probabilities."""
    top_logprobs: int = Field(default=0, ge=0, le=20)
    """How many of the likeliest tokens are listed at each place, beside the chosen one."""

    @property
    def loaded(self) -> "LoadedModel":
        """The transformers model, whatever the engine; loaded on first use."""
        with LOADING:
            return _loaded(self.model, self.quantization, self.dtype, self.device)

    @property
    def answering(self) -> "Engine":
        """The engine that answers, with its weights; loaded on first use."""
        with LOADING:
            choice = choose_engine(self.model, self.engine, self.adapter, self.quantization, self.dtype, self.device)
            if choice.engine == "openvino":
                return _in_openvino(self.model)
        return self.loaded

    def sampling(self, grammar: str = "") -> Sampling:
        """How the engine chooses tokens."""
        return Sampling(
            self.max_tokens,
            self.temperature,
            self.repetition_penalty,
            self.top_p,
            self.seed,
            self.top_logprobs if self.logprobs else None,
            grammar,
        )

    def overridden(self, given: Mapping[str, Any]) -> Self:
        """A copy with other fields for one call; what is no field is left out."""
        copy = self.model_copy()
        for name, value in given.items():
            if name in type(self).model_fields:
                try:
                    self.__pydantic_validator__.validate_assignment(copy, name, value)
                except ValidationError as error:
                    raise AssistantError(f"{name} is {value!r}: {error.errors()[0]['msg']}.") from None
        return copy

    def log_probabilities(self, generation: Generation) -> list[dict[str, Any]]:
        """The tokens of an answer as OpenAI's API writes them."""

        def entry(token: int, log_probability: float) -> dict[str, Any]:
            text = str(self.answering.tokenizer.decode([token]))
            return {"token": text, "logprob": log_probability, "bytes": list(text.encode())}

        return [
            {
                **entry(token.id, token.log_probability),
                "top_logprobs": [entry(*other) for other in token.likeliest],
            }
            for token in generation.tokens
        ]

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "adapter": str(self.adapter) if self.adapter else None}
