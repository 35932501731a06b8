"""The agent: its calculator by hand-made cases, and the whole loop with the real default model."""

import pytest

from assistant.agent import calculator, search_tool
from assistant.answers import read_answer


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
        ("1e300 * 1e300", "the number is too large"),
        ("10 ** 400 * 1.5", "too large"),
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


def test_the_agent_searches_the_documents_and_answers_from_them(assistant):
    question = "nf4 有多少个取值?"
    messages = assistant.agent.invoke({"messages": [("user", question)]})["messages"]
    assert calls_of(messages) == [("search_documents", {"query": question})]
    best = assistant.index.search(question, k=1)[0]
    assert f"{best.document}, {best.place}\n{best.text}" in messages[-2].text
    assert best.document == "zh/qlora-nf4.md"
    assert "16 个固定取值" in best.text
    answer = read_answer(messages[-1])
    assert "16" in answer.text
    assert answer.text == assistant.ask(question).text, "the same answer, with the same citations, as the chain gives"
    assert answer.citations


def test_the_agent_refuses_what_the_chain_refuses(assistant):
    question = "秘鲁的首都是哪里?"
    messages = assistant.agent.invoke({"messages": [("user", question)]})["messages"]
    answer = read_answer(messages[-1])
    assert answer.refused
    assert answer.text == assistant.prompts.refusal("zh")
    assert answer.passages


async def test_the_agent_calculates_and_works_in_async_code(assistant):
    messages = (await assistant.agent.ainvoke({"messages": [("user", "What is 3217 * 2309?")]}))["messages"]
    assert calls_of(messages) == [("calculator", {"expression": "3217 * 2309"})]
    assert messages[-2].text == "3217 * 2309 = 7428053"
    assert "7428053" in messages[-1].text


def test_a_tool_that_finds_nothing_says_so(assistant):
    tool = search_tool(assistant.index, assistant.refusal)
    assert tool.invoke({"query": " ", "messages": []}) == "Nothing was found."
