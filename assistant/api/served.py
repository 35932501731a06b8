"""The models that a server offers by name: domains, their adapters, and the base model.

tea-shop            the domain's answering chain with the adapter that domain.toml names
tea-shop:first      the same with the adapter ``first``
tea-shop:base       the same without an adapter
qwen2.5-…           the base model: plain chat, without documents
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from assistant.api.errors import ApiError
from assistant.assistant import DEFAULT, Assistant
from assistant.errors import AssistantError
from assistant.models.chat_model import LocalChatModel
from assistant.models.local_llm import LocalLLM

PLAIN_TOKENS = 1024
"""Maximum tokens of an answer of the base model, if the request names none. Chosen."""


@dataclass(frozen=True)
class DomainModel:
    """A domain that answers with an adapter."""

    assistant: Assistant
    adapter: str


class Served:
    """The models by name. The domains must have one base model, of which the process has one copy."""

    def __init__(self, assistants: Sequence[Assistant]) -> None:
        self.domains = {_name(assistant): assistant for assistant in assistants}
        first = assistants[0]
        base = first.domain.settings.base_model
        for other in assistants:
            if other.domain.settings.base_model != base:
                raise AssistantError(
                    f"{first.domain.path} answers with {base}, {other.domain.path} with "
                    f"{other.domain.settings.base_model}; start one server for each base model."
                )
        self.base = Path(base).name
        names = [*map(_name, assistants), self.base]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise AssistantError(f"two models have the name {twice!r}; rename a domain folder.")
        self.llm = first.llm.model_copy(update={"adapter": None, "max_tokens": PLAIN_TOKENS})
        self.text_llm = LocalLLM(model=base, engine=self.llm.engine, max_tokens=PLAIN_TOKENS)

    def names(self) -> list[str]:
        """The models now; an adapter that is finished while the server runs appears by itself."""
        adapters = [
            f"{name}:{adapter or 'base'}"
            for name, assistant in self.domains.items()
            for adapter in assistant.adapter_names()
        ]
        return [*self.domains, *adapters, self.base]

    def chat(self, name: str) -> DomainModel | LocalChatModel:
        """The model of a request; raises :class:`ApiError` 404 for an unknown name."""
        if name == self.base:
            return self.llm
        domain, _, adapter = name.partition(":")
        if name in self.domains or name in self.names():
            adapter = "" if adapter == "base" else adapter or DEFAULT
            return DomainModel(self.domains[domain], adapter)
        raise self._unknown(name, self.names())

    def text(self, name: str) -> LocalLLM:
        """The model that continues a text."""
        if name != self.base:
            raise self._unknown(name, [self.base])
        return self.text_llm

    def embedding(self, name: str) -> Assistant:
        """The domain whose embedder a request means, by the name of the domain or of the embedder."""
        known = {assistant.domain.settings.embedder: assistant for assistant in self.domains.values()} | self.domains
        if name not in known:
            raise self._unknown(name, list(known))
        return known[name]

    def reranking(self, name: str) -> Assistant:
        """The domain whose reranker a request means, by the name of the domain or of the reranker."""
        having = {
            key: assistant
            for domain, assistant in self.domains.items()
            if (reranker := assistant.domain.settings.retrieval.reranker)
            for key in (reranker, domain)
        }
        if not having:
            raise ApiError(404, "no domain has a reranker; set retrieval.reranker in domain.toml.", "model_not_found")
        if name not in having:
            raise self._unknown(name, list(having))
        return having[name]

    def _unknown(self, name: str, names: Sequence[str]) -> ApiError:
        near = get_close_matches(name[:200], names, cutoff=0.5) or names
        message = f"there is no model {name[:200]!r} for this; use {' or '.join(near[:8])}."
        return ApiError(404, message, "model_not_found", "model")


def _name(assistant: Assistant) -> str:
    return assistant.domain.path.resolve().name
