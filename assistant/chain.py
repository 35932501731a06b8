"""The answering chain, as a LangGraph graph (which is an ordinary LangChain Runnable).

    condense ──> retrieve ──> answer          the model answers from the passages, with citations
                    └───────> refuse          the passages do not carry an answer: the model is not asked

State is the list of messages. Each answer is an ``AIMessage`` whose ``additional_kwargs["lorewright"]`` holds what
:class:`assistant.answers.Answer` shows: passages, citations, whether it was refused, and which adapter spoke.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langgraph.channels import UntrackedValue
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from assistant.answers import answer_message
from assistant.chat_model import LocalChatModel
from assistant.citations import WRITTEN, cite
from assistant.prompts import Prompts
from assistant.refusal import Refusal
from indexes import Index, Passage

HISTORY_MESSAGES = 6
"""How many earlier messages the model is shown; passages of earlier turns are not repeated."""


@dataclass(frozen=True)
class Request:
    """What belongs to one question and is not remembered."""

    adapter: Path | None = None
    """The adapter that answers; None is the base model."""
    stop: threading.Event = field(default_factory=threading.Event)
    """When set, the answer ends at the next token."""


class State(MessagesState):
    """The conversation, and what the nodes hand to one another (never written to the memory file)."""

    question: Annotated[str, UntrackedValue]
    passages: Annotated[list[Passage], UntrackedValue]


def answering_chain(
    llm: LocalChatModel,
    index: Index,
    prompts: Prompts,
    refusal: Refusal,
    checkpointer: BaseCheckpointSaver | None = None,
) -> CompiledStateGraph[State, Request, State, State]:
    """Compile the chain. Invoke it with ``{"messages": [("user", question)]}``; with a checkpointer it remembers the
    conversation named by ``config["configurable"]["thread_id"]``."""
    settings = prompts.domain.settings

    def request_of(runtime: Runtime[Request]) -> Request:
        return runtime.context or Request(llm.adapter)

    def condense(state: State, runtime: Runtime[Request]) -> dict:
        """Make a follow-up question complete, so that it can be searched for."""
        question, history = split_history(state["messages"])
        if not history:
            return {"question": question}
        language = prompts.language(question)
        said = "\n".join(f"{message['role']}: {message['content']}" for message in history)
        asked = prompts.text("condense", language, history=said, question=question)
        # The base model rewrites: an adapter has learnt to answer.
        rewriter = llm.model_copy(update={"adapter": None, "max_tokens": 80})
        rewritten = _say(rewriter, [{"role": "user", "content": asked}], request_of(runtime).stop).text.strip()
        # A small model sometimes answers instead of rewriting; the words of the question itself must not get lost.
        return {"question": f"{rewritten.splitlines()[0]} {question}" if rewritten else question}

    def retrieve(state: State) -> dict:
        return {"passages": index.search(state["question"], k=settings.retrieval.k)}

    def carried(state: State) -> Literal["answer", "refuse"]:
        """Whether the passages carry an answer, by the threshold fitted for the question's language."""
        if settings.answer.refuse and refusal.refuses(state["question"], state["passages"]):
            return "refuse"
        return "answer" if state["passages"] else "refuse"

    def answer(state: State, runtime: Runtime[Request]) -> dict:
        question, history = split_history(state["messages"])
        request = request_of(runtime)
        speaker = llm.model_copy(update={"adapter": request.adapter})
        whole = _say(speaker, prompts.answering(question, state["passages"], history), request.stop)
        refused = prompts.is_refusal(whole.text) and not request.stop.is_set()
        language = prompts.language(question)
        text, citations = (prompts.refusal(language), []) if refused else cite(whole.text, state["passages"])
        message = answer_message(text, state["passages"], citations, refused, request.adapter)
        message.usage_metadata = whole.usage_metadata
        return {"messages": [message]}

    def refuse(state: State) -> dict:
        language = prompts.language(state["messages"][-1].text)
        return {"messages": [answer_message(prompts.refusal(language), state["passages"], [], True, None)]}

    graph = StateGraph(State, context_schema=Request)
    for node in (condense, retrieve, answer, refuse):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "condense")
    graph.add_edge("condense", "retrieve")
    graph.add_conditional_edges("retrieve", carried)
    graph.add_edge("answer", END)
    graph.add_edge("refuse", END)
    return graph.compile(checkpointer=checkpointer)


def split_history(messages: Sequence[BaseMessage]) -> tuple[str, list[dict[str, str]]]:
    """The last question, and the answered turns before it as plain messages without citations, the latest few only."""
    *earlier, last = messages
    turns: list[dict[str, str]] = []
    for asked, said in pairwise(earlier):
        if asked.type == "human" and isinstance(said, AIMessage):
            answer = WRITTEN.sub("", said.text)
            turns += [{"role": "user", "content": asked.text}, {"role": "assistant", "content": answer}]
    return last.text, turns[-HISTORY_MESSAGES:]


def _say(llm: LocalChatModel, messages: Sequence[dict[str, str]], stop: threading.Event) -> AIMessageChunk:
    """What the model says to these messages, up to the token at which ``stop`` is set."""
    whole = AIMessageChunk(content="")
    if not stop.is_set():
        for chunk in llm.stream([(message["role"], message["content"]) for message in messages]):
            whole += chunk  # type: ignore[assignment]  # two chunks of one class make one
            if stop.is_set():
                break
    return whole
