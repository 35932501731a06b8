"""Read JSON and JSON Lines: each object of a list is a block with one line per key; nested keys are dotted paths.

Questions with answers, and conversations, as in training data, have a format of their own.
"""

import json
from collections.abc import Iterator
from typing import Any

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.encodings import decode
from indexes.readers.limits import MAX_NESTING
from indexes.readers.text.base64_data import without_encoded

_QUESTIONS = ("question", "q", "instruction", "prompt", "query", "问题", "问", "問題", "問")
_ANSWERS = ("answer", "a", "output", "response", "completion", "answers", "答案", "答", "回答")
_CONVERSATIONS = ("messages", "conversations", "conversation", "dialog", "dialogue")
_NAMED_LINES = 3
"""Maximum broken lines that the warning lists."""


def read_json(data: bytes) -> Extracted:
    """Read lists of objects under the keys above them. JSON Lines in a ``.json`` file is read too."""
    text = decode(data)
    try:
        value = _parse(text)
    except ValueError as error:
        if text.count("\n") and _is_json(text.lstrip().partition("\n")[0]):
            return _read_lines(text)
        raise IndexingError(f"is damaged JSON ({error})") from None
    builder = TextBuilder()
    add_value(builder, value)
    return builder.extracted()


def read_jsonl(data: bytes) -> Extracted:
    """Read one block per line. Broken lines are left out and listed in the warning."""
    text = decode(data)
    if not _is_json(text.lstrip().partition("\n")[0]) and _is_json(text):
        return read_json(data)
    return _read_lines(text)


def _read_lines(text: str) -> Extracted:
    builder = TextBuilder()
    broken = []
    read = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                value = _parse(line)
            except ValueError:
                broken.append(str(number))
            else:
                read += 1
                builder.add_block(["\n".join(_record(value))], records=True)
    if broken and not read:
        raise IndexingError(f"is damaged JSON Lines: none of its {len(broken)} lines is valid JSON")
    more = f" and {len(broken) - _NAMED_LINES} more" if len(broken) > _NAMED_LINES else ""
    named = ", ".join(broken[:_NAMED_LINES]) + more
    return builder.extracted(f"has lines that are not valid JSON and were left out: {named}" if broken else "")


def _parse(text: str) -> Any:
    """Parse JSON; numbers keep their spelling, and a repeated key keeps all values. Raises ValueError.

    The caller of all readers handles RecursionError.
    """
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_with_all_values)


def _with_all_values(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; the values of a repeated key become a list."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    values: dict[str, list[Any]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return {key: several[0] if len(several) == 1 else several for key, several in values.items()}


def _is_json(text: str) -> bool:
    try:
        _parse(text)
    except ValueError:
        return False
    return True


def add_value(builder: TextBuilder, value: Any, headings: tuple[str, ...] = ()) -> None:
    """Append a value: keys above lists of objects become headings, everything else becomes lines of a block."""
    if len(headings) > MAX_NESTING:
        raise IndexingError(f"is nested more than {MAX_NESTING} deep; flatten it")
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for item in value:
            builder.add_block(["\n".join(_record(item))], headings, records=True)
        return
    if not isinstance(value, dict) or _special(value):
        builder.add_block(["\n".join(_record(value))], headings, records=isinstance(value, dict))
        return
    inner = {key: below for key, below in value.items() if _holds_objects(below)}
    if lines := _record({key: below for key, below in value.items() if key not in inner}):
        builder.add_block(lines, headings)
    for key, below in inner.items():
        builder.add(key)
        add_value(builder, below, (*headings, key))


def _holds_objects(value: Any) -> bool:
    """Whether a value is an object or a list of objects, so that its key becomes a heading."""
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _record(value: Any) -> list[str]:
    lines = _special(value) if isinstance(value, dict) else None
    return lines or [line for line in _flat(value, "", 0) if line]


def _special(value: dict[str, Any]) -> list[str] | None:
    """The lines of a question with its answer, or of a conversation; None for any other object."""
    by_name = {key.lower(): key for key in value}
    question = next((by_name[name] for name in _QUESTIONS if name in by_name), None)
    answer = next((by_name[name] for name in _ANSWERS if name in by_name), None)
    used: list[str] = []
    lines: list[str] = []
    if question is not None and answer is not None and isinstance(value[question], str) and _text(value[answer]):
        used = [question, answer]
        lines = [value[question]]
        if "input" in by_name and isinstance(value[by_name["input"]], str):  # the input of an instruction
            used.append(by_name["input"])
            lines.append(value[by_name["input"]])
        lines.append(_text(value[answer]))
    elif key := next(
        (by_name[name] for name in _CONVERSATIONS if name in by_name and _turns(value[by_name[name]])), ""
    ):
        used = [key]
        lines = _turns(value[key])
    if not lines:
        return None
    lines += _flat({key: below for key, below in value.items() if key not in used}, "", 0)
    return [part for line in lines for part in line.split("\n") if part.strip()]


def _turns(messages: Any) -> list[str]:
    """``role: text`` of each message and its tool calls; empty if this is not a conversation."""
    lines = []
    for message in messages if isinstance(messages, list) else []:
        if not isinstance(message, dict):
            return []
        role = message.get("role", message.get("from"))
        text = _text(message.get("content", message.get("value")))
        if not isinstance(role, str):
            return []
        if text:
            lines.append(f"{role}: {text}")
        lines += [f"{role}: {call}" for call in _calls(message)]
    return lines


def _calls(message: dict[str, Any]) -> Iterator[str]:
    """``get_weather({"city": "Paris"})`` for each tool call of a message."""
    calls = message.get("tool_calls")
    for call in [*(calls if isinstance(calls, list) else []), message.get("function_call")]:
        function = call.get("function", call) if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            arguments = function.get("arguments")
            shown = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
            yield f"{function['name']}({shown})"


def _text(value: Any) -> str:
    """The text of a string, a list of strings, or parts with a ``text`` each."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, (_text(part) for part in value if isinstance(part, str | dict))))
    if isinstance(value, dict) and isinstance(value.get("text"), str | list):
        texts = value["text"]
        return texts if isinstance(texts, str) else "\n".join(text for text in texts if isinstance(text, str))
    return ""


def _flat(value: Any, path: str, depth: int) -> Iterator[str]:
    """``path: value`` for every scalar; items of lists of objects are numbered from 1, other lists are one line."""
    if depth > MAX_NESTING:
        raise IndexingError(f"is nested more than {MAX_NESTING} deep; flatten it")
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _flat(below, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value, start=1):
            yield from _flat(item, f"{path}.{number}" if path else str(number), depth + 1)
    else:
        shown = ", ".join(map(_scalar, value)) if isinstance(value, list) else _scalar(value)
        if shown.strip():
            first, *others = shown.split("\n")
            yield f"{path}: {first}" if path else first
            yield from (line for line in others if line.strip())


def _scalar(value: Any) -> str:
    """A scalar as in JSON, but strings without quotes and null as nothing."""
    if isinstance(value, bool):
        return {True: "true", False: "false"}[value]
    return "" if value is None else without_encoded(value)[0]
