"""Approximate search with inverted lists: recall, updates, and filters."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from index_samples import check_tables, make_domain
from langchain_tests.integration_tests.vectorstores import EMBEDDING_SIZE

from indexes import Filter, GivenText, Index
from indexes.approximate import build, ids_in, is_approximate, outgrown
from indexes.langchain_parts import PassageStore

DIMENSION = 32


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the limit of exact search to 500 passages."""
    monkeypatch.setattr("indexes.approximate.FLAT_LIMIT", 500)


def clustered(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors around a hundred centres, like those of texts on a hundred topics."""
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(100, DIMENSION))
    rows = centres[chance.integers(100, size=count)] + 0.4 * chance.normal(size=(count, DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_lists_find_nearly_all_of_the_nearest(few: None, caplog: pytest.LogCaptureFixture) -> None:
    vectors, questions = clustered(5000), clustered(100, seed=1)
    ids = np.arange(5000) * 3 + 10
    index, recall = build(ids, lambda part: vectors[(part - 10) // 3], lambda: clustered(200, seed=2))
    assert is_approximate(index)
    assert "Training the approximate index on 5,000 vectors" in caplog.text
    assert recall >= 0.975
    assert np.array_equal(ids_in(index), ids)
    exact = np.argsort(-(questions @ vectors.T), axis=1)[:, :10] * 3 + 10
    _, found = index.search(questions, 40)
    measured = np.mean([len(np.intersect1d(row, true)) / 10 for row, true in zip(found, exact, strict=True)])
    assert measured >= 0.95
    assert index.nprobe < index.nlist


def test_an_index_is_made_anew_when_it_is_outgrown(few: None) -> None:
    vectors = clustered(3000)
    small, recall = build(np.arange(400), lambda part: vectors[part], lambda: pytest.fail("it is exact"))
    assert (is_approximate(small), recall) == (False, 1.0)
    assert not outgrown(small, 500)
    assert outgrown(small, 501)
    large, _ = build(np.arange(3000), lambda part: vectors[part], lambda: clustered(200, seed=2))
    assert not outgrown(large, 6000)
    assert outgrown(large, 13_000)
    assert outgrown(large, 200)


class Numbers:
    """Embeds "text 17" by its number: near numbers have near vectors."""

    name, fingerprint, dimension, max_tokens = "numbers", "0" * 64, DIMENSION, 1000

    def encode_passages(self, texts: list[str], progress: object = None) -> np.ndarray:
        numbers = np.array([int(text.split()[-1]) for text in texts])
        angles = numbers[:, None] / 400 * np.arange(1, DIMENSION // 2 + 1) ** 0.5
        rows = np.hstack([np.sin(angles), np.cos(angles)])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    encode_queries = encode_passages

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


@pytest.fixture
def index(tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    monkeypatch.setattr("indexes.index.FLAT_LIMIT", 500)
    index = Index.open(make_domain(tmp_path / "numbers", {"a.txt": "text 0"}), Numbers())  # type: ignore[arg-type]
    index.add([GivenText(str(n), f"text {n}", {"odd": n % 2}) for n in range(1, 1200)])
    yield index
    check_tables(index)


def nearest(index: Index, number: int, among: Filter | None = None) -> list[int]:
    return [int(p.text.split()[-1]) for p in index.search(f"text {number}", 5, "dense", among=among)]


def test_a_large_index_says_how_it_is_searched_and_follows_every_change(index: Index) -> None:
    report = index.update()
    assert report.search.startswith("approximate: ")
    assert "recall@10 was" in report.search
    assert sorted(nearest(index, 600)) == [598, 599, 600, 601, 602]
    index.delete(["600"])
    assert 600 not in nearest(index, 600)
    index.add([GivenText("new", "text 600")])
    assert nearest(index, 600)[0] == 600
    fresh = Index.open(index.domain, Numbers())  # type: ignore[arg-type]
    assert nearest(fresh, 600)[0] == 600
    (index.domain.index / "vectors.faiss").unlink()
    assert nearest(Index.open(index.domain, Numbers()), 300)[0] == 300  # type: ignore[arg-type]


def test_filters_hold_in_lists_too(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (5000, 10):  # exact comparison; search in the lists
        monkeypatch.setattr("indexes.vectors.ONE_BY_ONE", limit)
        found = nearest(index, 600, Filter(metadata={"odd": 1}))
        assert all(number % 2 for number in found)
        assert sorted(found)[1:4] == [599, 601, 603] or sorted(found)[1:4] == [597, 599, 601]


def test_lists_that_replace_an_exact_cache_are_written_even_for_one_passage_more(
    tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.open(make_domain(tmp_path / "numbers", {"a.txt": "text 0"}), Numbers())  # type: ignore[arg-type]
    index.add([GivenText(str(n), f"text {n}") for n in range(1, 501)])
    nearest(index, 1)
    index.add([GivenText("one more", "text 501")])
    nearest(index, 1)
    made: list[int] = []
    monkeypatch.setattr("indexes.vectors.build", lambda ids, *_: made.append(len(ids)))
    fresh = Index.open(index.domain, Numbers())  # type: ignore[arg-type]
    assert nearest(fresh, 501)[0] == 501
    assert made == []


def test_a_part_far_from_the_question_is_found_in_full(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add([GivenText(f"far {n}", f"text {n}", {"far": True}) for n in range(5000, 5040)])
    monkeypatch.setattr("indexes.vectors.ONE_BY_ONE", 10)
    nearest(index, 1)
    index._vectors._index.nprobe = 1
    assert len(nearest(index, 10, Filter(metadata={"far": True}))) == 5
    assert len(index.search("text 10", 1239, "dense")) == 1239


def test_the_file_of_the_lists_is_read_again_and_not_written_for_one_passage_more(index: Index) -> None:
    nearest(index, 1)
    file = index.domain.index / "vectors.faiss"
    content = file.read_bytes()
    index.add([GivenText("more", "text 5000")])
    fresh = Index.open(index.domain, Numbers())  # type: ignore[arg-type]
    assert nearest(fresh, 5000)[0] == 5000
    assert file.read_bytes() == content  # 1 new of 1,200 is below SMALL_ADDITION
    index.delete(["700"])
    nearest(index, 1)
    assert file.read_bytes() != content  # a deleted vector is removed at once


def test_the_store_of_langchain_is_exact_while_it_is_small(tmp_path: Path) -> None:
    from langchain_core.embeddings import DeterministicFakeEmbedding

    store = PassageStore(make_domain(tmp_path / "s", {}), DeterministicFakeEmbedding(size=EMBEDDING_SIZE))
    store.add_texts([f"text {n}" for n in range(50)])
    with sqlite3.connect(store.index.domain.index / "passages.sqlite") as connection:
        assert store.index._vectors.describe(connection) == "exact (every vector is compared)"
