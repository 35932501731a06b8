"""Chains over any LangChain chat model; each function returns an ordinary ``Runnable``.

    summarise(llm).invoke(document_passages(index, "en/lora.md"))
    (translate(llm) | retriever).batch(["龙井用多少度的水泡?", "How long must it draw?"])

``prompts`` are those of a domain (``Assistant.prompts``); without them, the built-in ones in the language of the text.
docs/scripting.md has a recipe for each.
"""

from assistant.chains.answering import answering
from assistant.chains.classifying import classify
from assistant.chains.comparing import compare
from assistant.chains.questions import multi_query, search_queries, standalone_question, translate
from assistant.chains.summarising import summarise
from assistant.chains.tables import Row, extract_table

__all__ = [
    "Row",
    "answering",
    "classify",
    "compare",
    "extract_table",
    "multi_query",
    "search_queries",
    "standalone_question",
    "summarise",
    "translate",
]
