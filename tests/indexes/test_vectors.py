"""The vector cache with several processes and embedders: deleted vectors are removed and never return."""

from pathlib import Path
from typing import Any

import pytest
from index_samples import check_tables, make_domain, put
from langchain_core.embeddings import DeterministicFakeEmbedding

from domain import Domain
from indexes import GivenText, Index
from indexes.langchain_embeddings import EmbedderOfLangChain


def embedder(size: int = 16) -> Any:
    return EmbedderOfLangChain(DeterministicFakeEmbedding(size=size))


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    return make_domain(tmp_path / "notes", {})


def is_in_the_cache(domain: Domain, text: str) -> bool:
    return embedder().encode_passages([text])[0].tobytes() in (domain.index / "vectors.faiss").read_bytes()


def test_an_emptied_index_takes_texts_of_an_embedder_of_another_dimension(domain: Domain) -> None:
    first = Index.open(domain, embedder(16))
    first.add([GivenText("old", "An old text.")])
    first.search("old", 1, "dense")
    first.delete()
    second = Index.open(domain, embedder(32))
    second.add([GivenText("new", "A new text.")])
    for index in (second, Index.open(domain, embedder(32))):
        assert [passage.text for passage in index.search("new", 3, "dense")] == ["A new text."]
    check_tables(second)


def test_an_emptied_folder_is_followed_with_another_embedder(domain: Domain) -> None:
    put(domain, "a.txt", "The first text.")
    first = Index.open(domain, embedder(16))
    first.update()
    (domain.documents / "a.txt").unlink()
    first.update()
    put(domain, "b.txt", "The second text.")
    second = Index.open(domain, embedder(32))
    assert second.update().added == ["b.txt"]
    assert [passage.text for passage in second.search("second", 3, "dense")] == ["The second text."]


def test_what_is_deleted_leaves_a_cache_that_another_one_wrote(domain: Domain) -> None:
    first, second = Index.open(domain, embedder()), Index.open(domain, embedder())
    first.add([GivenText(f"n{n}", f"Note number {n}.") for n in range(200)])
    first.search("note", 1, "dense")  # writes the file
    second.add([GivenText(f"s{n}", f"Password {n} is swordfish.") for n in range(5)])
    second.search("note", 1, "dense")  # writes the file with vectors that the first never had in memory
    assert is_in_the_cache(domain, "Password 0 is swordfish.")
    first.delete([f"s{n}" for n in range(5)])
    assert not is_in_the_cache(domain, "Password 0 is swordfish.")
    assert is_in_the_cache(domain, "Note number 8.")


@pytest.mark.parametrize("rebuild", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_search_that_began_before_a_deletion_does_not_write_its_vectors_back(domain: Domain, rebuild: bool) -> None:
    put(domain, "secret.txt", "The password is swordfish.")
    put(domain, "other.txt", "Other words.")
    first, second = Index.open(domain, embedder()), Index.open(domain, embedder())
    first.update()
    with first._searching(["password"], "dense") as (connection, vectors):
        assert vectors is not None
        assert len(first._vectors.search(connection, vectors, 2)[0]) == 2
        (domain.documents / "secret.txt").unlink()
        second.update(rebuild=rebuild)
        (domain.index / "vectors.faiss").unlink()  # so that the search writes the file
    assert not is_in_the_cache(domain, "The password is swordfish.")
    assert is_in_the_cache(domain, "Other words.")
    second.search("password", 1, "dense")
    assert not is_in_the_cache(domain, "The password is swordfish.")
