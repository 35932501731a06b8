"""The number of threads that somebody asks for."""

import pytest

from base_models.processor import processor, threads


@pytest.mark.parametrize(
    ("said", "number"), [("3", 3), ("4,2", 4), (" 2 ", 2), ("0", None), ("", None), ("many", None), ("-1", None)]
)
def test_the_number_of_threads_is_the_outermost_one(monkeypatch, said: str, number: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads() == number


def test_without_the_variable_each_library_chooses(monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads() is None


def test_the_processor_has_a_name() -> None:
    assert processor().strip()
