"""A small agent: the model decides itself when to search the documents and when to calculate."""

import ast
import operator
from collections.abc import Callable

from langchain.agents import create_agent
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


def build_agent(llm: LocalChatModel, index: Index, prompts: Prompts) -> CompiledStateGraph:
    """LangChain's agent loop over the local model with two tools; invoke it with ``{"messages": [...]}``."""
    language = prompts.domain.settings.language
    system = prompts.text("agent", "en" if language == "auto" else language)
    return create_agent(llm, [search_tool(index), calculator], system_prompt=system)


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
    try:
        value = _value(ast.parse(expression.replace("×", "*").replace("÷", "/").replace("^", "**"), mode="eval").body)
        return str(value)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError) as error:
        return f"Cannot calculate {expression!r}: {error}"


def _value(node: ast.expr) -> int | float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and (abs(right) > 1000 or abs(left) > 1e9):
            raise ValueError("the power is too large")
        return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.operand))
    raise ValueError("only numbers, + - * / // % ** and brackets are allowed")
