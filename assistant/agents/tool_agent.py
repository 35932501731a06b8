"""A LangChain agent that searches, calculates, queries tables and answers with citations, also with a small model.

    question ─> small talk: a reply
             ─> the next tool (next_step.py); its arguments, decoded within a grammar ─> its result ─> ...
             ─> the answer, as the answering chain gives it: refused, cited and checked (answering/pipeline.py)

:class:`OneStepAtATime` does this inside of LangChain's ``create_agent``.
"""

import re
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelCallLimitMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.graph.state import CompiledStateGraph

from assistant.agents.arguments import fixed_arguments, written_arguments
from assistant.agents.next_step import answers, next_tool
from assistant.answering.pipeline import Asked, Finished, Found, finish, show
from assistant.answering.prompts import Prompts
from assistant.answering.small_talk import reply, small_talk
from assistant.answers import answer_message, small_talk_message
from assistant.chain import asked_in
from assistant.models.chat_model import LocalChatModel
from indexes import Index

ROLES = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
MOST_STEPS = 6
"""Model calls for one question, the answer included."""
ROWS = re.compile(r"^(\S+) \((.+?); \d+ rows\): (.+)$", re.MULTILINE)
"""A table in the text of ``list_tables``: its name, file and columns with types."""


def build_agent(
    llm: LocalChatModel, index: Index, prompts: Prompts, tools: Sequence[BaseTool], checkpointer: Any = None
) -> CompiledStateGraph:
    """Build the agent. Invoke it with ``{"messages": [("user", question)]}``; :func:`assistant.answers.read_answer`
    reads its last message.

    The base model writes the arguments of the tools, because adapters are trained to answer; the adapter of ``llm``
    writes the answer.
    """
    steps: AgentMiddleware[Any, Any, Any] = OneStepAtATime(llm, index, prompts, tools)
    limit: AgentMiddleware[Any, Any, Any] = ModelCallLimitMiddleware(run_limit=MOST_STEPS)
    return create_agent(llm, tools, middleware=[steps, limit], checkpointer=checkpointer)


@dataclass(frozen=True)
class _Turn:
    """The last question and what was done for it."""

    asked: Asked
    calls: dict[str, dict[str, Any]]
    """The arguments of each call, by its id."""
    results: list[ToolMessage]

    @property
    def found(self) -> Found | None:
        """The latest search."""
        return next((one.artifact for one in reversed(self.results) if isinstance(one.artifact, Found)), None)

    @property
    def worked_out(self) -> list[str]:
        """What was calculated and queried, as lines to answer from."""
        return [
            f"{self.calls[one.tool_call_id]['sql']}\n{one.text}" if one.name == "query_table" else one.text
            for one in self.results
            if not isinstance(one.artifact, Found) and answers(one)
        ]


