"""A LangChain agent over the local model: it decides when to search the documents and when to calculate."""

import ast
import math
import operator
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import BaseTool, tool
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import InjectedState

from assistant.answering.pipeline import Asked, Finished, Found, find, finish
from assistant.answering.prompts import Prompts
from assistant.answering.refusal import Refusal
from assistant.answers import answer_message
from assistant.chain import asked_in
from assistant.models.chat_model import LocalChatModel
from indexes import Index

ROLES = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}

OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}

SIGNS = {"×": "*", "÷": "/", "^": "**", "% of": "/ 100 *"}
"""Signs that people write, and their Python equivalents."""

LONGEST_EXPRESSION = 200


def build_agent(llm: LocalChatModel, index: Index, prompts: Prompts, refusal: Refusal) -> CompiledStateGraph:
    """Build LangChain's agent loop over the local model with two tools. Invoke it with ``{"messages": [...]}``.

    The base model selects the tools, because adapters are trained to answer; the adapter of ``llm`` writes the answer.
    Search results are answered, refused and cited as in the answering chain (``answering/pipeline.py``). Only if the
    calculator alone was used, :func:`assistant.answers.read_answer` cannot read the last message.
    """
    chooser = llm.model_copy(update={"adapter": None})
    tools = [search_tool(index, refusal), calculator]
    return create_agent(chooser, tools, middleware=[ChooseThenAnswer(llm, index, prompts)])


class ChooseThenAnswer(AgentMiddleware):
    """Middleware with two prompts: until a tool has run, call a tool; afterwards, answer, without tools.

    With both instructions at once, a model of 0.5B parameters repeats the same call until the recursion limit
    (measured, see docs/design.md).
    """

    def __init__(self, speaker: LocalChatModel, index: Index, prompts: Prompts):
        super().__init__()
        self.speaker = speaker
        self.index = index
        self.prompts = prompts

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]) -> ModelResponse:
        prepared, found = self._prepared(request)
        responses = [handler(one) for one in prepared]
        return self._answered(responses, found) if found else responses[0]

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse:
        prepared, found = self._prepared(request)
        responses = [await handler(one) for one in prepared]
        return self._answered(responses, found) if found else responses[0]

    def _prepared(self, request: ModelRequest) -> tuple[list[ModelRequest], Found | None]:
        """The next requests to the model, and the search result they answer from, if there is one.

        A refused question needs no request; a divided question needs one for each part.
        """
        last = max(number for number, message in enumerate(request.messages) if message.type == "human")
        asked = asked_in(request.messages[: last + 1])
        results = [message for message in request.messages[last:] if isinstance(message, ToolMessage)]
        if not results:
            text = self.prompts.text("agent", self.prompts.language(asked.question))
            return [request.override(system_message=SystemMessage(text))], None
        searches = [message.artifact for message in results if message.artifact is not None]
        found = searches[-1] if searches else None
        calculated = [message.text for message in results if message.artifact is None]
        asks = [(one.asked, one.shown) for one in found.asks] if found else [(asked, [])]
        return [self._asking(request, self.prompts.answering(one, shown, calculated)) for one, shown in asks], found

    def _asking(self, request: ModelRequest, messages: Sequence[dict[str, str]]) -> ModelRequest:
        system, *others = [ROLES[message["role"]](message["content"]) for message in messages]
        return request.override(model=self.speaker, system_message=system, messages=others, tools=[])

    def _answered(self, responses: Sequence[ModelResponse], found: Found) -> ModelResponse:
        """The answer with its citations, or the refusal."""
        refusal = self.prompts.refusal(self.prompts.language(found.asked.question))
        texts = [response.result[-1].text for response in responses]
        finished = Finished(refusal) if found.outcome == "refused" else finish(self.index, found, texts, refusal)
        return ModelResponse(result=[answer_message(found, finished, self.speaker.adapter if responses else None)])


def search_tool(index: Index, refusal: Refusal) -> BaseTool:
    """A tool that searches the user's documents as the answering chain does.

    The model reads the text; the artifact of the tool message is a :class:`assistant.answering.pipeline.Found`.
    """

    @tool(response_format="content_and_artifact")
    def search_documents(query: str, messages: Annotated[list, InjectedState("messages")]) -> tuple[str, Found]:
        """Search the user's documents and return the passages that fit best, each with the place it stands in."""
        last = max((number for number, message in enumerate(messages) if message.type == "human"), default=None)
        before = asked_in(messages[: last + 1]) if last is not None else Asked(query)
        (found,) = find(index, refusal, [replace(before, question=query)])
        listed = "\n\n".join(f"[{n}] {p.document}, {p.place}\n{p.text}" for n, p in enumerate(found.shown, start=1))
        return listed or "Nothing was found.", replace(found, asked=before)

    return search_documents


@tool
def calculator(expression: str) -> str:
    """Calculate an arithmetic expression of numbers, + - * / // % ** and brackets, for example (28 + 4) * 4096."""
    written = expression
    for sign, operator_sign in SIGNS.items():
        written = written.replace(sign, operator_sign)
    try:
        if len(written) > LONGEST_EXPRESSION:
            raise ValueError(f"it is longer than {LONGEST_EXPRESSION} characters")
        value = _value(ast.parse(written.strip(), mode="eval").body)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("the number is too large")
        return f"{expression} = {value}"
    except SyntaxError:
        return f"Cannot calculate {expression!r}: it is not an arithmetic expression."
    except (ValueError, ZeroDivisionError, OverflowError, RecursionError) as error:
        return f"Cannot calculate {expression!r}: {error}."


def _value(node: ast.expr) -> int | float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and (abs(right) > 1000 or abs(left) > 1e9):
            raise ValueError("the power is too large")
        if isinstance(node.op, ast.Pow) and left < 0 and not float(right).is_integer():
            raise ValueError("a root of a negative number is not a real number")
        return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.operand))
    raise ValueError("only numbers, + - * / // % ** and brackets are allowed")
