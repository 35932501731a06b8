"""Parses one record of a data file, in any of the usual layouts, into a conversation.

A conversation is a list of messages that ends with the assistant's answer; plain text for continued pre-training is a
single message of the role "text". The keys of a record tell its layout:

    messages          {"messages": [{"role": "user", "content": …}, …]}            OpenAI's, and our question files
    ShareGPT          {"conversations": [{"from": "human", "value": …}, …], "system": …}
    Alpaca            {"instruction": …, "input": …, "output": …, "system": …, "history": [[question, answer], …]}
    prompt/response   {"prompt": …, "response": …, "history": …}; "completion" is read as "response"
    query/response    {"query": …, "response": …, "history": …}                    ms-swift's
    question/answer   {"question": …, "answer": …}, {"问题": …, "答案": …} and the like
    XTuner            {"conversation": [{"system": …, "input": …, "output": …}, …]}
    input/output      {"input": …, "output": …}
    ChatGLM           {"context": "Instruction: …\\nInput: …\\nAnswer: ", "target": …}   of its first trainers, 2023
    content/summary   {"content": …, "summary": …}                                     of its P-tuning example
    text              {"text": …}

Keys are read in capitals too. Other keys are ignored, except those that exclude a turn from the loss:
``"weight"`` 0 or 1 (OpenAI), ``"loss"`` and ``"train"`` true or false (ms-swift, Axolotl). Values that are absent may
be null or empty, as tables (csv, parquet) have them.
"""

import json
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from base_models.messages import Message
from domain import is_text

Record = Mapping[str, Any]

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "tool": "tool",
}
"""Names of roles in files, and in chat templates."""


def conversation(record: Any) -> tuple[str, list[Message]]:
    """The name of the record's layout, and its conversation; ValueError with what is wrong, without a full stop."""
    if not isinstance(record, dict):
        raise ValueError(f"a record must be a JSON object, not {type(record).__name__}")
    record = {str(key).strip().lower(): value for key, value in record.items()}
    present = {key: value for key, value in record.items() if value is not None}
    fitting = [name for name, (keys, _) in LAYOUTS.items() if all(key in present for key in keys)]
    if not fitting:
        for needed, _ in LAYOUTS.values():
            if all(key in record for key in needed):
                empty = next(key for key in needed if key not in present)
                raise ValueError(f'the {"answer" if empty == needed[-1] else "question"} is empty ("{empty}")')
        known = "; ".join(f"{name}: {', '.join(keys)}" for name, (keys, _) in LAYOUTS.items())
        keys = ", ".join(map(str, present)) or "(none)"
        raise ValueError(f"no known layout has the keys {keys}; the layouts are {known}")
    messages = LAYOUTS[fitting[0]][1](present)
    _check(messages)
    return fitting[0], messages


def _messages(record: Record) -> list[Message]:
    if record.get("tools"):
        raise ValueError('training on "tools" is not supported; remove the key and the tool calls')
    turns = json_list(record, "messages")
    return [_turn(turn, f"messages[{place}]", "role", "content") for place, turn in enumerate(turns)]


def _sharegpt(record: Record) -> list[Message]:
    turns = json_list(record, "conversations")
    messages = []
    for place, turn in enumerate(turns):
        keys = ("from", "value") if isinstance(turn, dict) and "from" in turn else ("role", "content")
        messages.append(_turn(turn, f"conversations[{place}]", *keys))
    return [*_system(record), *messages]


def _alpaca(record: Record) -> list[Message]:
    asked = [_string(record, key).strip() for key in ("instruction", "input") if record.get(key) is not None]
    return _asked_and_answered(record, "\n".join(part for part in asked if part), _string(record, "output"))


def _under(question: str, answer: str) -> tuple[tuple[str, str], Callable[[Record], list[Message]]]:
    """A layout with the question under one key and the answer under another."""
    return (question, answer), lambda record: _asked_and_answered(
        record, _string(record, question), _string(record, answer)
    )


def _xtuner(record: Record) -> list[Message]:
    messages: list[Message] = []
    for place, turn in enumerate(json_list(record, "conversation")):
        where = f"conversation[{place}]"
        if not isinstance(turn, dict) or not isinstance(turn.get("output"), str):
            raise ValueError(f'{where} must be an object with the keys "input" and "output"')
        if turn.get("system") and not place:
            messages.append({"role": "system", "content": _string(turn, "system")})
        messages.append({"role": "user", "content": _string({"input": "", **turn}, "input")})
        messages.append({"role": "assistant", "content": turn["output"], **_flags(turn, where)})
    return messages


def _chatglm(record: Record) -> list[Message]:
    """The frame "Instruction: …\\nInput: …\\nAnswer:" is removed, because the chat format has its own."""
    context = _string(record, "context")
    framed = re.fullmatch(r"\s*Instruction:\s*(.*?)(?:\nInput:\s*(.*?))?\nAnswer:\s*", context, re.DOTALL)
    asked = "\n".join(part.strip() for part in framed.groups() if part and part.strip()) if framed else context
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": _string(record, "target")}]


def _content_summary(record: Record) -> list[Message]:
    asked, answer = _string(record, "content"), _string(record, "summary")
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]


def _text(record: Record) -> list[Message]:
    return [{"role": "text", "content": _string(record, "text")}]


