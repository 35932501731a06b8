"""What `lorewright models` tells of each model."""

from types import SimpleNamespace

import pytest
from assistant_samples import lorewright

from assistant import model_list
from base_models import CATALOGUE, Choice, find


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
    assert "s an answer here" not in lorewright("models").out


def test_what_does_not_fit_is_told(monkeypatch, one_is_timed):
    monkeypatch.setattr(model_list.psutil, "virtual_memory", lambda: SimpleNamespace(total=8e9))
    shown = " ".join(lorewright("models").out.split())
    assert "needs about 19.7 GB, too much for this machine" in shown
    assert "needs about 1.2 GB; about 10 s an answer here" in shown


def test_every_model_says_its_size_and_context():
    shown = " ".join(lorewright("models").out.split())
    for entry in CATALOGUE.values():
        assert f"{entry.name}: {entry.kind}, {entry.licence}" in shown
        assert f"reads {entry.context_length:,} tokens" in shown
