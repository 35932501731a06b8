"""Sentence vectors are computed once, stored with the index, and deleted with their passage."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from index_samples import TEA, check_tables, make_domain

from base_models.embedding import Embedder
from domain import Domain
from indexes import Index
from indexes.migrations import FORMATS
from indexes.writer_lock import only_writer

QUESTION = "how warm should the water for green tea be?"


class Counting:
    """An embedder that records what it embeds."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.passages: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._embedder, name)

    def encode_passages(self, texts: Sequence[str], *more: object) -> np.ndarray:
        self.passages += texts
        return self._embedder.encode_passages(texts, *more)


@pytest.fixture
def tea(tmp_path: Path, minilm: Embedder) -> Domain:
    domain = make_domain(tmp_path / "tea", TEA, embedder="all-minilm-l6-v2")
    with Index.open(domain, minilm) as index:
        index.update()
    return domain


def stored(domain: Domain) -> dict[int, bytes]:
    with sqlite3.connect(domain.index / "passages.sqlite") as connection:
        return dict(connection.execute("SELECT passage_id, vectors FROM sentence_vectors"))


def opened(domain: Domain, minilm: Embedder) -> tuple[Index, Counting]:
    counting = Counting(minilm)
    return Index.open(domain, counting), counting


def test_the_second_process_embeds_no_sentence_again(tea: Domain, minilm: Embedder) -> None:
    first, embedded = opened(tea, minilm)
    found = first.search(QUESTION, k=3)
    assert embedded.passages
    assert stored(tea)
    again, embedded = opened(tea, minilm)
    assert again.search(QUESTION, k=3) == found
    assert again.evidence([QUESTION], [found]) == first.evidence([QUESTION], [found])
    assert embedded.passages == []
    check_tables(again)


def test_they_go_with_their_passage_and_no_trace_is_left(tea: Domain, minilm: Embedder) -> None:
    index, _ = opened(tea, minilm)
    gone = [passage for passage in index.search(QUESTION, k=6) if passage.document == "en/green.md"]
    kept = stored(tea)
    vectors = [kept[passage.id] for passage in gone]
    assert vectors
    (tea.documents / "en" / "green.md").unlink()
    index.update()
    assert not set(stored(tea)) & {passage.id for passage in gone}
    content = b"".join(path.read_bytes() for path in tea.index.iterdir())
    assert not any(vector[:64] in content for vector in vectors)


def test_a_search_that_saw_a_passage_deleted_since_does_not_bring_it_back(tea: Domain, minilm: Embedder) -> None:
    index, _ = opened(tea, minilm)
    with only_writer(tea.index / "writer.lock"):  # an update is running: the search does not write the file
        found = index.search(QUESTION, k=6)
    assert stored(tea) == {}
    (tea.documents / "en" / "green.md").unlink()
    with Index.open(tea, minilm) as other:
        other.update()
    index.search("龙井", k=2)
    gone = {passage.id for passage in found if passage.document == "en/green.md"}
    assert gone
    assert stored(tea)
    assert not gone & set(stored(tea))


def test_what_was_cut_otherwise_is_embedded_anew(
    tea: Domain, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tea, minilm)[0].search(QUESTION)
    monkeypatch.setattr("indexes.sentence_vectors.CUTTING", 999)
    index, embedded = opened(tea, minilm)
    index.search(QUESTION)
    assert embedded.passages


def test_an_index_of_the_format_before_is_brought_up_to_date(tea: Domain, minilm: Embedder) -> None:
    with sqlite3.connect(tea.index / "passages.sqlite") as connection:
        connection.execute("DROP TABLE sentence_vectors")
        connection.execute("PRAGMA user_version = 2")
    index, embedded = opened(tea, minilm)
    with pytest.raises(Exception, match=r"older format 2; migrate it with: lorewright index \S+$"):
        index.search(QUESTION)
    assert index.update().unchanged == sorted(TEA)
    assert embedded.passages == []
    assert index.search(QUESTION)
    with sqlite3.connect(tea.index / "passages.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(FORMATS),)
