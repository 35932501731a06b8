"""A small agent: the model decides itself when to search the documents and when to calculate."""

import ast
import math
import operator
from collections.abc import Awaitable, Callable

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import BaseTool, tool
from langgraph.graph.state import CompiledStateGraph

from assistant.chat_model import LocalChatModel
from assistant.prompts import Prompts
from indexes import Index

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
"""What people write, and what Python calls it."""

LONGEST_EXPRESSION = 200


def build_agent(llm: LocalChatModel, index: Index, prompts: Prompts) -> CompiledStateGraph:
    """LangChain's agent loop over the local model with two tools; invoke it with ``{"messages": [...]}``.

    The base model chooses the tools, for adapters are trained to answer; the adapter of ``llm`` writes the answer.
    """
    chooser = llm.model_copy(update={"adapter": None})
    return create_agent(chooser, [search_tool(index), calculator], middleware=[ChooseThenAnswer(llm, prompts)])


class ChooseThenAnswer(AgentMiddleware):
    """Before a tool has answered, the model is told to call one; after that, to answer, and no tools are shown to it.

    A model of 0.5B parameters that is told both at once calls the same tool until the recursion limit (measured, see
    docs/design.md). The answer is asked for with the prompt of the answering chain, which adapters are trained on.
    """

    def __init__(self, speaker: LocalChatModel, prompts: Prompts):
        super().__init__()
        self.speaker = speaker
        self.prompts = prompts

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]) -> ModelResponse:
        return handler(self._prepared(request))

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse:
        return await handler(self._prepared(request))

    def _prepared(self, request: ModelRequest) -> ModelRequest:
        asked = max(number for number, message in enumerate(request.messages) if message.type == "human")
        question = request.messages[asked].text
        language = self.prompts.language(question)
        found = [message.text for message in request.messages[asked:] if message.type == "tool"]
        if not found:
            return request.override(system_message=SystemMessage(self.prompts.text("agent", language)))
        text = self.prompts.text("grounded", language, passages="\n\n".join(found), question=question)
        return request.override(
            model=self.speaker,
            system_message=SystemMessage(self.prompts.text("system", language)),
            messages=[HumanMessage(text)],
            tools=[],
        )


def search_tool(index: Index, k: int = 3) -> BaseTool:
    """A tool that finds passages in the user's documents."""

    @tool
    def search_documents(query: str) -> str:
        """Search the user's documents and return the passages that fit best, each with the place it stands in."""
        passages = index.search(query, k=k)
        if not passages:
            return "Nothing was found."
        return "\n\n".join(f"[{n}] {p.document}, {p.place}\n{p.text}" for n, p in enumerate(passages, start=1))

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
