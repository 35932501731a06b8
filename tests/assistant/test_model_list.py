"""What `lorewright models` tells of each model."""

from types import SimpleNamespace

import pytest
from assistant_samples import lorewright

from assistant.cli import model_list
from base_models import CATALOGUE, find
from base_models.engines.choices import Choice
from domain import Domain


@pytest.fixture
def one_is_timed(monkeypatch):
    """The 0.5B model took four seconds for the timed answer, and nothing else is here."""
    small = "qwen2.5-coder-0.5b-instruct"
    choice = Choice("openvino", "measured", {"transformers": 8.0, "openvino": 4.0})
    monkeypatch.setattr(model_list, "is_fetched", lambda name: name == small)
    monkeypatch.setattr(model_list, "known_choice", lambda name: choice if name == small else None)
    return find(small)


def test_seconds_are_those_that_were_timed_or_in_proportion_to_them(one_is_timed):
    assert model_list.seconds_of_an_answer(one_is_timed) == pytest.approx(10)
    larger = find("qwen2.5-coder-1.5b-instruct")
    ratio = larger.parameters / one_is_timed.parameters
    assert model_list.seconds_of_an_answer(larger) == pytest.approx(10 * ratio)


def test_nothing_is_told_of_seconds_where_nothing_was_timed(monkeypatch):
    monkeypatch.setattr(model_list, "is_fetched", lambda name: False)
    assert model_list.seconds_of_an_answer(find("qwen3-0.6b")) is None
    assert "s per answer here" not in lorewright("models").out


def test_what_does_not_fit_is_told(monkeypatch, one_is_timed):
    monkeypatch.setattr(model_list.psutil, "virtual_memory", lambda: SimpleNamespace(total=8e9))
    shown = " ".join(lorewright("models").out.split())
    assert "needs about 19.7 GB, too much for this machine" in shown
    assert "needs about 1.2 GB; about 10 s per answer here" in shown


@pytest.mark.parametrize(
    ("here", "seconds", "online", "best"),
    [
        (["0.5b"], 1.0, False, "qwen2.5-coder-0.5b-instruct"),  # quick enough for larger ones, but none can be had
        (["0.5b", "1.5b"], 1.0, False, "qwen2.5-coder-1.5b-instruct"),
        (["0.5b", "1.5b"], 4.0, False, "qwen2.5-coder-0.5b-instruct"),  # the larger would take half a minute
        (["0.5b"], 1.0, True, "qwen3-1.7b"),
        (["0.5b"], 0.2, True, "qwen3-8b"),
        ([], 1.0, True, "qwen2.5-coder-0.5b-instruct"),  # nothing was timed
    ],
)
def test_a_new_domain_gets_the_largest_that_is_quick_and_can_be_had(here, seconds, online, best, monkeypatch, tmp_path):
    names = [f"qwen2.5-coder-{size}-instruct" for size in here]
    choice = Choice("openvino", "measured", {"transformers": 99.0, "openvino": seconds})
    monkeypatch.setattr(model_list, "is_fetched", names.__contains__)
    monkeypatch.setattr(model_list, "known_choice", lambda name: choice if "0.5b" in name else None)
    monkeypatch.setattr(model_list, "hub_is_reachable", lambda: online)
    monkeypatch.setattr(model_list.psutil, "virtual_memory", lambda: SimpleNamespace(total=32e9))
    monkeypatch.setattr(model_list.shutil, "which", lambda name: None)
    made = lorewright("new", tmp_path / "shop")
    assert f"The chat model is {best};" in made.out
    assert Domain.open(tmp_path / "shop").settings.base_model == best
    assert lorewright("new", tmp_path / "asked", "--base-model", "smollm2-135m-instruct").status == 0
    assert Domain.open(tmp_path / "asked").settings.base_model == "smollm2-135m-instruct"


@pytest.mark.parametrize(("memory", "best"), [(0, "0.5b"), (6e9, "qwen3-1.7b"), (80e9, "qwen3-8b")])
def test_on_a_gpu_its_memory_decides(memory, best, monkeypatch):
    monkeypatch.setattr(model_list, "gpu_memory", lambda: memory)
    monkeypatch.setattr(model_list.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(model_list, "known_choice", lambda name: None)
    monkeypatch.setattr(model_list, "hub_is_reachable", lambda: True)
    assert best in model_list.best_chat_model().name


def test_every_model_says_its_size_and_context():
    shown = " ".join(lorewright("models").out.split())
    for entry in CATALOGUE.values():
        assert f"{entry.name}: {entry.kind}, {entry.licence}" in shown
        assert f"context of {entry.context_length:,} tokens" in shown
