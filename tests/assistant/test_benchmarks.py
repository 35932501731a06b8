"""Six benchmarks run on tiny inputs, two of them only in the slow tests; their figures mean nothing here."""

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


@pytest.mark.usefixtures("openvino_is_here")
def test_both_engines_answer_a_domain(tea_shop: Path, tmp_path: Path) -> None:
    assert "equal answers" in run("engine_parity", tea_shop, "--results", tmp_path)
