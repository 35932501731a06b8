"""The agent: the whole loop with the real default model."""

import shutil

from assistant import Assistant
from assistant.answers import read_answer
from assistant.indexing import update_index
from assistant.tools.documents import search_tool
from domain import Domain


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


def test_the_agent_queries_a_table_and_cites_its_rows(handbook, tmp_path):
    folder = shutil.copytree(handbook, tmp_path / "handbook")
    table = "方法,显存GB,用时分钟\nLoRA,3.1,22\nIA3,2.9,19\n全量,9.8,64\n"
    (folder / "documents" / "实验.csv").write_text(table, encoding="utf-8")
    update_index(Domain.open(folder))
    assistant = Assistant.open(folder)
    messages = assistant.agent.invoke({"messages": [("user", "表“实验”里，显存GB最大的是哪种方法？")]})["messages"]
    ((name, arguments),) = calls_of(messages)
    assert name == "query_table"
    assert "显存GB" in arguments["sql"]
    answer = read_answer(messages[-1])
    assert "全量" in answer.text
    assert arguments["sql"] in answer.text, "the query is shown, as proof"
    assert {passage.document for passage in answer.passages} == {"实验.csv"}
    assistant.close()


def test_small_talk_needs_no_tool(assistant):
    messages = assistant.agent.invoke({"messages": [("user", "你好!")]})["messages"]
    assert calls_of(messages) == []
    assert read_answer(messages[-1]).outcome == "small_talk"
