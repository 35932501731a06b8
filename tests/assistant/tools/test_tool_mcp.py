"""MCP: a real server in a subprocess that works, fails, dies, hangs and floods; and our own server."""

import sys
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from assistant import AssistantError
from assistant.tools.mcp_servers import server_tools
from assistant.tools.toolset import needing_approval
from domain.settings import McpServer

PROGRAM = (sys.executable, str(Path(__file__).parent / "mcp_shop_server.py"))


@pytest.fixture(scope="module")
def shop_tools():
    return {tool.name: tool for tool in server_tools("shop", McpServer(command=PROGRAM, read_only=("stock",)))}


def said(tool, arguments: dict):
    return tool.invoke({"name": tool.name, "args": arguments, "id": "1", "type": "tool_call"})


def test_a_call_and_the_servers_own_errors(shop_tools):
    assert said(shop_tools["shop_stock"], {"tea": "龙井"}).content == "龙井: 12 boxes (有货)"
    wrong = said(shop_tools["shop_order"], {"tea": "龙井", "boxes": "many"})
    assert wrong.status == "error"
    assert "boxes" in wrong.content
    assert said(shop_tools["shop_fail"], {}).content == "Error executing tool fail"


async def test_calls_work_in_async_code(shop_tools):
    assert "12 boxes" in await shop_tools["shop_stock"].ainvoke({"tea": "普洱"})


def test_only_the_tools_named_as_read_only_run_without_approval(shop_tools):
    assert needing_approval(shop_tools.values()) == set(shop_tools) - {"shop_stock"}


def test_a_server_that_dies_hangs_or_floods_is_a_sentence(shop_tools):
    died = said(shop_tools["shop_die"], {})
    assert died.content == "The MCP server 'shop' answered with an error or closed its connection (Connection closed)."
    assert said(shop_tools["shop_stock"], {"tea": "茶"}).status == "success", "the next call starts it again"
    impatient = {tool.name: tool for tool in server_tools("shop", McpServer(command=PROGRAM, seconds=12.0))}
    assert said(impatient["shop_hang"], {}).content == "The MCP server 'shop' did not answer within 12 seconds."
    assert len(said(shop_tools["shop_huge"], {}).content) < 4100


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (McpServer(command=(*PROGRAM, "hang-at-start"), seconds=3), "did not answer within 3 seconds"),
        (McpServer(command=(*PROGRAM, "die-at-start")), "closed its connection"),
        (McpServer(command=("no-such-program",)), "there is no program 'no-such-program'"),
        (McpServer(url="http://127.0.0.1:9/mcp", seconds=5), "cannot be used"),
        (McpServer(command=PROGRAM, read_only=("stok",)), "has no tool 'stok'"),
    ],
)
def test_a_server_that_does_not_start_is_named(server, reason):
    with pytest.raises(AssistantError, match=reason):
        server_tools("shop", server)


@pytest.mark.timeout(400)
async def test_lorewright_mcp_serves_the_domain(tools_domain):
    command = [sys.executable, "-m", "assistant.cli", "mcp", str(tools_domain.path)]
    root = str(Path(__file__).parents[3])
    server = StdioServerParameters(command=command[0], args=command[1:], cwd=root, env={"HF_HUB_OFFLINE": "1"})
    async with Client(server, read_timeout_seconds=180) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"ask", "search_documents", "read_document", "list_documents"}
        assert all(tool.annotations.read_only_hint for tool in tools.values())
        listed = await client.call_tool("list_documents", {"filter": "菜"})
        assert listed.content[0].text == "1 document:\n菜单.csv"
        read = await client.call_tool("read_document", {"name": "../domain.toml"})
        assert read.content[0].text.startswith("There is no document")
        found = await client.call_tool("search_documents", {"query": "How hot should the water be for green tea?"})
        assert "80 degrees" in found.content[0].text
