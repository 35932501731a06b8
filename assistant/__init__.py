"""The assistant: answers questions about a domain's documents, with citations.

Contains the chat model, answering chain, memory, agent, refusal, evaluation and command line. Names that need torch or
LangChain are imported on first use, so that ``lorewright --help`` is fast.
"""

from typing import TYPE_CHECKING

from assistant.errors import AssistantError

if TYPE_CHECKING:
    from assistant.answering.citations import Citation
    from assistant.answers import Answer
    from assistant.assistant import Assistant
    from assistant.models.chat_model import LocalChatModel
    from assistant.models.local_llm import LocalLLM

__all__ = ["Answer", "Assistant", "AssistantError", "Citation", "LocalChatModel", "LocalLLM"]

_LAZY = {
    "Answer": "answers",
    "Assistant": "assistant",
    "Citation": "answering.citations",
    "LocalChatModel": "models.chat_model",
    "LocalLLM": "models.local_llm",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"assistant.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
