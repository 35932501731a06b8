"""Which tools an agent gets, and which of them wait for a person's approval: the only place that decides either.

tools = tools_of(assistant)
approval = HumanInTheLoopMiddleware(interrupt_on=dict.fromkeys(needing_approval(tools), True))
agent = create_agent(model, tools, middleware=[approval], checkpointer=InMemorySaver())
"""

from collections.abc import Iterable
from typing import Protocol

from langchain_core.tools import BaseTool

from assistant.answering.refusal import Refusal
from assistant.errors import AssistantError
from assistant.tools.calculator import calculator
from assistant.tools.dates import DATE_TOOLS
from assistant.tools.documents import list_tool, read_tool, search_tool
from indexes import Index

WITHOUT_APPROVAL = {
    *("search_documents", "read_document", "list_documents", "calculator", "today", "days_between", "add_days"),
    *("list_tables", "query_table", "list_files", "read_file"),
}
"""Tools that change nothing, run nothing and reach nothing outside; every other one needs approval."""


class OpenDomain(Protocol):
    """What the tools use of an :class:`assistant.Assistant`."""

    index: Index

    @property
    def refusal(self) -> Refusal: ...


def tools_of(assistant: OpenDomain) -> list[BaseTool]:
    """The tools that ``[tools]`` in domain.toml switches on, in a fixed order.

    Raises :class:`AssistantError` if an MCP server does not answer, or if two tools have one name.
    """
    index, settings = assistant.index, assistant.index.domain.settings.tools
    tools: list[BaseTool] = []
    if settings.search:
        tools.append(search_tool(index, assistant.refusal))
    if settings.read:
        tools.append(read_tool(index))
    if settings.list:
        tools.append(list_tool(index))
    if settings.calculator:
        tools.append(calculator)
    if settings.dates:
        tools += DATE_TOOLS
    if settings.tables:
        from assistant.tools.tables import table_tools  # DuckDB

        tools += table_tools(index)
    if settings.workspace:
        from assistant.tools.workspace import workspace_tools

        tools += workspace_tools(index.domain)
    if settings.web:
        from assistant.tools.web_page import web_tool

        tools.append(web_tool())
    if settings.python:
        from assistant.tools.python_code import python_tool

        tools.append(python_tool)
    for name, server in settings.mcp.items():
        from assistant.tools.mcp_servers import server_tools

        tools += server_tools(name, server)
    names = [tool.name for tool in tools]
    if twice := {name for name in names if names.count(name) > 1}:
        raise AssistantError(f"two tools have the name {min(twice)!r}; rename the MCP server in domain.toml.")
    return tools


def needing_approval(tools: Iterable[BaseTool]) -> set[str]:
    """The names of the tools that write, run code or go out.

    A tool of an MCP server needs approval unless domain.toml lists it in ``read_only``; so does any unknown tool.
    """
    return {tool.name for tool in tools if not _is_free(tool)}


def _is_free(tool: BaseTool) -> bool:
    metadata = tool.metadata or {}
    return bool(metadata["read_only"]) if "mcp_server" in metadata else tool.name in WITHOUT_APPROVAL
