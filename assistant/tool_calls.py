"""Finding the tool calls in what a small model wrote.

Qwen2.5 is trained to write ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``; the 0.5B model writes a
fenced ``json`` block as often, and sometimes the bare object. All three are read; what names no tool that was
offered stays text.
"""

import json
import re
import uuid
from collections.abc import Sequence
from typing import Any

FRAMES = re.compile(
    r"<tool_call>\s*(?P<tag>.*?)\s*(?:</tool_call>|$)|```(?:json)?\s*(?P<fence>\{.*?\})\s*```", re.DOTALL
)


def split_tool_calls(text: str, tools: Sequence[dict[str, Any]]) -> tuple[str, list[dict[str, str]]]:
    """The text around the calls, and each call as ``{"name", "arguments" (a JSON text), "id"}``."""
    offered = {tool["function"]["name"] for tool in tools}
    calls: list[dict[str, str]] = []

    def take(match: re.Match[str]) -> str:
        found = _call(match["tag"] or match["fence"] or "", offered)
        if found is None:
            return match[0]
        calls.append(found)
        return ""

    rest = FRAMES.sub(take, text)
    if not calls and (bare := _call(text.strip(), offered)):
        return "", [bare]
    return rest.strip() if calls else text, calls


def _call(text: str, offered: set[str]) -> dict[str, str] | None:
    """One call, if the text begins with a JSON object that names an offered tool."""
    value = None
    for closing in ("", "}"):
        try:
            value, _ = json.JSONDecoder().raw_decode(text + closing)
            break
        except json.JSONDecodeError:
            continue
    if not isinstance(value, dict) or value.get("name") not in offered:
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    if not isinstance(arguments, dict):
        return None
    return {
        "name": value["name"],
        "arguments": json.dumps(arguments, ensure_ascii=False),
        "id": f"call_{uuid.uuid4().hex[:12]}",
    }
