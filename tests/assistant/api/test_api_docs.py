"""The examples of docs/api.md and docs/api.zh-CN.md are run as they stand there, against a running server."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("api.md", "api.zh-CN.md")


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_example(page: str, api) -> None:
    (example,) = blocks(page, "python")
    code = example.replace("http://127.0.0.1:8000", api.root)
    assert code != example
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^(answered|unsure|refused) \[", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_curl_example(page: str, api) -> None:
    command = next(block for block in blocks(page, "sh") if block.startswith("curl"))
    done = subprocess.run(
        ["sh", "-c", command.replace("http://127.0.0.1:8000", api.root)], capture_output=True, text=True, timeout=120
    )
    assert json.loads(done.stdout)["choices"][0]["message"]["lorewright"]["outcome"]


def test_both_pages_show_the_same_commands() -> None:
    assert blocks(PAGES[0], "bash") == blocks(PAGES[1], "bash")