class OneStepAtATime(AgentMiddleware):
    """Middleware that offers the model the next tool only, and answers through the answering pipeline."""

    def __init__(self, llm: LocalChatModel, index: Index, prompts: Prompts, tools: Sequence[BaseTool]):
        super().__init__()
        self.llm, self.index, self.prompts = llm, index, prompts
        self.offered = {tool.name: tool for tool in tools}

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]) -> ModelResponse:
        step = self._next(request)
        if isinstance(step, AIMessage):
            return ModelResponse(result=[step])
        replies = [handler(one).result[-1].text for one in step.requests]
        return ModelResponse(result=[step.message(replies)])

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse:
        step = self._next(request)
        if isinstance(step, AIMessage):
            return ModelResponse(result=[step])
        replies = [(await handler(one)).result[-1].text for one in step.requests]
        return ModelResponse(result=[step.message(replies)])

    def _tables(self) -> str:
        """The tables of the documents now, as the model reads them; empty if there are none."""
        tool = self.offered.get("list_tables")
        listed = tool.invoke({}) if tool and "query_table" in self.offered else ""
        return listed if ROWS.search(listed) else ""

    def _next(self, request: ModelRequest) -> "AIMessage | _Step":
        turn = self._turn(request)
        talk = small_talk(turn.asked.question)
        if talk and not turn.results:
            return small_talk_message(reply(talk, turn.asked.question, self.prompts, self.index))
        tables = self._tables()
        columns = {
            name: [column.rsplit(" ", 1)[0] for column in listed.split(", ")]
            for name, _, listed in ROWS.findall(tables)
        }
        tool = next_tool(turn.asked.question, turn.results, set(self.offered), columns)
        if not tool:
            return self._answering(request, turn)
        if tool == "search_documents":
            return _call(tool, {"query": turn.asked.question})
        if (fixed := fixed_arguments(tool, turn.asked.question)) is not None:
            return _call(tool, fixed)
        failures = [one.text for one in turn.results if not answers(one)]
        wanted = written_arguments(tool, turn.asked.question, turn.found, tables, columns, failures)
        model = self.llm.model_copy(update={"adapter": None})
        system, *others = [ROLES[role](text) for role, text in wanted.messages]
        settings = {"grammar": wanted.grammar, "max_tokens": wanted.max_tokens}
        asking = request.override(
            model=model, system_message=system, messages=others, tools=[], model_settings=settings
        )
        return _Step([asking], lambda replies: _call(tool, wanted.read(replies[0])))

    def _turn(self, request: ModelRequest) -> _Turn:
        last = max(number for number, message in enumerate(request.messages) if message.type == "human")
        since = request.messages[last:]
        calls = {
            str(call["id"]): call["args"] for one in since if isinstance(one, AIMessage) for call in one.tool_calls
        }
        results = [message for message in since if isinstance(message, ToolMessage)]
        return _Turn(asked_in(request.messages[: last + 1]), calls, results)

    def _answering(self, request: ModelRequest, turn: _Turn) -> "AIMessage | _Step":
        """The last step: a request for each part of the question, or a refusal without one."""
        lines, found = turn.worked_out, turn.found
        if found is None or (lines and found.outcome == "refused"):
            found = self._rows_of_tables(turn) if lines else Found(turn.asked, [], [], "refused")
        refusal = self.prompts.refusal(self.prompts.language(turn.asked.question))
        if found.outcome == "refused":
            return answer_message(found, Finished(refusal), None)
        asks = [(found.asked, found.shown)] if lines else [(one.asked, one.shown) for one in found.asks]
        requests = [self._asking(request, self.prompts.answering(one, shown, lines)) for one, shown in asks]

        def message(replies: Sequence[str]) -> AIMessage:
            finished = (
                finish(self.index, found, replies, refusal) if found.passages else Finished(replies[0], replies[0])
            )
            return answer_message(found, with_results(finished, lines, replies), self.llm.adapter)

        return _Step(requests, message)

    def _rows_of_tables(self, turn: _Turn) -> Found:
        """The rows of the queried tables that are nearest to the question, to cite."""
        sql = " ".join(str(arguments.get("sql", "")) for arguments in turn.calls.values())
        files = {file.split(", sheet ")[0] for name, file, _ in ROWS.findall(self._tables()) if name in sql}
        passages = (
            [one for one in self.index.search(turn.asked.question, 20) if one.document in files][:3] if files else []
        )
        return Found(turn.asked, passages, show(self.index, passages) if passages else [], "answered")

    def _asking(self, request: ModelRequest, messages: Sequence[dict[str, str]]) -> ModelRequest:
        system, *others = [ROLES[message["role"]](message["content"]) for message in messages]
        return request.override(model=self.llm, system_message=system, messages=others, tools=[], model_settings={})


@dataclass(frozen=True)
class _Step:
    """Requests to the model, and the message that its replies make."""

    requests: list[ModelRequest]
    message: Callable[[Sequence[str]], AIMessage]


def with_results(finished: Finished, lines: Sequence[str], replies: Sequence[str]) -> Finished:
    """The answer with what was worked out before it.

    What the model wrote is left out if it lacks the last result; the answer is then marked as unsure.
    """
    if not lines:
        return finished
    shown = "\n\n".join(_shown(line) for line in lines)
    *_, value = ["", *re.findall(r"[^\s|=]+", lines[-1].splitlines()[-1])]
    if value.replace(",", "") not in " ".join(replies).replace(",", ""):
        quotes = [part for part in finished.text.split("\n\n") if part.startswith(">")]
        text = "\n\n".join([shown, *quotes])
        return replace(
            finished, text=text, written=shown, unsupported=[], unknown_numbers=[], negations=[], left_out=True
        )
    return replace(
        finished,
        text="\n\n".join(filter(None, [shown, finished.text])),
        written="\n\n".join(filter(None, [shown, finished.written])),
        unknown_numbers=[number for number in finished.unknown_numbers if number not in shown.replace(",", "")],
    )


def _shown(line: str) -> str:
    """A calculation as it is; a query as code, with its rows."""
    sql, *rows = line.splitlines()
    if len(rows) < 2:
        return line
    names, *values = rows
    listed = "\n".join(f"- {value}" for value in values)
    return f"`{sql}` ({len(values)}): {names}\n\n{listed}"


def _call(name: str, arguments: dict[str, Any]) -> AIMessage:
    identity = f"call_{uuid.uuid4().hex[:12]}"
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": identity, "type": "tool_call"}])
