"""The benchmark of what is found, refused and quoted still starts and counts right."""

import importlib
import re
from pathlib import Path

import pytest

from domain import read_questions

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def quotes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("quotes")


def test_what_is_found_refused_and_quoted_is_told_by_language(quotes, handbook, tmp_path, capsys) -> None:
    lines = (handbook / "questions" / "held_out.jsonl").read_text(encoding="utf-8").splitlines()
    some = tmp_path / "some.jsonl"
    some.write_text("\n".join([*lines[:3], *lines[-3:]]) + "\n", encoding="utf-8")
    quotes.measure(handbook, [some])
    shown = capsys.readouterr().out
    answerable = sum(question.answerable for question in read_questions(some))
    assert f"all: {answerable} answerable, gold document first " in shown
    assert all(0 <= float(share) <= 1 for share in re.findall(r" (\d\.\d\d)", shown))
    assert f"of {6 - answerable} unanswerable answered" in shown


@pytest.mark.parametrize("file", sorted((BENCHMARKS / "answers").glob("*.jsonl")), ids=lambda file: file.stem)
def test_the_questions_kept_for_it_are_judged_right_by_their_own_answers(file: Path) -> None:
    from assistant.answering.facts import missing_facts

    for question in read_questions(file):
        assert bool(question.facts) == question.answerable
        assert missing_facts(question.answer, question.facts) == []
        if question.answerable:
            assert missing_facts(question.text, question.facts) != []
