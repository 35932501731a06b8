"""The recipes of docs/scripting.md run as they stand there, in both languages, with a random model."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
FILES = ("scripting.md", "scripting.zh-CN.md")


def recipes(file: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (DOCS / file).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_both_languages_show_the_same_recipes_and_there_are_ten():
    assert recipes(FILES[0]) == recipes(FILES[1])
    assert len(recipes(FILES[0])) >= 10


def test_the_recipes_run_one_after_the_other(shop, monkeypatch, capsys):
    monkeypatch.chdir(shop.parent)
    namespace: dict = {}
    for number, recipe in enumerate(recipes(FILES[0]), start=1):
        exec(compile(recipe, f"recipe {number}", "exec"), namespace)
    assert namespace["answer"].text
    assert len(namespace["several"]) == 2
    assert all(0 <= degrees <= 100 for degrees in [namespace["brewing"].degrees])
    assert namespace["call"].tool_calls[0]["name"] == "price"
    assert {document.metadata["document"] for document in namespace["found"]} <= {"tea.md", "oolong"}
    assert set(namespace["kind"].batch(["?"])) <= {"question", "complaint"}
    assert namespace["assistant"].history("monday") == []
    assert "Oolong is brewed at 90 degrees." in capsys.readouterr().out
    namespace["assistant"].close()
    namespace["index"].close()


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readmes_link_to_the_recipes(readme):
    name = FILES[readme != "README.md"]
    assert f"](docs/{name})" in (DOCS.parent / readme).read_text(encoding="utf-8")
