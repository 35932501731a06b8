"""Tool calls of a local model: how its chat format writes them, a grammar in which they always parse, and a parser.

    <tool_call>
    {"name": "calculator", "arguments": {"expression": "2 * 21"}}
    </tool_call>

This is how Qwen2.5, Hermes and others write a call. :func:`call_format` reads the format from the chat template; for a
model whose template has none, such as ChatGLM-6B, the format above is described in the prompt.
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from base_models.constraints import json_rule, lark_grammar, literal

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_CALLS = 4
"""Calls in one answer, where several are allowed. Chosen: a small model goes on calling until its last token."""

NO_ARGUMENTS = {"type": "object", "properties": {}}

CALL_SIGNS = ("<tool_call>", "[TOOL_CALLS]", "```", "{")
"""What a call, or what a small model writes in place of it, may begin with."""

FRAMES = re.compile(
    r"<tool_call>\s*(?P<tag>.*?)\s*(?:</tool_call>|$)"
    r"|\[TOOL_CALLS\]\s*\[?(?P<mistral>.*?)\]?\s*$"
    r"|```(?:json)?\s*(?P<fence>\{.*?\})\s*```",
    re.DOTALL,
)


@dataclass(frozen=True)
class CallFormat:
    """How a model writes a call: ``before NAME between ARGUMENTS after``, the arguments as a JSON object."""

    before: str
    between: str
    after: str
    in_template: bool
    """Whether the model's chat template lists tools and writes calls; otherwise the prompt must describe both."""

    def write(self, name: str, arguments: Mapping[str, Any]) -> str:
        return f"{self.before}{name}{self.between}{json.dumps(arguments, ensure_ascii=False)}{self.after}"


DESCRIBED = CallFormat('<tool_call>\n{"name": "', '", "arguments": ', "}\n</tool_call>", in_template=False)
"""The format for models whose template has none."""


@lru_cache(maxsize=8)
def call_format(tokenizer: "PreTrainedTokenizerBase") -> CallFormat:
    """The format of the chat template, found by rendering a call; :data:`DESCRIBED` if it has none in JSON."""
    from jinja2 import TemplateError

    asked: list[Any] = [{"role": "user", "content": "1"}]
    call = {"type": "function", "id": "call00001", "function": {"name": "NAME", "arguments": {"KEY": "VALUE"}}}
    tool = {"type": "function", "function": {"name": "OFFERED", "description": "1", "parameters": {"type": "object"}}}
    try:
        offered = str(tokenizer.apply_chat_template(asked, tools=[tool], tokenize=False, add_generation_prompt=True))
        prompt = str(tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True))
        answered = [*asked, {"role": "assistant", "content": "", "tool_calls": [call]}]
        written = str(tokenizer.apply_chat_template(answered, tokenize=False)).removeprefix(prompt)
    except (TemplateError, TypeError, ValueError):
        return DESCRIBED
    written = written.split(str(tokenizer.eos_token))[0].strip()
    found = re.fullmatch(r'(.*?)NAME(.*?)\{"KEY": ?"VALUE"\}(.*)', written, re.DOTALL)
    if not found or "OFFERED" not in offered:
        return DESCRIBED
    return CallFormat(found[1], found[2], found[3], in_template=True)


def calls_grammar(
    tokenizer: "PreTrainedTokenizerBase", tools: Sequence[dict[str, Any]], required: bool, parallel: bool
) -> str:
    """The grammar of an answer with calls of these tools, whose arguments match the schemas of the tools.

    Unless a call is ``required``, the answer may be text, with or without calls in it.
    """
    form = call_format(tokenizer)
    # the first sign of a call, after which text cannot go on as text
    begin = re.match(r"\s*(<[^<>\s]+>|\[[A-Z_]+\]|\S+)", form.before)
    sign = begin[0] if begin else form.before
    bodies = []
    for tool in tools:
        name, schema = tool["function"]["name"], tool["function"].get("parameters") or NO_ARGUMENTS
        opening = literal(tokenizer, form.before[len(sign) :] + name + form.between)
        bodies.append(f"{opening} {json_rule(closed(schema))} {literal(tokenizer, form.after)}")
    body = " | ".join(f"({body})" for body in bodies)
    most = MOST_CALLS if parallel else 1
    if required:
        more = f'("\\n" {literal(tokenizer, sign)} body){{0,{most - 1}}}' if most > 1 else ""
        return lark_grammar(f"start: {literal(tokenizer, sign)} body {more}\nbody: {body}")
    text = "TEXT: /(.|\\n)*/"
    if sign in tokenizer.get_added_vocab():  # a token of its own, which text cannot contain
        return lark_grammar(f"start: TEXT ({literal(tokenizer, sign)} body TEXT){{0,{most}}}\n{text}\nbody: {body}")
    head = f"head[lazy]: /(.|\\n)*/ {literal(tokenizer, sign)}"
    return lark_grammar(f"start: (head body){{0,{most}}} TEXT\n{text}\n{head}\nbody: {body}")


def closed(schema: Any) -> Any:
    """A JSON schema in which objects have only the properties that are named, unless it says otherwise.

    JSON schemas allow any others, and a small model would invent some.
    """
    if not isinstance(schema, dict):
        return schema
    parts = dict(schema)
    for key in ("properties", "$defs", "definitions"):
        if isinstance(schema.get(key), dict):
            parts[key] = {name: closed(part) for name, part in schema[key].items()}
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if isinstance(schema.get(key), list):
            parts[key] = [closed(part) for part in schema[key]]
    if "items" in schema:
        parts["items"] = closed(schema["items"])
    if "properties" in parts:
        parts.setdefault("additionalProperties", False)
    return parts


def split_tool_calls(text: str, tools: Sequence[dict[str, Any]]) -> tuple[str, list[dict[str, str]]]:
    """The text around the calls, and each call as ``{"name", "arguments" (JSON text), "id"}``.

    Also reads calls that a model writes in another frame than its own: Qwen2.5-0.5B writes a fenced ``json`` block or
    the bare object. Invalid JSON, and a call of a tool that was not offered, stay text.
    """
    offered = {tool["function"]["name"] for tool in tools}
    calls: list[dict[str, str]] = []

    def take(match: re.Match[str]) -> str:
        found, rest = _leading_calls(match["tag"] or match["mistral"] or match["fence"] or "", offered)
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
        text = rest.lstrip(", ")
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
