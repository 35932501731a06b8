"""The answering chain, a LangGraph graph and therefore a LangChain Runnable.

    retrieve ──> answer          the model answers from the passages, with citations
       │  └────> refuse          the passages do not answer the question: no model call
    talk                         a greeting, thanks, a question about the assistant: no search, no model call
    remember                     "remember that ...": stores a fact about the user (only with a store and a user)

The nodes call ``answering/pipeline.py``. The state is the list of messages. Each answer is an ``AIMessage`` whose
``additional_kwargs["lorewright"]`` stores the fields of :class:`assistant.answers.Answer`: passages, citations, outcome
and adapter.
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import add_usage
from langgraph.channels import UntrackedValue
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore

from assistant.answering.citations import without_numbers
from assistant.answering.pipeline import Asked, Finished, Found, Language, answered_anyway, find, finish, recent
from assistant.answering.prompts import Prompts
from assistant.answering.refusal import Refusal
from assistant.answering.small_talk import reply, small_talk
from assistant.answers import KEY, answer_message, outcome_of, small_talk_message
from assistant.models.chat_model import LocalChatModel
from assistant.user_facts import UserFacts, fact_to_remember
from indexes import Index


@dataclass(frozen=True)
class Parts:
    """The objects that the nodes use."""

    llm: LocalChatModel
    index: Index
    prompts: Prompts
    refusal: Refusal


@dataclass(frozen=True)
class Request:
    """Options of one question that are not stored in the conversation."""

    adapter: Path | None = None
    """The adapter that answers; None for the base model."""
    stop: threading.Event = field(default_factory=threading.Event)
    """When set, the answer ends at the next token."""
    answer_anyway: bool = False
    """Answer even if the evidence calls for a refusal; the answer is marked as unsure."""
    user: str = ""
    """Whose facts are remembered and shown to the model; empty for nobody's."""


class State(MessagesState):
    """The conversation, and the search result passed between nodes (never written to the memory file)."""

    found: Annotated[Found, UntrackedValue]


def answering_chain(
    llm: LocalChatModel,
    index: Index,
    prompts: Prompts,
    refusal: Refusal,
    checkpointer: BaseCheckpointSaver | None = None,
    store: BaseStore | None = None,
) -> CompiledStateGraph[State, Request, State, State]:
    """Compile the chain. Invoke it with ``{"messages": [("user", question)]}``. With a checkpointer it stores the
    conversation named by ``config["configurable"]["thread_id"]``; with a store, facts about the user of the request."""
    parts = Parts(llm, index, prompts, refusal)
    graph = StateGraph(State, context_schema=Request)
    for node in (talk, remember, retrieve, answer, refuse):
        graph.add_node(node.__name__, partial(node, parts))
    graph.add_conditional_edges(START, is_question)
    graph.add_conditional_edges("retrieve", is_answered)
    for node in (talk, remember, answer, refuse):
        graph.add_edge(node.__name__, END)
    return graph.compile(checkpointer=checkpointer, store=store)


def is_question(state: State, runtime: Runtime[Request]) -> Literal["talk", "remember", "retrieve"]:
    """Route the last message: a fact to remember, small talk, or a question to search for."""
    if _user(runtime) and fact_to_remember(state["messages"][-1].text):
        return "remember"
    talk = small_talk(state["messages"][-1].text)
    return "talk" if talk and not _asks_again(talk.intent, state["messages"]) else "retrieve"


def talk(parts: Parts, state: State) -> dict:
    """Reply to small talk."""
    message = state["messages"][-1].text
    found = small_talk(message)
    assert found is not None
    return {"messages": [small_talk_message(reply(found, message, parts.prompts, parts.index))]}


def remember(parts: Parts, state: State, runtime: Runtime[Request]) -> dict:
    """Store the fact that the message states, and say so."""
    message = state["messages"][-1].text
    fact = fact_to_remember(message)
    assert fact
    assert runtime.store
    stored = UserFacts(runtime.store).add(_user(runtime), fact)
    text = parts.prompts.text("remembered", parts.prompts.language(message), fact=stored.text)
    return {"messages": [small_talk_message(text)]}


