"""`benchmarks/retrieval.py` prints and writes the scores that follow from the questions."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from index_samples import TEA, make_domain
from typer.testing import CliRunner

from indexes import Index
from indexes.full_text import Weighed
from indexes.search import Scores

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "retrieval.py"
PAGE = """<html><body><h1>Chapter 1. {0}</h1><h2>1.1. What is {0}?</h2><p>{0} is a drink made of leaves.</p>
<h2>1.2. Where is {0} grown?</h2><p>In the hills, where it rains.</p></body></html>"""


@pytest.fixture(scope="module")
def benchmark_module() -> ModuleType:
    specification = importlib.util.spec_from_file_location("retrieval_benchmark", SCRIPT)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def question(text: str, document: str | None, language: str) -> str:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "-"}]
    record = {"language": language, "document": document, "answerable": document is not None, "messages": messages}
    return json.dumps(record, ensure_ascii=False)


def test_measure_prints_a_table_and_writes_json(benchmark_module: ModuleType, tmp_path: Path) -> None:
    domain = make_domain(tmp_path / "tea", TEA, embedder="all-minilm-l6-v2")
    lines = [
        question("How hot must the water for green tea be?", "en/green.md", "en"),
        question("black tea water", "en/black.md", "en"),
        question("龙井产于哪里", "zh/longjing.md", "zh"),
        question("Who won the match?", None, "en"),
    ]
    domain.held_out_questions.write_text("\n".join(lines), encoding="utf-8")
    Index.open(domain).update()
    result = CliRunner().invoke(benchmark_module.app, ["measure", str(domain.path)])
    assert result.exit_code == 0, result.output
    assert "3 questions" in result.output
    (file,) = domain.evaluations.glob("retrieval-*.json")
    record = json.loads(file.read_text(encoding="utf-8"))
    assert record["format"] == 1
    assert record["versions"]["faiss-cpu"]
    assert record["machine"]["cores"] >= 1
    hybrid = {row["language"]: row for row in record["results"] if row["ranking"] == "hybrid 0.5"}
    assert hybrid["en"] == {
        "ranking": "hybrid 0.5", "language": "en", "questions": 2, "hit_at_1": 100.0, "hit_at_5": 100.0, "mrr": 100.0,
        "above": hybrid["en"]["above"],
    }  # fmt: skip
    assert hybrid["zh"]["questions"] == 1


def test_debian_faq_becomes_a_domain_with_titles_as_questions(benchmark_module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "faq" / "zh-cn").mkdir(parents=True)
    (tmp_path / "faq" / "tea.en.html").write_text(PAGE.format("tea"))
    (tmp_path / "faq" / "zh-cn" / "tea.zh-cn.html").write_text(PAGE.format("茶"), encoding="utf-8")
    result = CliRunner().invoke(benchmark_module.app, ["debian-faq", str(tmp_path / "faq"), str(tmp_path / "made")])
    assert result.exit_code == 0, result.output
    assert "4 sections in 4 passages, 4 questions" in result.output
    asked = [json.loads(line) for line in (tmp_path / "made/questions/held_out.jsonl").read_text("utf-8").splitlines()]
    assert [(line["language"], line["messages"][0]["content"]) for line in asked][::3] == [
        ("en", "What is tea?"),
        ("zh", "Where is 茶 grown?"),
    ]
    assert (tmp_path / "made/documents/zh/002.txt").read_text() == "In the hills, where it rains."


def test_debian_faq_in_one_language_can_be_asked_in_the_other(benchmark_module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "faq" / "zh-cn").mkdir(parents=True)
    (tmp_path / "faq" / "tea.en.html").write_text(PAGE.format("tea"))
    (tmp_path / "faq" / "zh-cn" / "tea.zh-cn.html").write_text(PAGE.format("茶"), encoding="utf-8")
    arguments = ["debian-faq", str(tmp_path / "faq"), str(tmp_path / "made"), "--language", "zh", "--asked", "en"]
    result = CliRunner().invoke(benchmark_module.app, arguments)
    assert result.exit_code == 0, result.output
    asked = [json.loads(line) for line in (tmp_path / "made/questions/held_out.jsonl").read_text("utf-8").splitlines()]
    assert [(line["document"], line["messages"][0]["content"]) for line in asked] == [
        ("zh/001.txt", "What is tea?"),
        ("zh/002.txt", "Where is tea grown?"),
    ]
    assert not (tmp_path / "made/documents/en").exists()


def test_figures_are_those_of_the_definitions(benchmark_module: ModuleType) -> None:
    assert benchmark_module.figures(np.array([1, 2, 10, np.inf])) == {
        "questions": 4, "hit_at_1": 25.0, "hit_at_5": 50.0, "mrr": 40.0
    }  # fmt: skip
    weighed = Weighed(np.array([0.0, 5.0, 4.0]), np.array([0.0, 0.5, 0.5]), 20.0)
    scores = [Scores(np.array([7, 8, 9]), np.array([0.9, 0.8, 0.1]), weighed, 0.5, 0.2, 2)]
    ranked = {name: ranking[0].tolist() for name, ranking in benchmark_module.rankings(scores).items()}
    assert ranked["dense"] == [7, 8, 9]
    assert ranked["full_text"] == [8, 9]
    assert ranked["reciprocal rank fusion"] == [8, 9, 7]
