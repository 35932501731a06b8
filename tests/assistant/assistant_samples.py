"""What several test files of this room need: question files, a small shop of tea, and the command line."""

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from assistant.cli import main

TEA = """# Green tea

## Water

Use water of 80 degrees for green tea. Boiling water makes it bitter.

## Amount

Take three grams of leaves for one cup, and let them draw for two minutes.
"""
QUICK = ["--num-train-epochs", "4", "--gradient-accumulation-steps", "1", "--warmup-steps", "0", "--r", "2"]
QUICK += ["--learning-rate", "0.02"]  # else the random model of two layers answers the same after it
QUICK += ["--replay-share", "0"]  # a small random model's answers to everyday questions teach nothing and take long


def write_questions(path: Path, rows: list[dict]) -> None:
    """Write a question file, one JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@dataclass
class Ended:
    status: int
    out: str
    err: str


def lorewright(*arguments: object) -> Ended:
    """Run a command in this process, through the same entry point as the installed program."""
    out, err = io.StringIO(), io.StringIO()
    status: object = 0
    with (
        patch.object(sys, "argv", ["lorewright", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code or 0
    if isinstance(status, str):  # what Python prints when a program ends with a text
        return Ended(1, out.getvalue(), f"{err.getvalue()}{status}\n")
    assert isinstance(status, int)
    return Ended(status, out.getvalue(), err.getvalue())


def question(text: str, answer: str, **more: object) -> dict:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
    return {"language": "en", "document": "tea.md", "messages": messages, **more}