def retrieve(parts: Parts, state: State, runtime: Runtime[Request]) -> dict:
    """Search, and decide whether to answer."""
    (found,) = find(parts.index, parts.refusal, [asked_in(state["messages"])])
    if found.passages and _request(parts, runtime).answer_anyway:
        found = answered_anyway(found)
    return {"found": found}


def is_answered(state: State) -> Literal["answer", "refuse"]:
    """Route by outcome: a refusal skips the model."""
    return "refuse" if state["found"].outcome == "refused" else "answer"


def answer(parts: Parts, state: State, runtime: Runtime[Request]) -> dict:
    """Generate the answer from the prompt's passages."""
    found, request = state["found"], _request(parts, runtime)
    llm = parts.llm.model_copy(update={"adapter": request.adapter})
    user = _user(runtime)
    facts = [fact.text for fact in UserFacts(runtime.store).all(user)] if user and runtime.store else []
    prompts = [parts.prompts.answering(one.asked, one.shown, facts=facts) for one in found.asks]
    said = [_streamed(llm, prompt, request.stop) for prompt in prompts]
    if all(parts.prompts.is_refusal(whole.text) for whole in said) and not request.stop.is_set():
        return refuse(parts, {**state, "found": replace(found, outcome="refused")})
    texts = [whole.text for whole in said]
    finished = finish(parts.index, found, texts, _refusal(parts, found), quoted=not request.stop.is_set())
    message = answer_message(found, finished, request.adapter)
    message.usage_metadata = reduce(add_usage, (whole.usage_metadata for whole in said))
    return {"messages": [message]}


def refuse(parts: Parts, state: State) -> dict:
    """Reply that the documents do not contain the answer."""
    found = state["found"]
    return {"messages": [answer_message(found, Finished(_refusal(parts, found)), None)]}


def asked_in(messages: Sequence[BaseMessage]) -> Asked:
    """The last question of a conversation with the answered questions before it; small talk is skipped.

    "And in English, please" repeats the previous question in the other language.
    """
    *earlier, last = messages
    turns: list[tuple[str, str]] = []
    for asked, said in pairwise(earlier):
        answered = asked.type == "human" and isinstance(said, AIMessage) and not said.tool_calls
        if answered and outcome_of(said.additional_kwargs.get(KEY, {"refused": False})) != "small_talk":
            turns.append((_question(asked.text, turns)[0], _said_before(said)))
    question, language = _question(last.text, turns)
    while language and turns and turns[-1][0] == question:
        turns.pop()
    history = [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    return Asked(question, recent(history), language)


def _said_before(message: BaseMessage) -> str:
    """An earlier answer as it appears in the prompt: the model's own text, or the quotes if it has none."""
    written = message.additional_kwargs.get(KEY, {}).get("written")
    return written or re.sub(r"(?m)^> ?", "", without_numbers(message.text))


def _question(message: str, turns: Sequence[tuple[str, str]]) -> tuple[str, Language]:
    """The question that a message asks, given the turns before it, and the requested language."""
    talk = small_talk(message)
    return (turns[-1][0], talk.language) if talk and talk.intent == "language" and turns else (message, "")


def _asks_again(intent: str, messages: Sequence[BaseMessage]) -> bool:
    """Whether a message requests the previous answer in another language."""
    answered = (m.additional_kwargs[KEY] for m in messages if isinstance(m, AIMessage) and KEY in m.additional_kwargs)
    return intent == "language" and any(outcome_of(kept) != "small_talk" for kept in answered)


def _refusal(parts: Parts, found: Found) -> str:
    return parts.prompts.refusal(found.asked.language or parts.prompts.language(found.asked.question))


def _request(parts: Parts, runtime: Runtime[Request]) -> Request:
    return runtime.context or Request(parts.llm.adapter)


def _user(runtime: Runtime[Request]) -> str:
    """The user whose facts this chain keeps; empty without a store or a user."""
    return runtime.context.user if runtime.store and runtime.context else ""


def _streamed(llm: LocalChatModel, messages: Sequence[dict[str, str]], stop: threading.Event) -> AIMessageChunk:
    """The model's reply to these messages, up to the token at which ``stop`` is set."""
    whole = AIMessageChunk(content="")
    if not stop.is_set():
        for chunk in llm.stream([(message["role"], message["content"]) for message in messages]):
            whole += chunk  # type: ignore[assignment]  # the sum of two chunks is a chunk
            if stop.is_set():
                break
    return whole
