"""Tool calls in what a small model wrote."""

import json

import pytest

from assistant.models.tool_calls import split_tool_calls

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("search_documents", "calculator")]
CALL = '{"name": "calculator", "arguments": {"expression": "2 * (3 + 4)"}}'
SEARCH = '{"name": "search_documents", "arguments": {"query": "LoRA 的秩"}}'


def calls_in(text: str) -> list[tuple[str, dict]]:
    return [(call["name"], json.loads(call["arguments"])) for call in split_tool_calls(text, TOOLS)[1]]


@pytest.mark.parametrize(
    "frame",
    [
        "<tool_call>\n{}\n</tool_call>",
        "<tool_call>{}</tool_call>",
        "<tool_call>\n{}",
        "```json\n{}\n```",
        "```\n{}\n```",
        "{}",
        "\n  {}\n",
    ],
)
def test_a_call_is_found_in_every_frame_that_the_model_uses(frame):
    text, calls = split_tool_calls(frame.replace("{}", CALL), TOOLS)
    assert text == ""
    assert [(call["name"], json.loads(call["arguments"])) for call in calls] == [
        ("calculator", {"expression": "2 * (3 + 4)"})
    ]


def test_the_text_around_a_call_is_kept():
    text, calls = split_tool_calls(f"Let me see.\n<tool_call>\n{CALL}\n</tool_call>\nOne moment.", TOOLS)
    assert text.split("\n") == ["Let me see.", "", "One moment."]
    assert len(calls) == 1
    assert split_tool_calls(f"{CALL}\n\nThat will tell.", TOOLS)[0] == "That will tell."


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>\n{CALL}\n</tool_call>\n<tool_call>\n{SEARCH}\n</tool_call>",
        f"<tool_call>\n{CALL}\n{SEARCH}\n</tool_call>",
        f"```json\n{CALL}\n```\n```json\n{SEARCH}\n```",
        f"{CALL}\n{SEARCH}",
    ],
)
def test_several_calls_are_found_in_order_and_have_ids_of_their_own(text):
    assert [name for name, _ in calls_in(text)] == ["calculator", "search_documents"]
    first, second = split_tool_calls(text, TOOLS)[1]
    assert first["id"] != second["id"]


def test_chinese_arguments_stay_readable():
    (call,) = split_tool_calls(f"```json\n{SEARCH}\n```", TOOLS)[1]
    assert call["arguments"] == '{"query": "LoRA 的秩"}'
    assert calls_in('{"name": "search_documents", "arguments": {"query": "\\u79e9"}}') == [
        ("search_documents", {"query": "秩"})
    ]


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "delete_files", "arguments": {}}\n</tool_call>',
        '```json\n{"name": "Alice", "age": 3}\n```',
        '{"temperature": 80}',
        '<tool_call>\n{"name": "calculator", "arguments": {"expression": 2 * 3}}\n</tool_call>',
        '{"name": "calculator", "arguments": {"expression": "2 *',
        "```json\n{\"name\": 'calculator'}\n```",
        '{"name": "calculator", "arguments": "2 * 3"}',
        '["calculator"]',
        "<tool_call></tool_call>",
        "The answer is {4}.",
        "",
    ],
)
def test_what_is_no_call_of_an_offered_tool_stays_text_to_the_letter(text):
    assert split_tool_calls(text, TOOLS) == (text, [])


def test_a_call_may_lack_its_last_brace_or_its_arguments():
    assert calls_in(CALL[:-1]) == calls_in(f"```json\n{CALL[:-1]}\n```") == calls_in(CALL)
    assert calls_in('{"name": "calculator"}') == [("calculator", {})]


def test_without_tools_nothing_is_a_call():
    assert split_tool_calls(CALL, []) == (CALL, [])
