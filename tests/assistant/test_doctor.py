"""What `lorewright doctor` tells when something does not work."""

import importlib.util
import shutil
from importlib.metadata import version

import pytest
from assistant_samples import lorewright

from assistant.cli import doctor_report
from base_models.encoder_selection import choose_encoder
from domain import set_setting


def told(*arguments: object) -> str:
    """The report, with runs of spaces as one, for the columns are as wide as the terminal allows."""
    ended = lorewright("doctor", *arguments)
    assert ended.status == 0
    return " ".join(ended.out.split())


def test_it_tells_of_the_machine_the_packages_and_the_models(tmp_path, monkeypatch, real_model):
    real_model("all-minilm-l6-v2")
    report = told()
    assert f"Python {doctor_report.platform.python_version()}" in report
    assert f"torch {version('torch')}" in report
    assert "GiB free; the default model needs about 2" in report
    assert "all-minilm-l6-v2" in report.split("Models")[1]


def test_it_tells_which_engine_computes_and_why(real_model):
    choice = choose_encoder("all-minilm-l6-v2", real_model("all-minilm-l6-v2"))
    engines = told().split("Engines")[1]
    assert f"all-minilm-l6-v2 {choice.engine}: {choice.reason}" in engines


def test_it_tells_that_a_faster_engine_could_be_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "openvino" else object())
    assert 'pip install "lorewright[openvino]"' in told().split("Engines")[1]


def test_it_tells_the_variables_that_change_what_lorewright_does(tmp_path, monkeypatch):
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path / "not" / "yet"))
    report = told()
    assert "".join(f"LOREWRIGHT_CACHE {tmp_path / 'not' / 'yet'}".split()) in report.replace(" ", "")
    assert "not downloaded" in report
    assert "multilingual-e5-small" in report.split("not downloaded")[1]
    assert not (tmp_path / "not").exists() or not list((tmp_path / "not" / "yet").glob("models/*"))


@pytest.mark.parametrize("variable", ["LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"])
def test_it_warns_when_questions_would_be_sent_to_langsmith(monkeypatch, variable):
    from langsmith.utils import get_env_var

    assert "LangSmith tracing is on" not in told()
    monkeypatch.setenv(variable, "true")
    get_env_var.cache_clear()
    assert "LangSmith tracing is on and sends every question and answer to a server" in told()
    monkeypatch.undo()
    get_env_var.cache_clear()


def test_it_names_what_is_missing_and_what_to_do(monkeypatch):
    monkeypatch.setattr(doctor_report, "PACKAGES", ["torch", "never-heard-of"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "pip" else object())
    report = told()
    assert "never-heard-of MISSING; run: make install" in report
    assert "pip is missing, so models cannot be downloaded from the package index." in report


def test_it_looks_at_a_domain(tea_shop, tiny_folder):
    report = told(tea_shop).split("Domain ")[1]
    for row in (f"base model {tiny_folder}", "adapters first", "active adapter first"):
        assert row in report
    assert "training questions 3, of which 1 unanswerable" in report
    assert "held-out questions 1, of which 0 unanswerable" in report
    assert "index 1 documents; refusal: en not calibrated" in report
    assert "PROBLEM" not in report


def test_it_tells_what_is_wrong_with_a_domain_instead_of_failing(copy_of, tea_shop, tiny_folder, tmp_path):
    assert "is not a folder; create a domain with" in told(tmp_path / "absent")
    shop = copy_of(tea_shop)
    shutil.rmtree(shop / "index")
    assert "index PROBLEM: " in told(shop)
    set_setting(shop / "domain.toml", "adapter", "frist")
    (shop / "questions" / "held_out.jsonl").write_text("{oops}", encoding="utf-8")
    report = told(shop)
    assert f"base model {tiny_folder}" in report
    assert "active adapter PROBLEM: " in report
    assert "held-out questions PROBLEM: " in report
    set_setting(shop / "domain.toml", "base_model", "smollm2")
    assert "base model PROBLEM: There is no model 'smollm2' in the catalogue" in told(shop)
    (shop / "domain.toml").write_text("adaptor = 'first'\n", encoding="utf-8")
    assert "unknown key 'adaptor'; did you mean 'adapter'?" in told(shop)


def test_brackets_in_a_path_are_shown_as_they_are(tmp_path):
    folder = tmp_path / "tea [old] [" / "b]"  # to rich, `[old]` is a style and `[/b]` ends one that was not begun
    report = told(folder)
    assert "[old] [/b]" in report.split("Domain ")[1].split("problem ")[0]
    assert "[old] [/b]" in report.split("problem ")[1]


def test_it_forecasts_the_memory_of_a_model(real_model):
    real_model("smollm2-135m-instruct")
    ended = lorewright("doctor", "--model", "smollm2-135m-instruct", "--length", 64)
    assert ended.status == 0
    assert "smollm2-135m-instruct, 1 x 64 tokens, in GiB" in ended.out
    for use in ("answer, bfloat16", "LoRA, bfloat16", "QLoRA, nf4"):
        assert use in ended.out
    assert lorewright("doctor", "--model", "smollm2").status == 1
