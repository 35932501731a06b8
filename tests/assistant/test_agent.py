"""The agent: its calculator by hand-made cases, and the whole loop with the real default model."""

import pytest

from assistant.agent import calculator

SEARCHED = ["How much slower does gradient checkpointing make a training step?", "LoRA 合并后会不会变慢?"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("-2 ** 2", "-4"),
        ("2 ** 3 ** 2", "512"),
        ("2^10", "1024"),
        ("7 // 2 + 7 % 2", "4"),
        ("1 / 8", "0.125"),
        ("6 × 7 ÷ 2", "21.0"),
        ("12.5% of 80", "10.0"),
        ("  8 * (4096 + 4096)\n", "65536"),
        ("+3 - -4", "7"),
    ],
)
def test_the_calculator_follows_the_rules_of_arithmetic(expression, value):
    assert calculator.invoke({"expression": expression}) == f"{expression} = {value}"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("9 ** 9 ** 9", "the power is too large"),
        ("(10 ** 9) ** 1000 ** 2", "the power is too large"),
        ("1 / 0", "division by zero"),
        ("5 % 0", "modulo"),
        ("(-8) ** 0.5", "a root of a negative number is not a real number"),
        ("1e300 * 10 ** 300 * 10 ** 300", "int too large to convert to float"),
        ("x + 1", "only numbers"),
        ("True + 1", "only numbers"),
        ("'a' * 3", "only numbers"),
        ("__import__('os').getpid()", "only numbers"),
        ("(1).__class__", "only numbers"),
        ("[1, 2][0]", "only numbers"),
        ("1,000 + 1", "only numbers"),
        ("1 < 2", "only numbers"),
        ("2 +", "it is not an arithmetic expression"),
        ("seven times six", "it is not an arithmetic expression"),
        ("", "it is not an arithmetic expression"),
        ("1 +" * 100 + "1", "it is longer than 200 characters"),
        ("(" * 150 + "1" + ")" * 49, "it is not an arithmetic expression"),
    ],
)
def test_the_calculator_says_what_it_cannot_do(expression, reason):
    said = calculator.invoke({"expression": expression})
    assert said.startswith(f"Cannot calculate {expression!r}: ")
    assert reason in said


def calls_of(messages) -> list[tuple[str, dict]]:
    return [(call["name"], call["args"]) for message in messages for call in getattr(message, "tool_calls", [])]


def test_the_agent_calculates_when_a_question_asks_for_it(assistant):
    messages = assistant.agent.invoke({"messages": [("user", "3 的 12 次方是多少?")]})["messages"]
    assert [name for name, _ in calls_of(messages)] == ["calculator"]
    assert messages[-2].text.endswith("= 531441")
    assert "531441" in messages[-1].text


@pytest.mark.parametrize("question", SEARCHED)
def test_the_agent_searches_the_documents_and_answers_from_them(assistant, question):
    messages = assistant.agent.invoke({"messages": [("user", question)]})["messages"]
    ((name, arguments),) = calls_of(messages)
    assert name == "search_documents"
    assert messages[-2].text.startswith("[1] ")
    best = assistant.index.search(arguments["query"], k=1)[0]
    assert best.text in messages[-2].text
    from assistant.citations import support

    assert support(messages[-1].text, best) >= 0.5


async def test_the_agent_works_in_async_code_too(assistant):
    messages = (await assistant.agent.ainvoke({"messages": [("user", "What is 17 * 23?")]}))["messages"]
    assert calls_of(messages) == [("calculator", {"expression": "17 * 23"})]
    assert "391" in messages[-1].text


def test_a_tool_that_finds_nothing_says_so(assistant):
    from assistant.agent import search_tool

    assert search_tool(assistant.index).invoke({"query": " "}) == "Nothing was found."
