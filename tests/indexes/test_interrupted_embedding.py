"""An interrupted embedding of a book continues where it stopped, and leaves nothing if the book is deleted."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_samples import check_tables, make_domain, put
from langchain_core.embeddings import DeterministicFakeEmbedding

import indexes.ingest
from domain import Domain
from indexes import Index, IndexingError
from indexes.langchain_embeddings import EmbedderOfLangChain

SLICE = 4
BOOK = "\n\n".join(f"# Chapter {number}\n\nSentence {number} of the book." for number in range(10))


class Stopping(EmbedderOfLangChain):
    """An embedder that records what it embeds, and runs a function when it is called too often."""

    def __init__(self, calls: int, stop: Callable[[], object], size: int = 16) -> None:
        self.calls, self.stop, self.embedded = calls, stop, []
        super().__init__(DeterministicFakeEmbedding(size=size))

    def encode_passages(self, texts: Any, progress: Any = None) -> np.ndarray:
        if not self.calls:
            self.stop()
        self.calls -= 1
        self.embedded += texts
        return super().encode_passages(texts, progress)


def interrupt() -> None:
    raise KeyboardInterrupt


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Domain:
    monkeypatch.setattr(indexes.ingest, "SLICE", SLICE)
    return make_domain(tmp_path / "tea", {"book.md": BOOK})


def never_stopping(size: int = 16) -> Stopping:
    return Stopping(1000, interrupt, size)


def tables(domain: Domain) -> set[str]:
    with Index.open(domain, never_stopping())._storage.reading() as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def content(domain: Domain) -> bytes:
    return b"".join(path.read_bytes() for path in domain.index.iterdir())


def vector(domain: Domain, of: str) -> bytes:
    return never_stopping().encode_passages([of])[0].tobytes()


FIRST = "Chapter 0\nSentence 0 of the book."


@pytest.mark.parametrize("rebuild", [False, True])
def test_an_interrupted_book_is_gone_on_with(domain: Domain, rebuild: bool) -> None:
    stopping = Stopping(1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        Index.open(domain, stopping).update(rebuild)
    assert len(stopping.embedded) == SLICE
    after = never_stopping()
    told = []
    index = Index.open(domain, after)
    assert index.update(rebuild, progress=lambda *progress: told.append(progress[0])).added == ["book.md"]
    assert len(after.embedded) == 10 - SLICE
    assert not {*after.embedded} & {*stopping.embedded}
    assert told == sorted(told)
    assert told[-1] == len(BOOK)
    assert all(index.search(text.partition("\n")[2], 1, "full_text") for text in stopping.embedded)
    check_tables(index)
    with index._storage.reading() as connection:
        for text in stopping.embedded:
            assert (vector(domain, text),) in connection.execute("SELECT vector FROM vectors").fetchall()
    assert "unstored" not in tables(domain)


def test_a_book_whose_embedding_was_killed_is_gone_on_with(domain: Domain) -> None:
    code = (
        "import sys, indexes.ingest, test_interrupted_embedding as tests\nfrom indexes import Index\n"
        "indexes.ingest.SLICE = tests.SLICE\n"
        "Index.open(sys.argv[1], tests.Stopping(2, tests.killed)).update()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.run([sys.executable, "-c", code, str(domain.path)], env=environment, capture_output=True)
    assert process.returncode == -signal.SIGKILL, process.stderr[-2000:]
    after = never_stopping()
    assert Index.open(domain, after).update().added == ["book.md"]
    assert len(after.embedded) == 10 - 2 * SLICE
    check_tables(Index.open(domain, after))


def test_of_a_book_that_is_taken_away_no_vector_stays(domain: Domain) -> None:
    with pytest.raises(KeyboardInterrupt):
        Index.open(domain, Stopping(1, interrupt)).update()
    assert vector(domain, FIRST) in content(domain)
    (domain.documents / "book.md").unlink()
    with pytest.raises(IndexingError, match="contains no documents"):
        Index.open(domain, never_stopping()).update()
    assert vector(domain, FIRST) not in content(domain)
    put(domain, "book.md", BOOK)
    with pytest.raises(KeyboardInterrupt):
        Index.open(domain, Stopping(1, interrupt)).update()
    assert vector(domain, FIRST) in content(domain)
    (domain.documents / "book.md").unlink()
    put(domain, "other.md", "Something else.")
    Index.open(domain, never_stopping()).update()
    assert vector(domain, FIRST) not in content(domain)
    assert "unstored" not in tables(domain)


def test_vectors_of_another_embedder_are_not_gone_on_with(domain: Domain) -> None:
    with pytest.raises(KeyboardInterrupt):
        Index.open(domain, Stopping(1, interrupt)).update()
    other = never_stopping(size=8)
    Index.open(domain, other).update()
    assert len(other.embedded) == 10
