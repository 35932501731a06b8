"""A chain that compares two texts, passages or documents."""

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from assistant.answering.prompts import Prompts
from assistant.chains.prompting import Texts, asking, text_of
from assistant.chains.summarising import summarise
from assistant.token_estimate import estimated_tokens


def compare(
    llm: BaseChatModel, prompts: Prompts | None = None, part_tokens: int = 900
) -> Runnable[Mapping[str, Any], str]:
    """From ``{"first": ..., "second": ..., "about": ...}`` to what the two have in common and how they differ.

    Each of the two is a text, a passage or the passages of a document; longer than ``part_tokens``, it is summarised
    first. ``about`` is optional: what to look at.
    """
    summary = summarise(llm, prompts, part_tokens)

    def shortened(given: Texts, config: RunnableConfig) -> str:
        text = text_of(given)
        return summary.invoke(given, config) if estimated_tokens(text) > part_tokens else text

    def ask(given: Mapping[str, Any], config: RunnableConfig) -> Any:
        first, second = (shortened(given[key], config) for key in ("first", "second"))
        return asking(prompts, "compare", first, first=first, second=second, about=given.get("about", ""))

    return (RunnableLambda(ask) | llm | StrOutputParser()).with_config(run_name="compare")
