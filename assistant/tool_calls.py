"""Parses the tool calls in the output of a small model.

Qwen2.5 is trained to write ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``; the 0.5B model writes a fenced
``json`` block as often, and sometimes the bare object. All three are parsed. Invalid JSON, and a call of a tool that
was not offered, stay text.
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
    """The text around the calls, and each call as ``{"name", "arguments" (JSON text), "id"}``."""
    offered = {tool["function"]["name"] for tool in tools}
    calls: list[dict[str, str]] = []

    def take(match: re.Match[str]) -> str:
        found, rest = _leading_calls(match["tag"] or match["fence"] or "", offered)
        calls.extend(found)
        return rest if found else match[0]

    around = FRAMES.sub(take, text)
    if not calls:
        calls, around = _leading_calls(text.strip(), offered)
    return (around.strip(), calls) if calls else (text, [])


def _leading_calls(text: str, offered: set[str]) -> tuple[list[dict[str, str]], str]:
    """The consecutive calls at the start of a text, and the rest of the text."""
    calls = []
    while read := _read_object(text):
        value, rest = read
        arguments = value.get("arguments", value.get("parameters", {}))
        if value.get("name") not in offered or not isinstance(arguments, dict):
            break
        call = {"name": value["name"], "arguments": json.dumps(arguments, ensure_ascii=False)}
        calls.append({**call, "id": f"call_{uuid.uuid4().hex[:12]}"})
        text = rest
    return calls, text


def _read_object(text: str) -> tuple[dict[str, Any], str] | None:
    """The JSON object at the start of a text, and the rest of the text.

    The last brace may be missing: the 0.5B model omits it in one call of seven.
    """
    for closing in ("", "}"):
        try:
            value, end = json.JSONDecoder().raw_decode(text + closing)
        except json.JSONDecodeError:
            continue
        return (value, text[end:].strip()) if isinstance(value, dict) else None
    return None
