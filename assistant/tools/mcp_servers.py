"""The tools of the servers that domain.toml names under ``[tools.mcp.NAME]`` (Model Context Protocol).

Each call opens a connection, or starts the program, and closes it afterwards: a server that died or hung is started
again by the next call, and a server that keeps state between calls is not supported. What a server says of its tools
and returns is data from outside, and bounded.
"""

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.tools import BaseTool, ToolException
from mcp import Client, MCPError, StdioServerParameters, Tool, stdio_client
from mcp.types import CallToolResult, TextContent

from assistant.errors import AssistantError
from assistant.tools.results import bounded, make_tool
from domain.settings import McpServer

MAX_TOOLS = 50
DESCRIPTION_CHARACTERS = 500
START_SECONDS = 15.0
"""Seconds for a server to start and to list its tools, if its own ``seconds`` are not fewer."""

T = TypeVar("T")


def server_tools(name: str, server: McpServer) -> list[BaseTool]:
    """The tools of one server, each named ``SERVER_TOOL``; those in ``read_only`` have ``metadata["read_only"]``.

    Raises :class:`AssistantError` if the server does not answer, or lacks a tool of ``read_only``.
    """

    async def listed() -> list[Tool]:
        async with _client(server) as client:
            return (await client.list_tools()).tools

    try:
        found = _run(listed, min(server.seconds, START_SECONDS))
    except ToolException as error:
        raise AssistantError(f"the MCP server {name!r} {error}; correct [tools.mcp.{name}] in domain.toml.") from None
    if unknown := set(server.read_only) - {tool.name for tool in found}:
        names = ", ".join(tool.name for tool in found[:20])
        raise AssistantError(
            f"the MCP server {name!r} has no tool {min(unknown)!r} (read_only); its tools are: {names}."
        )
    return [_tool(name, server, tool) for tool in found[:MAX_TOOLS]]


def _tool(name: str, server: McpServer, tool: Tool) -> BaseTool:
    def call(**arguments: Any) -> str:
        async def called() -> CallToolResult:
            async with _client(server) as client:
                return await client.call_tool(tool.name, arguments)

        try:
            result = _run(called, server.seconds)
        except ToolException as error:
            raise ToolException(f"The MCP server {name!r} {error}.") from None
        texts = [
            block.text if isinstance(block, TextContent) else f"({block.type} left out)" for block in result.content
        ]
        text = bounded("\n".join(texts)) or "(empty)"
        if result.is_error:
            raise ToolException(text)
        return text

    call.__doc__ = bounded(tool.description or tool.name, DESCRIPTION_CHARACTERS)
    named = re.sub(r"[^\w-]", "_", f"{name}_{tool.name}", flags=re.ASCII)[:64]
    made = make_tool(call, {"title": named, **tool.input_schema}, named)
    made.metadata = {"read_only": tool.name in server.read_only, "mcp_server": name}
    return made


@asynccontextmanager
async def _client(server: McpServer) -> AsyncIterator[Client]:
    if server.url:
        async with Client(server.url, read_timeout_seconds=server.seconds) as client:
            yield client
        return
    program, *arguments = server.command
    with Path(os.devnull).open("w") as unseen:  # what a server logs does not belong into the terminal of a chat
        started = stdio_client(StdioServerParameters(command=program, args=arguments), errlog=unseen)
        async with Client(started, read_timeout_seconds=server.seconds) as client:
            yield client


def _run(work: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
    """Run in a thread with its own event loop, because tools are called from code with and without one.

    Raises ``ToolException`` with the end of a sentence that begins with the server's name.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    async def limited() -> None:
        async with asyncio.timeout(seconds):
            done.append(await work())

    def run() -> None:
        try:
            asyncio.run(limited())
        except BaseException as error:  # handed to the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds + 10)  # closing kills a program that does not stop, which takes some seconds more
    if done:
        return done[0]
    cause = _cause(failed[0]) if failed else TimeoutError()
    if isinstance(cause, TimeoutError):
        raise ToolException(f"did not answer within {seconds:g} seconds")
    if isinstance(cause, FileNotFoundError):
        raise ToolException(f"cannot be started: there is no program {cause.filename!r}")
    if isinstance(cause, MCPError):
        raise ToolException(f"answered with an error or closed its connection ({bounded(str(cause), 300)})")
    raise ToolException(f"cannot be used ({type(cause).__name__}: {bounded(str(cause), 300)})")


def _cause(error: BaseException) -> BaseException:
    """The first error of nested groups."""
    return _cause(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
