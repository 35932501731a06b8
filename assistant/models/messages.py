"""LangChain's messages as a chat template reads them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from assistant.errors import AssistantError
from assistant.models.tool_calls import CallFormat
from indexes import language_of

ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "tool"}

TOOLS = {
    "en": "You can call these functions, each described by a JSON schema:\n{tools}\n\n"
    "To call one, write only this and nothing else:\n{call}\n\n"
    "Otherwise answer without calling a function.",
    "zh": "你可以调用下列函数，每个函数用 JSON Schema 描述：\n{tools}\n\n"
    "需要调用时，只写下面的内容：\n{call}\n\n不需要时，直接回答。",
}
"""For models whose chat template does not list tools."""

SCHEMA = {
    "en": "Answer with one JSON object that matches this JSON schema:\n{schema}",
    "zh": "只用一个 JSON 对象回答，它必须符合下面的 JSON Schema：\n{schema}",
}

RESULT = "<tool_response>\n{result}\n</tool_response>"


def template_messages(
    messages: Sequence[BaseMessage],
    form: CallFormat,
    tools: Sequence[dict[str, Any]] = (),
    schema: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """The messages for the chat template of a model that writes calls in ``form``.

    Where the template has no format for tools, they are described in the system message, and calls and their results
    are text. The ``schema`` of the answer is described there too. Raises :class:`AssistantError` for a message of
    another type.
    """
    result = [_message(message, form) for message in messages]
    asked = next((message.text for message in reversed(messages) if message.type == "human"), "")
    language = language_of(asked)
    added = []
    if tools and not form.in_template:
        listed = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
        added.append(TOOLS[language].format(tools=listed, call=form.write("NAME", {"ARGUMENT": "VALUE"})))
    if schema is not None:
        added.append(SCHEMA[language].format(schema=json.dumps(schema, ensure_ascii=False)))
    if added and result and result[0]["role"] == "system":
        result[0] = {**result[0], "content": "\n\n".join([result[0]["content"], *added])}
    elif added:
        result.insert(0, {"role": "system", "content": "\n\n".join(added)})
    return result


def _message(message: BaseMessage, form: CallFormat) -> dict[str, Any]:
    if message.type not in ROLES:
        raise AssistantError(
            f"a local model does not accept messages of type {message.type!r}; use {', '.join(ROLES)}."
        )
    result: dict[str, Any] = {"role": ROLES[message.type], "content": str(message.text)}
    if isinstance(message, AIMessage) and message.tool_calls:
        if form.in_template:
            result["tool_calls"] = [
                {"type": "function", "function": {"name": call["name"], "arguments": call["args"]}}
                for call in message.tool_calls
            ]
        else:
            written = [form.write(call["name"], call["args"]) for call in message.tool_calls]
            result["content"] = "\n".join(filter(None, [result["content"], *written]))
    if isinstance(message, ToolMessage):
        if form.in_template:
            result |= {"name": message.name} if message.name else {}
        else:
            result |= {"role": "user", "content": RESULT.format(result=result["content"])}
    return result
