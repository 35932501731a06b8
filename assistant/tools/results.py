"""What all tools share: results of bounded length, and errors that the model reads as one sentence."""

import functools
import re
from collections.abc import Callable
from typing import Any

from langchain_core.tools import StructuredTool, ToolException
from langchain_core.tools.base import ArgsSchema
from langgraph.errors import GraphBubbleUp
from pydantic import ValidationError

from assistant.token_estimate import estimated_tokens
from domain import DomainError
from indexes import IndexingError

MAX_CHARACTERS = 4000
"""Maximum characters of a result. Chosen."""
PART_TOKENS = 600
"""Estimated tokens of one part of a long text; as many as ``retrieval.context_tokens`` by default."""


def make_tool(
    function: Callable[..., Any], args_schema: ArgsSchema | None = None, name: str = "", with_artifact: bool = False
) -> StructuredTool:
    """A LangChain tool of a function; its docstring is the description that the model reads.

    Every error becomes a sentence in a tool message with the status "error": a :class:`DomainError` and a
    ``ToolException`` keep their own, an invalid argument is named, and any other error says only its type.
    """

    @functools.wraps(function)
    def explained(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except (ToolException, GraphBubbleUp):
            raise
        except DomainError as error:
            raise ToolException(bounded(str(error))) from error
        except Exception as error:  # the agent must go on: what the tool does not expect is not the user's mistake
            raise ToolException(f"The tool failed with {type(error).__name__}; try other arguments.") from error

    return StructuredTool.from_function(
        explained,
        name=name or function.__name__,
        args_schema=args_schema,
        handle_tool_error=True,
        handle_validation_error=_about_arguments,
        response_format="content_and_artifact" if with_artifact else "content",
    )


def bounded(text: str, limit: int = MAX_CHARACTERS) -> str:
    """The text, cut at ``limit`` characters with a note that says how many are missing."""
    return text if len(text) <= limit else f"{text[:limit]}\n(cut: {len(text) - limit} more characters)"


def part_of(text: str, part: int, name: str) -> str:
    """Part ``part`` (from 1) of a long text, cut between lines where possible, and how to read the next one."""
    parts = _parts(text)
    if not 1 <= part <= len(parts):
        raise ToolException(f"{name} has {len(parts)} part{'s' * (len(parts) > 1)}; there is no part {part}.")
    shown = parts[part - 1].strip("\n") or "(empty)"
    more = f" There is more: read part {part + 1}." if part < len(parts) else ""
    return f"{name}, part {part} of {len(parts)}.{more}\n{shown}"


def _parts(text: str) -> list[str]:
    parts, size = [""], 0
    for line in text.splitlines(keepends=True):
        for piece in (line[start : start + PART_TOKENS] for start in range(0, len(line), PART_TOKENS)):
            cost = estimated_tokens(piece)
            if parts[-1] and size + cost > PART_TOKENS:
                parts.append("")
                size = 0
            parts[-1] += piece
            size += cost
    return parts


def _about_arguments(error: ValidationError | Any) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the arguments"
    return bounded(f"Wrong argument {where}: {first['msg']}.", 500)


def without_advice(error: IndexingError) -> str:
    """The message without the advice to use a flag of the command line, which an agent cannot."""
    return re.sub(r"; to allow addresses of the local network, use --allow-private", "", str(error))
