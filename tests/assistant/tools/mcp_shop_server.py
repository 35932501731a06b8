"""A real MCP server over standard input and output, for the tests of mcp_servers.py; it also dies and hangs."""

import os
import sys
import time

from mcp.server.mcpserver import MCPServer

if "hang-at-start" in sys.argv:
    time.sleep(600)
if "die-at-start" in sys.argv:
    os._exit(3)

server = MCPServer("shop")


@server.tool()
def stock(tea: str) -> str:
    """How many boxes of a tea are in stock. 库存。"""
    return f"{tea}: 12 boxes (有货)"


@server.tool()
def order(tea: str, boxes: int) -> str:
    """Order boxes of a tea."""
    return f"ordered {boxes} x {tea}"


@server.tool()
def fail() -> str:
    """Raise an error."""
    raise ValueError("the till is closed")


@server.tool()
def die() -> str:
    """End the process in the middle of a call."""
    os._exit(7)


@server.tool()
def hang() -> str:
    """Never answer."""
    time.sleep(600)
    return ""


@server.tool()
def huge() -> str:
    """Return a million characters."""
    return "x" * 1_000_000


server.run("stdio")
