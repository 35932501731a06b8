"""What the guide of ChatGLM-6B shows is run as it stands there, on a small model in the released layout."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from chatglm_samples import write_released

DOCS = Path(__file__).parents[3] / "docs"
GUIDES = ("chatglm-6b.md", "chatglm-6b.zh-CN.md")
EXAMPLE = {
    "language": "zh",
    "document": "tea.md",
    "messages": [{"role": "user", "content": "水温多少?"}, {"role": "assistant", "content": "80 度。"}],
}


def blocks(guide: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", (DOCS / guide).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(released, real_model, tmp_path_factory):
    real_model("multilingual-e5-small")
    folder = tmp_path_factory.mktemp("guide")
    write_released(folder / "chatglm-6b", released)
    (folder / "my-files").mkdir()
    (folder / "my-files" / "tea.md").write_text("# 龙井\n\n龙井用 80 度左右的水泡。\n", encoding="utf-8")
    return folder


def run(command: list[str], folder: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_both_guides_show_the_same() -> None:
    english, chinese = ([*blocks(guide, "bash"), *blocks(guide, "python")] for guide in GUIDES)
    assert [re.sub(" *#.*", "", block) for block in english] == [re.sub(" *#.*", "", block) for block in chinese]
    headings = [
        re.findall(r"^### (.*:.*)$", (DOCS / guide).read_text(encoding="utf-8"), re.MULTILINE) for guide in GUIDES
    ]
    assert headings[0] == headings[1]
    assert len(headings[0]) >= 6, "the errors people search for"


@pytest.mark.slow
def test_its_commands_and_its_python(folder: Path) -> None:
    use, tune = blocks(GUIDES[0], "bash")
    for line in use.splitlines():
        words = [word.replace("/path/to/chatglm-6b", str(folder / "chatglm-6b")) for word in shlex.split(line)]
        run(["sh", "-c", shlex.join(words).replace("'my-files/*'", "my-files/*")], folder)
    for name in ("train", "held_out"):
        line = json.dumps(EXAMPLE, ensure_ascii=False)
        (folder / "tea-shop" / "questions" / f"{name}.jsonl").write_text(f"{line}\n" * (3 if name == "train" else 1))
    there = str(folder / "chatglm-6b")
    forecast, trained, evaluated = (
        run(shlex.split(line.replace("/path/to/chatglm-6b", there)), folder) for line in tune.splitlines()
    )
    assert "P-tuning v2, bfloat16" in forecast
    assert "trained" in trained
    assert "the answerable of 1 held-out questions" in evaluated
    snippets = "\nprint('=' * 9)\n".join(blocks(GUIDES[0], "python"))
    program = snippets.replace("/path/to/chatglm-6b", str(folder / "chatglm-6b"))
    *_, with_transformers = run([sys.executable, "-c", program], folder).split("=" * 9)
    assert with_transformers.strip().startswith("你好"), "the prompt comes back before the answer"
