"""Which tools an agent has, which wait for approval, and langchain-tests' suites for each tool."""

from types import SimpleNamespace

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from assistant.answering.refusal import Refusal
from assistant.tools.toolset import needing_approval, tools_of
from domain import Domain, DomainError
from domain.settings import ToolSettings
from indexes import Index

ARGUMENTS = {
    "search_documents": {"query": "绿茶用多少度的水?", "messages": [HumanMessage("绿茶用多少度的水?")]},
    "read_document": {"name": "green-tea.md"},
    "list_documents": {"filter": ""},
    "calculator": {"expression": "(28 + 4) * 4096"},
    "today": {},
    "days_between": {"first": "2026-01-01", "second": "2026年3月1日"},
    "add_days": {"start": "2026-01-01", "days": 30},
    "list_tables": {},
    "query_table": {"sql": "SELECT 名称 FROM 菜单"},
    "list_files": {},
    "read_file": {"name": "plan.md"},
    "write_file": {"name": "plan.md", "text": "泡茶"},
    "fetch_page": {"url": "http://127.0.0.1:9/"},
    "run_python": {"code": "print(6 * 7)"},
}
APPROVED = {"write_file", "fetch_page", "run_python"}


def with_tools(index: Index, **changed: bool) -> SimpleNamespace:
    """An assistant whose domain.toml has other [tools]."""
    settings = index.domain.settings.model_copy(update={"tools": ToolSettings(**changed)})
    return SimpleNamespace(index=Index(Domain(index.domain.path, settings)), refusal=Refusal.of(index))


@pytest.fixture(scope="module")
def all_tools(tools_index) -> dict[str, BaseTool]:
    tools = tools_of(with_tools(tools_index, workspace=True, web=True, python=True))
    return {tool.name: tool for tool in tools}


class EachTool:
    """Gives the suites of langchain-tests one tool after the other."""

    @pytest.fixture(autouse=True, params=ARGUMENTS)
    def _choose(self, request, all_tools):
        self.chosen = all_tools[request.param]

    @property
    def tool_constructor(self):
        return self.chosen

    @property
    def tool_invoke_params_example(self):
        return ARGUMENTS[self.chosen.name]


class TestToolsUnit(EachTool, ToolsUnitTests):
    pass


class TestToolsIntegration(EachTool, ToolsIntegrationTests):
    pass


def test_all_tools_are_tested_described_and_short(all_tools):
    assert set(all_tools) == set(ARGUMENTS)
    for tool in all_tools.values():
        assert 20 < len(tool.description) < 200, tool.name
        assert len(tool.tool_call_schema.model_json_schema()["properties"]) <= 2


def test_the_defaults_write_run_and_reach_nothing(tools_index):
    tools = tools_of(with_tools(tools_index))
    assert {tool.name for tool in tools} == set(ARGUMENTS) - APPROVED - {"list_files", "read_file"}
    assert needing_approval(tools) == set()
    assert [tool.name for tool in tools_of(with_tools(tools_index, tables=False, dates=False, search=False))] == [
        *("read_document", "list_documents", "calculator")
    ]


def test_what_writes_runs_code_or_goes_out_needs_approval(all_tools):
    assert needing_approval(all_tools.values()) == APPROVED


def test_an_agent_waits_for_approval(all_tools, tools_domain):
    call = {"name": "write_file", "args": {"name": "asked.md", "text": "x"}, "id": "1", "type": "tool_call"}

    class Scripted(GenericFakeChatModel):
        def bind_tools(self, tools, **_):
            return self

    model = Scripted(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("done")]))
    approval = HumanInTheLoopMiddleware(interrupt_on=dict.fromkeys(needing_approval(all_tools.values()), True))
    agent = create_agent(model, list(all_tools.values()), middleware=[approval], checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    stopped = agent.invoke({"messages": [("user", "write")]}, thread)
    assert stopped["__interrupt__"]
    assert not (tools_domain.workspace / "asked.md").exists()
    ended = agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), thread)
    assert ended["messages"][-2].text == "Wrote 1 characters to asked.md."
    assert (tools_domain.workspace / "asked.md").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[tools]\nweb_page = true", "unknown key 'tools.web_page'; did you mean 'web'?"),
        ("[tools]\ncalculater = true", "did you mean 'calculator'?"),
        ('[tools]\nweb = "yes"', "tools.web is 'yes'"),
        ('[tools.mcp.shop]\ncomand = ["x"]', "unknown key 'tools.mcp.shop.comand'; did you mean 'command'?"),
        ("[tools.mcp.shop]\nseconds = 5.0", "a server needs a command or a url, and not both"),
        ('[tools.mcp.shop]\nurl = "ftp://x"', "must start with http:// or https://"),
        ('[tools.mcp."a b"]\nurl = "http://x"', "string should match pattern"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, reason):
    (tmp_path / "domain.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DomainError) as error:
        Domain.open(tmp_path)
    assert reason in str(error.value)
