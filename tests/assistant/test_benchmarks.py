"""The benchmarks run on tiny inputs; their figures mean nothing here.

Not run: ``chatglm_peer.py``, whose peer must be compiled by hand.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from indexes.readers.images.tesseract import find_tesseract

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=BENCHMARKS.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_training_is_timed_beside_the_trainer(tmp_path: Path, real_model: Callable[[str], Path]) -> None:
    real_model("smollm2-135m-instruct")
    run("training", "--runs", 1, "--examples", 2, "--out", tmp_path / "training.json")
    assert json.loads((tmp_path / "training.json").read_text("utf-8"))["median_ratio"] > 0


@pytest.mark.slow
def test_products_of_chatglm_are_timed_beside_the_limits_of_the_machine(tmp_path: Path) -> None:
    run("chatglm", "--layers", 1, "--runs", 1, "--out", tmp_path / "chatglm.json")
    rows = json.loads((tmp_path / "chatglm.json").read_text("utf-8"))["rows"]
    assert all(row["share_of_limit"] > 0 for row in rows.values())


@pytest.mark.slow
def test_both_ocr_engines_read_a_page(tmp_path: Path, absent: Callable[[str], NoReturn]) -> None:
    if not find_tesseract():
        absent("tesseract is not installed")
    run("ocr", "--pages", 1, "--out", tmp_path / "ocr.json")
    for row in json.loads((tmp_path / "ocr.json").read_text("utf-8"))["scans"].values():
        assert min(engine["correct characters"] for engine in row.values()) > 0.9


def test_quotes_and_rankings_of_a_domain_are_measured(tea_shop: Path, tmp_path: Path) -> None:
    assert "1 answerable" in run("quotes", "measure", tea_shop)
    run("ranking_trials", tea_shop, "--out", tmp_path / "ranking.json")
    assert json.loads((tmp_path / "ranking.json").read_text("utf-8"))["results"]


@pytest.mark.slow
def test_the_tasks_of_the_agent_are_counted(tea_shop: Path, tmp_path: Path) -> None:
    run("agent_tasks", tea_shop, "--only", "impossible", "--out", tmp_path / "agent.json")
    assert len(json.loads((tmp_path / "agent.json").read_text("utf-8"))["tasks"]) == 5


@pytest.mark.slow
@pytest.mark.usefixtures("openvino_is_here")
def test_both_engines_answer_a_domain(tea_shop: Path, tmp_path: Path) -> None:
    assert "equal answers" in run("engine_parity", tea_shop, "--results", tmp_path)


@pytest.fixture
def peer_python(absent: Callable[[str], NoReturn]) -> Path:
    """Python of the environment with the peers, which ``make test-slow`` installs."""
    folder = BENCHMARKS.parent / ".venv-peer"
    for python in (folder / "bin" / "python", folder / "Scripts" / "python.exe"):
        if python.exists():
            return python
    absent("the peers are not installed (make test-slow does that)")


@pytest.mark.slow
@pytest.mark.usefixtures("openvino_is_here")
def test_chat_models_and_methods_are_compared_on_a_domain(shop: Path, tmp_path: Path) -> None:
    models = ["--model", "smollm2-135m-instruct", "--context-tokens", 200]
    run("chat_models", shop, *models, "--questions", 1, "--out", tmp_path / "models.json")
    assert json.loads((tmp_path / "models.json").read_text("utf-8"))["table"][0]["answers"] == 1
    bounds = ["--max-train-tokens", 500, "--questions", 1, "--only", "lora"]
    run("methods", shop, *bounds, "--out", tmp_path / "methods.json")
    assert [*json.loads((tmp_path / "methods.json").read_text("utf-8"))["runs"]] == ["lora"]


@pytest.mark.slow
def test_the_index_is_measured_as_it_grows(shop: Path, tmp_path: Path) -> None:
    run("index_scale", tmp_path / "work", shop / "documents", "--sizes", "20,40", "--out", tmp_path / "scale.json")
    assert [*json.loads((tmp_path / "scale.json").read_text("utf-8"))["results"]] == ["20", "40"]


@pytest.mark.slow
@pytest.mark.usefixtures("openvino_is_here")
def test_engines_indexing_and_retrieval_are_compared_with_the_peers(
    shop: Path, tmp_path: Path, peer_python: Path
) -> None:
    peer = ["--peer-python", peer_python]
    run("engines", "--model", "smollm2-135m-instruct", "--rounds", 1, *peer, "--out", tmp_path / "engines.json")
    assert len(json.loads((tmp_path / "engines.json").read_text("utf-8"))["medians"]) == 4
    few = ["--files", 20, "--characters", 2000]
    run("indexing", shop / "documents", tmp_path / "work", *peer, *few, "--out", tmp_path / "indexing.json")
    assert json.loads((tmp_path / "indexing.json").read_text("utf-8"))["ours to LangChain"]
    assert '"MRR"' in run("retrieval_peer", shop, *peer, "--out", tmp_path / "retrieval.json")


@pytest.mark.slow
def test_chatglm_is_converted_loaded_and_trained_at_full_width(shared_chatglm: Path, tmp_path: Path) -> None:
    small = ["--folder", tmp_path / "chatglm", "--layers", 1, "--length", 16, "--out", tmp_path / "full.json"]
    run("chatglm_full_size", shared_chatglm / "assets", *small)
    stages = json.loads((tmp_path / "full.json").read_text("utf-8"))["stages"]
    assert all(stage["work"]["peak_bytes"] > 0 for stage in stages.values() if "work" in stage)
