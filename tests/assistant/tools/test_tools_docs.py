"""The examples of docs/tools.md and its translation run."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from assistant.answering.refusal import Refusal
from assistant.tools.toolset import needing_approval, tools_of
from domain import Domain

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["tools.md", "tools.zh-CN.md"])
def test_the_examples_run(page, tmp_path, tools_index):
    text = (DOCS / page).read_text(encoding="utf-8")
    toml, python = (re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)[0] for kind in ("toml", "python"))
    (tmp_path / "domain.toml").write_text(toml, encoding="utf-8")
    server = Domain.open(tmp_path).settings.tools.mcp["shop"]
    assert (server.read_only, server.seconds) == (("stock",), 20.0)
    opened = SimpleNamespace(index=tools_index, refusal=Refusal.of(tools_index))
    names: dict = {"assistant": opened}
    exec(python, names)
    assert needing_approval(names["tools"]) == set()
    assert [tool.name for tool in names["tools"]] == [tool.name for tool in tools_of(opened)]
    assert all(tool.name in text for tool in names["tools"])
