"""Reading and listing documents: names as a model writes them, parts, and bounded results."""

import re

import pytest
from langchain_core.tools import ToolException

from assistant.answering.refusal import Refusal
from assistant.tools.documents import document_of, list_tool, read_tool, search_tool


def test_all_parts_together_are_the_document(tools_index):
    tool = read_tool(tools_index)
    first = tool.invoke({"name": "规章"})
    count = int(re.match(r"规章\.txt, part 1 of (\d+)\. There is more: read part 2\.\n", first)[1])
    parts = [tool.invoke({"name": "规章.txt", "part": part}) for part in range(1, count + 1)]
    assert "There is more" not in parts[-1]
    assert "\n".join(part.partition("\n")[2] for part in parts) == tools_index.text("规章.txt").strip()
    assert all(len(part) < 1000 for part in parts)
    assert f"has {count} parts; there is no part {count + 1}" in tool.invoke({"name": "规章", "part": count + 1})
    assert "Wrong argument part" in tool.invoke({"name": "规章", "part": 0})


def test_names_as_a_model_writes_them(tools_index):
    documents = tools_index.documents()
    for name in ("en/green-tea.md", "green-tea.md", "GREEN-TEA", " green-tea "):
        assert document_of(documents, name) == "en/green-tea.md"
    with pytest.raises(ToolException, match=r"There is no document 'gren-tea.md'; did you mean en/green-tea\.md"):
        document_of(documents, "gren-tea.md")
    with pytest.raises(ToolException, match=r"several documents: a/x.md, b/x.md; give the path"):
        document_of(["a/x.md", "b/x.md"], "x")


@pytest.mark.parametrize(
    "name", ["../domain.toml", "/etc/passwd", "en/../../domain.toml", "domain.toml", "a\0b", "\ud800"]
)
def test_no_file_outside_the_index_is_read(tools_index, name):
    said = read_tool(tools_index).invoke({"name": name})
    assert said.startswith(("There is no document", "Wrong argument name"))


def test_the_list_and_its_filter(tools_index):
    tool = list_tool(tools_index)
    assert tool.invoke({}) == "4 documents:\nen/green-tea.md\nsales 2026.xlsx\n菜单.csv\n规章.txt"
    assert tool.invoke({"filter": "菜"}) == "1 document:\n菜单.csv"
    assert "No document has 'coffee' in its name" in tool.invoke({"filter": "coffee"})


def test_a_broken_index_is_a_sentence(tools_index, tmp_path):
    from domain import create_domain
    from indexes import Index

    with Index.open(create_domain(tmp_path / "empty")) as index:
        search = search_tool(index, Refusal.of(tools_index))
        for tool, arguments in ((search, {"query": "茶", "messages": []}), (list_tool(index), {})):
            said = tool.invoke({"name": tool.name, "args": arguments, "id": "1", "type": "tool_call"})
            assert said.status == "error"
            assert "There is no index in" in said.content
