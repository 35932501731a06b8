"""The answering chain of a domain as a Runnable from a question to an ``Answer``."""

from typing import Any

from langchain_core.runnables import Runnable, RunnableLambda

from assistant.answers import Answer, read_answer
from assistant.assistant import Assistant


def answering(assistant: Assistant) -> Runnable[str, Answer]:
    """From a question to its answer with citations, without memory."""
    chain: Runnable[Any, Any] = assistant.chain
    ask: Runnable[str, Any] = RunnableLambda(lambda question: {"messages": [("user", question)]})
    read: Runnable[Any, Answer] = RunnableLambda(lambda state: read_answer(state["messages"][-1]))
    return (ask | chain | read).with_config(run_name="answering")
