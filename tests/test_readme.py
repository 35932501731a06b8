"""What the READMEs show is run as it stands there (but `make run` and `make test`, which would run themselves).

Both show the same commands, so these are run once; what differs, Python snippets and questions, is run of both.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.zh-CN.md")
INDEXING = ("docs/indexing.md", "docs/indexing.zh-CN.md")
DOCUMENT = """# 龙井 Longjing

## 冲泡

龙井用 80 度左右的水泡,水太烫会把嫩叶烫熟。每杯放 3 克茶叶,泡两分钟。

## Brewing

Brew Longjing with water of about 80 degrees Celsius; hotter water scalds the young leaves. Take 3 grams a cup.
"""


def blocks(readme: str, kind: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the commands are run: the folder of the reader of the README, with the domain that it makes first."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "my-files").mkdir()
    (folder / "my-files" / "longjing.md").write_text(DOCUMENT, encoding="utf-8")
    for command in first_commands()[:3]:
        run(command, folder)
    return folder


def first_commands() -> list[list[str]]:
    """The commands that make a domain of one's own, ask it and open its page."""
    lines = [shlex.split(line) for line in blocks("README.md", "bash")[0].splitlines()]
    return [["sh", "-c", shlex.join(line).replace("'my-files/*'", "my-files/*")] for line in lines]


def run(command: list[str], folder: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_both_readmes_show_the_same_commands() -> None:
    assert blocks("README.md", "bash") == blocks("README.zh-CN.md", "bash")


def test_the_domain_of_ones_own(folder) -> None:
    *_, ask, ui = first_commands()
    printed = run(ask, folder)
    assert "80" in printed
    assert "longjing.md" in printed, "it cites its document"
    page_opens(shlex.split(ui[-1]), folder)


def page_opens(command: list[str], folder: Path) -> None:
    """`lorewright ui` serves until Ctrl-C; here until its page was seen."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(
        [*command, "--no-open-browser"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = next(match[0] for line in process.stdout if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{url}/_stcore/health", timeout=5).text == "ok":
                    break
            except httpx.TransportError:
                time.sleep(0.5)
        else:
            pytest.fail("the page was not there within three minutes")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 0


@pytest.mark.slow
def test_the_python_snippets(folder) -> None:
    (english,), (chinese,) = (blocks(name, "python") for name in READMES)
    one_process = f"{english}\nprint('=' * 9)\n{chinese}"  # so that the models are loaded once
    for printed in run([sys.executable, "-c", one_process], folder).split("=" * 9):
        assert "longjing.md" in printed


@pytest.mark.slow
def test_questions_as_shown_then_finetune_and_evaluate(folder) -> None:
    (english,), (chinese,) = (blocks(name, "json") for name in READMES)
    for file in ("train.jsonl", "held_out.jsonl"):
        (folder / "tea-shop" / "questions" / file).write_text(english + chinese, encoding="utf-8")
    for line in blocks("README.md", "bash")[1].splitlines():
        printed = run(shlex.split(line), folder)
    assert "the answerable of 4 held-out questions" in printed


@pytest.mark.slow
def test_the_page_on_documents_and_search(folder) -> None:
    assert blocks(INDEXING[0], "bash") == blocks(INDEXING[1], "bash")
    assert blocks(INDEXING[0], "python") == blocks(INDEXING[1], "python")
    for line in blocks(INDEXING[0], "bash")[0].splitlines():
        printed = run(shlex.split(line), folder)
    assert "tea-shop-copy" in printed
    for snippet in blocks(INDEXING[0], "python"):
        printed = run([sys.executable, "-c", snippet], folder)
    assert printed.splitlines()[0] == "note-1"
    assert "longjing.md" in printed


def test_links_lead_somewhere() -> None:
    for name in (*READMES, *INDEXING):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text(encoding="utf-8")):
            assert (ROOT / name).parent.joinpath(target).exists(), f"{name} points to {target}"
