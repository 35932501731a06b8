"""Chains from a question to better search queries: standalone, several, or in the other language."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import convert_to_messages
from langchain_core.output_parsers import StrOutputParser
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableBranch, RunnableLambda

from assistant.answering.prompts import Prompts
from assistant.chains.prompting import asking
from assistant.errors import AssistantError
from indexes import language_of

SPEAKERS = {"en": {"human": "User", "ai": "Assistant"}, "zh": {"human": "用户", "ai": "助手"}}
RANK_CONSTANT = 60
"""k of reciprocal rank fusion, as in Cormack et al. 2009."""
OTHER = {"en": "zh", "zh": "en"}


def standalone_question(llm: BaseChatModel, prompts: Prompts | None = None) -> Runnable[Mapping[str, Any], str]:
    """From ``{"question": ..., "history": messages}`` to a question that needs no history.

    Without history, the question is returned as it is and the model is not called. So is a question for which the model
    writes nothing.
    """

    def ask(given: Mapping[str, Any]) -> list:
        names = SPEAKERS[language_of(given["question"])]
        turns = [message for message in convert_to_messages(given["history"]) if message.type in names]
        lines = [f"{names[message.type]}: {' '.join(message.text.split())}" for message in turns]
        conversation = "\n".join(lines)
        return asking(
            prompts, "standalone", given["question"], conversation=conversation, question=given["question"].strip()
        )

    rewrite = RunnableLambda(ask) | llm | StrOutputParser() | _first_line
    return RunnableBranch(
        (lambda given: bool(given.get("history")), RunnableLambda(_keeping(rewrite))),
        lambda given: given["question"],
    ).with_config(run_name="standalone_question")


def _keeping(rewrite: Runnable[Mapping[str, Any], str]) -> Any:
    return lambda given, config: rewrite.invoke(given, config) or given["question"]


def search_queries(llm: BaseChatModel, count: int = 3, prompts: Prompts | None = None) -> Runnable[str, list[str]]:
    """From a question to itself and up to ``count`` other search queries for it, each once."""
    if count < 1:
        raise AssistantError(f"count is {count}, but at least one query must be written.")
    query = {"type": "string", "minLength": 1, "maxLength": 200}
    schema = {
        "title": "queries",
        "type": "object",
        "properties": {"queries": {"type": "array", "items": query, "minItems": count, "maxItems": count}},
        "required": ["queries"],
    }

    def write(question: str, config: Any) -> list[str]:
        asked = asking(prompts, "queries", question, question=question, count=str(count))
        written = llm.with_structured_output(schema).invoke(asked, config)
        queries = written.get("queries", []) if isinstance(written, dict) else []
        return list(dict.fromkeys([question, *(query.strip() for query in queries if query.strip())]))

    return RunnableLambda(write).with_config(run_name="search_queries")


def multi_query(
    llm: BaseChatModel, retriever: BaseRetriever, count: int = 3, k: int = 4, prompts: Prompts | None = None
) -> Runnable[str, list[Document]]:
    """From a question to the ``k`` best documents of several searches for it, merged by reciprocal rank."""
    merge: Runnable[Any, list[Document]] = RunnableLambda(lambda rankings: merged(rankings)[:k])
    return (search_queries(llm, count, prompts) | retriever.map() | merge).with_config(run_name="multi_query")


def merged(rankings: Sequence[Sequence[Document]]) -> list[Document]:
    """Reciprocal rank fusion: the documents of several rankings, best first, each once."""
    scores: dict[str, float] = {}
    documents: dict[str, Document] = {}
    for ranking in rankings:
        for rank, document in enumerate(ranking, start=1):
            key = document.id or document.page_content
            documents.setdefault(key, document)
            scores[key] = scores.get(key, 0.0) + 1 / (RANK_CONSTANT + rank)
    return [documents[key] for key in sorted(scores, key=lambda key: -scores[key])]


def translate(llm: BaseChatModel, to: str | None = None, prompts: Prompts | None = None) -> Runnable[str, str]:
    """From a question to its translation into ``to`` ("en" or "zh"), by default the language that it is not in.

    A question that is in that language already is returned as it is.
    """
    if to not in (None, "en", "zh"):
        raise AssistantError(f"{to!r} is not a language to translate into; use en or zh.")
    chosen = prompts or Prompts()

    def ask(text: str) -> Any:
        language = to or OTHER[language_of(text)]
        return chosen.text("translate", language, text=text.strip())

    wanted = RunnableLambda(ask) | llm | StrOutputParser() | _first_line
    same = RunnableLambda(lambda text: text)
    return RunnableBranch((lambda text: language_of(text) == to, same), wanted).with_config(run_name="translate")


def _first_line(text: str) -> str:
    """The first line that is not empty: small models go on after their answer."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
