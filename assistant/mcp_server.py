"""The assistant of a domain as a server of the Model Context Protocol, for editors and agents on this machine.

It offers four tools that only read: ask, search_documents, read_document and list_documents.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
from langchain_core.tools import BaseTool
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations
from pydantic import Field

from assistant.assistant import Assistant
from assistant.tools.documents import list_tool, read_tool, search_tool
from assistant.tools.results import bounded

Question = Annotated[str, Field(max_length=4000)]


def mcp_server(assistant: Assistant) -> MCPServer:
    """The server of an open assistant; ``run_stdio_async()`` serves it."""
    name = assistant.domain.path.resolve().name
    server = MCPServer(f"lorewright-{name}", instructions=f"Answers questions about the documents of {name}.")
    only_reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    searching, reading = search_tool(assistant.index, assistant.refusal), read_tool(assistant.index)
    listing = list_tool(assistant.index)
    one_at_a_time = anyio.Lock()  # one model, one set of weights

    async def ask(question: Question) -> str:
        """Answer a question about the documents, with citations; says so if they do not contain the answer."""
        async with one_at_a_time:
            answer = await anyio.to_thread.run_sync(partial(assistant.ask, question))
        sources = [
            f"[{number}] {citation.passage.document}, {citation.passage.place}"
            for number, citation in enumerate(answer.citations, start=1)
        ]
        return bounded("\n".join([answer.text, *sources]))

    async def search_documents(query: Question) -> str:
        """Search the documents and return the passages that fit best, each with its place."""
        return await _text(searching, query=query, messages=[])

    async def read_document(name: Annotated[str, Field(max_length=300)], part: int = 1) -> str:
        """Read the text of a document part by part."""
        return await _text(reading, name=name, part=part)

    async def list_documents(filter: str = "") -> str:
        """List the names of the documents."""
        return await _text(listing, filter=filter)

    for function in (ask, search_documents, read_document, list_documents):
        server.add_tool(function, annotations=only_reads)
    return server


def run_mcp(domain: str | Path) -> None:
    """Serve a domain over standard input and output until the client closes them."""
    assistant = Assistant.open(domain)
    try:
        anyio.run(mcp_server(assistant).run_stdio_async)
    finally:
        assistant.close()


async def _text(tool: BaseTool, **arguments: object) -> str:
    return str(await tool.ainvoke(arguments))