LAYOUTS: Mapping[str, tuple[tuple[str, ...], Callable[[Record], list[Message]]]] = {
    "messages": (("messages",), _messages),
    "ShareGPT": (("conversations",), _sharegpt),
    "Alpaca": (("instruction", "output"), _alpaca),
    "prompt/response": _under("prompt", "response"),
    "prompt/completion": _under("prompt", "completion"),
    "query/response": _under("query", "response"),
    "question/answer": _under("question", "answer"),
    "问题/答案": _under("问题", "答案"),
    "问题/回答": _under("问题", "回答"),
    "问/答": _under("问", "答"),
    "q/a": _under("q", "a"),
    "XTuner": (("conversation",), _xtuner),
    "ChatGLM": (("context", "target"), _chatglm),
    "content/summary": (("content", "summary"), _content_summary),
    "input/output": _under("input", "output"),
    "text": (("text",), _text),
}
"""The keys of each layout, and its parser; the first that fits is used."""


def _asked_and_answered(record: Record, asked: str, answer: str) -> list[Message]:
    messages: list[Message] = []
    for place, pair in enumerate(json_list(record, "history", may_be_empty=True)):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(said, str) for said in pair):
            raise ValueError(f"history[{place}] must be a list of two strings, a question and its answer")
        messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return [*_system(record), *messages]


def _system(record: Record) -> list[Message]:
    return [{"role": "system", "content": _string(record, "system")}] if record.get("system") else []


def _turn(turn: Any, where: str, speaker: str, said: str) -> Message:
    if not isinstance(turn, dict) or not isinstance(turn.get(speaker), str):
        raise ValueError(f'{where} must be an object with the keys "{speaker}" and "{said}"')
    if turn[speaker] not in ROLES:
        raise ValueError(f"{where}: unknown role {turn[speaker]!r}; the roles are {', '.join(ROLES)}")
    calls = turn.get("tool_calls") or []
    said_text = turn.get(said) if turn.get(said) is not None or not calls else ""
    if not isinstance(said_text, str):
        raise ValueError(f'{where}: "{said}" must be a string')
    message: dict[str, Any] = {"role": ROLES[turn[speaker]], "content": said_text}
    flags = _flags(turn, where)
    message |= flags if message["role"] == "assistant" else {}
    if calls:
        if not isinstance(calls, list):
            raise ValueError(f'{where}: "tool_calls" must be a list')
        message["tool_calls"] = [_call(call, where) for call in calls]
    if calls and message["role"] != "assistant":
        raise ValueError(f"{where}: only turns of the assistant may have tool_calls")
    return message


def _flags(turn: Mapping[str, Any], where: str) -> dict[str, bool]:
    """``learnt`` False where a turn is excluded from the loss."""
    for key in ("weight", "loss", "train"):
        value = turn.get(key)
        if value is not None and value not in (0, 1):  # True and False are 1 and 0
            raise ValueError(f'{where}: "{key}" must be 0, 1, true or false, not {value!r:.20}')
        if value is not None and not value:
            return {"learnt": False}
    return {}


def _call(call: Any, where: str) -> dict[str, Any]:
    """A call in the form of chat templates: arguments as an object, where OpenAI writes them as JSON text."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ValueError(f'{where}: a call must be {{"function": {{"name": …, "arguments": …}}}}')
    arguments = function.get("arguments") or {}
    try:
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
        json.dumps(arguments)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: the arguments of {function['name']} are not valid JSON ({error})") from None
    if not isinstance(arguments, dict):
        raise ValueError(f"{where}: the arguments of {function['name']} must be an object")
    named = {"id": call["id"]} if isinstance(call.get("id"), str) else {}
    return {**named, "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _string(record: Record, key: str) -> str:
    if not isinstance(record[key], str):
        raise ValueError(
            f'"{key}" must be a string, not {json.dumps(record[key], ensure_ascii=False, default=str):.60}'
        )
    return record[key]


def json_list(record: Record, key: str, may_be_empty: bool = False) -> list[Any]:
    """The list under a key; tables hold it as JSON text."""
    value = record.get(key) or []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f'"{key}" must be a list, or a list as JSON text ({error.msg})') from None
    if not isinstance(value, list) or not (value or may_be_empty):
        raise ValueError(f'"{key}" must be a {"" if may_be_empty else "non-empty "}list')
    return value


def _check(messages: list[Message]) -> None:
    """Refuse conversations without a question or an answer, empty turns, and lone surrogates."""
    for place, message in enumerate(messages, start=1):
        if not message.get("tool_calls") and not message["content"].strip():
            raise ValueError(f"turn {place} ({message['role']}) is empty")
        if not is_text(message["content"]):
            raise ValueError(f"turn {place} contains a lone surrogate (half a character, such as \\ud83d)")
    roles = [message["role"] for message in messages]
    if roles == ["text"]:
        return
    if "system" in roles[1:]:
        raise ValueError("only the first turn may have the role system")
    speakers = roles[1:] if roles[0] == "system" else roles
    if not speakers or speakers[0] != "user":
        start = f", not {speakers[0]}" if speakers else ""
        raise ValueError(f"the conversation must start with a user turn{start}")
    if speakers[-1] != "assistant":
        raise ValueError(f"the conversation must end with an assistant turn, not {speakers[-1]}")
    for before, after in pairwise(speakers):
        if (after == "user" and before != "assistant") or (before, after) == ("assistant", "assistant"):
            raise ValueError(f"turns of user and assistant must alternate, but {after} follows {before}")
    if not any(message["role"] == "assistant" and message.get("learnt", True) for message in messages):
        raise ValueError('no answer is left to train on, because "weight", "loss" or "train" excludes all of them')
