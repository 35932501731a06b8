"""The assistant of one domain: ask, stream, and continue a conversation.

    assistant = Assistant.open("tea-shop")
    answer = assistant.ask("龙井怎么泡?")
    print(answer.text, [citation.passage.place for citation in answer.citations])

The command line and the page answer questions through this class.
"""

import threading
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, RemoveMessage
from langgraph.graph.state import CompiledStateGraph

from assistant.answering.prompts import Prompts
from assistant.answering.refusal import Refusal
from assistant.answers import Answer, read_answer
from assistant.chain import Request, State, answering_chain
from assistant.conversations import LOCAL_USER, Conversations
from assistant.domain_adapters import READER, adapter_folder, is_shipped
from assistant.errors import AssistantError
from assistant.models.chat_model import LocalChatModel
from base_models import find
from domain import Domain, is_text
from indexes import Index

DEFAULT = "the adapter that domain.toml names"


class Assistant:
    """A domain that answers questions. Create one with :meth:`open`; it may be used from several threads."""

    def __init__(self, domain: Domain, index: Index):
        self.domain = domain
        self.index = index
        self.prompts = Prompts(domain)
        settings = domain.settings
        self.llm = LocalChatModel(
            model=settings.base_model,
            engine=settings.engine,
            adapter=adapter_folder(domain, settings.adapter, check=False),
            max_tokens=settings.answer.max_new_tokens,
            temperature=settings.answer.temperature,
            repetition_penalty=settings.answer.repetition_penalty,
        )
        """The LangChain chat model; its weights are loaded at the first question."""

    @classmethod
    def open(cls, path: str | Path) -> "Assistant":
        """Open the assistant of an indexed domain folder."""
        domain = Domain.open(path)
        if not Path(domain.settings.base_model).expanduser().is_dir():
            find(domain.settings.base_model)  # fail now, with the nearest name: a refusal never loads the model
        index = Index.open(domain)
        if not index.documents():
            index.close()
            raise AssistantError(
                f"{domain.path} has no documents in its index; put documents into {domain.documents}, "
                f"then run: {domain.command('index')}"
            )
        return cls(domain, index)

    def adapter_folder(self, name: str = DEFAULT) -> Path | None:
        """The folder of an adapter by name. Empty is the base model (None); the default is domain.toml's adapter."""
        chosen = self.domain.settings.adapter if name == DEFAULT else name
        return adapter_folder(self.domain, chosen)

    def adapter_names(self) -> list[str]:
        """The names that can answer: the base model (empty), its shipped reader if any, and the domain's runs."""
        return ["", *([READER] if self.has_reader else []), *self.domain.adapter_names()]

    @property
    def has_reader(self) -> bool:
        """Whether a reader is shipped for the base model and no run of the domain has its name."""
        return is_shipped(self.domain, READER) and self.adapter_folder(READER) is not None

    @property
    def refusal(self) -> Refusal:
        """The refusal thresholds stored with the index."""
        return Refusal.of(self.index)

    @cached_property
    def conversations(self) -> Conversations:
        """The memory file."""
        return Conversations(self.domain.conversations)

    @cached_property
    def chain(self) -> CompiledStateGraph[State, Request, State, State]:
        """The answering chain without memory, a LangChain Runnable.

        ``chain.invoke({"messages": [("user", "...")]})["messages"][-1]`` is the answer.
        """
        return answering_chain(self.llm, self.index, self.prompts, self.refusal)

    @cached_property
    def remembering_chain(self) -> CompiledStateGraph[State, Request, State, State]:
        """The answering chain with memory; ``config["configurable"]["thread_id"]`` names the conversation."""
        kept = self.conversations
        return answering_chain(self.llm, self.index, self.prompts, self.refusal, kept.saver, kept.store)

    @cached_property
    def agent(self) -> CompiledStateGraph:
        """An agent that searches, calculates and queries tables, step by step (LangChain's ``create_agent``).

        It has no tool that needs a person's approval, whatever domain.toml switches on.
        """
        from assistant.agents.tool_agent import build_agent  # imported here because it takes a second
        from assistant.tools.toolset import needing_approval, tools_of

        tools = tools_of(self)
        free = [tool for tool in tools if tool.name not in needing_approval(tools)]
        return build_agent(self.llm, self.index, self.prompts, free)

    def ask(
        self,
        question: str,
        conversation: str | None = None,
        adapter: str = DEFAULT,
        answer_anyway: bool = False,
        user: str = LOCAL_USER,
    ) -> Answer:
        """Answer one question; with ``conversation``, as the next turn of that conversation.

        ``user`` is whose conversation it is.
        ``answer_anyway`` answers even if the evidence calls for a refusal; the answer is marked as unsure.
        """
        for piece in self.stream(question, conversation, adapter, answer_anyway=answer_anyway, user=user):
            if isinstance(piece, Answer):
                return piece
        raise AssistantError("the answer was stopped before its first token; ask again.")

    def stream(
        self,
        question: str,
        conversation: str | None = None,
        adapter: str = DEFAULT,
        stop: threading.Event | None = None,
        answer_anyway: bool = False,
        user: str = LOCAL_USER,
    ) -> Iterator[str | Answer]:
        """Stream the answer: pieces of text while they are decoded, then the complete :class:`Answer`.

        The :class:`Answer` replaces the pieces, because its citations have been checked. With ``answer_anyway``, it
        also replaces a refusal of the same question in the last turn. When ``stop`` is set or the iterator is closed,
        the model stops at its next token, and the text so far is stored as the answer.
        """
        if not is_text(question):
            raise AssistantError("the question is not valid text; is the terminal set to UTF-8?")
        if not any(character.isalnum() for character in question):
            raise AssistantError("the question contains no words." if question.strip() else "the question is empty.")
        request = Request(self.adapter_folder(adapter), stop or threading.Event(), answer_anyway, user)
        with self.conversations.turn(conversation) if conversation else nullcontext():
            yield from self._answering(question, conversation, request)

    def _answering(self, question: str, conversation: str | None, request: Request) -> Iterator[str | Answer]:
        chain = self.remembering_chain if conversation else self.chain
        if conversation:
            self.conversations.touch(conversation, question, request.user)
        replaced = self._refused_turn(conversation, question) if conversation and request.answer_anyway else []
        state: State = {"messages": [*replaced, HumanMessage(question, id=uuid.uuid4().hex)]}  # type: ignore[typeddict-item]
        events: Iterator[Any] = chain.stream(
            state,
            {"configurable": {"thread_id": conversation}} if conversation else None,
            context=request,
            stream_mode=["messages", "updates"],
            durability="exit" if conversation else None,
        )
        try:
            for mode, event in events:
                if mode == "messages":
                    message, metadata = event
                    if isinstance(message, AIMessageChunk) and metadata["langgraph_node"] == "answer" and message.text:
                        yield message.text
                elif mode == "updates" and (event.keys() & {"talk", "remember", "answer", "refuse"}):
                    (update,) = event.values()
                    yield read_answer(update["messages"][-1])
        finally:
            request.stop.set()
            for _ in events:
                pass  # lets the graph store the turn

    def _refused_turn(self, conversation: str, question: str) -> list[BaseMessage]:
        """Messages that remove the last turn if it refused this question; otherwise empty."""
        messages = self._messages(conversation)[-2:]
        if len(messages) < 2 or messages[0].text != question or not isinstance(messages[1], AIMessage):
            return []
        return [RemoveMessage(str(m.id)) for m in messages] if read_answer(messages[1]).refused else []

    def _messages(self, conversation: str) -> list[BaseMessage]:
        state = self.remembering_chain.get_state({"configurable": {"thread_id": conversation}})
        return list(state.values.get("messages", []))

    def history(self, conversation: str) -> list[str | Answer]:
        """The turns of a conversation, oldest first: questions as text, answers as :class:`Answer`."""
        messages = self._messages(conversation)
        return [read_answer(m) if isinstance(m, AIMessage) else str(m.text) for m in messages]

    def close(self) -> None:
        """Close the index and the memory file."""
        self.index.close()
        if "conversations" in self.__dict__:
            self.conversations.close()
