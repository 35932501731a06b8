"""Added texts: stored unchanged, replaced and deleted for good, separate from files of the same name."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from index_samples import TEA, check_tables, make_domain, put
from langchain_core.embeddings import DeterministicFakeEmbedding

from indexes import Filter, GivenText, Index, IndexingError
from indexes.langchain_embeddings import EmbedderOfLangChain
from indexes.langchain_parts import PassageStore


def embedder() -> Any:
    return EmbedderOfLangChain(DeterministicFakeEmbedding(size=16))


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index.open(make_domain(tmp_path / "tea", TEA), embedder())


def in_files(index: Index, *traces: bytes) -> list[bytes]:
    content = b"".join(path.read_bytes() for path in index.domain.index.iterdir())
    return [trace for trace in traces if trace in content]


ODD = [
    *("%PDF-1.4 is the header of a PDF", "PK\x03\x04 begins an archive", "GIF89a", "ID3 is a decision tree algorithm"),
    *(
        "{\\rtf1 is RTF",
        "<html><body>Hi</body></html>",
        "line\r\nends\rkept",
        "\ufeffmark",
        "nul\0inside",
        "\x1b[31mred",
    ),
    *("- item\n- item", "Q: why?\n\nA: because."),
]


def test_every_text_comes_back_as_it_was_given(index: Index) -> None:
    index.add([GivenText(str(n), text) for n, text in enumerate(ODD)])
    assert [given.text for given in index.given([str(n) for n in range(len(ODD))])] == ODD
    for passage in index.search("why because item", k=20):
        assert index.text(passage.document, given=True)[passage.start : passage.end] == passage.text
    check_tables(index)


@pytest.mark.parametrize(
    "metadata",
    [
        {"n": 0.1 + 0.2},
        {"n": 1e20},
        {"n": 2**70},
        {"l": [1, "二"]},
        {"d": {"a": None}},
        {"s": "\0 \ud800 's"},
        {"b": True},
        {"none": None},
        {"键": "值"},
        {1: "x"},
    ],
)
def test_metadata_that_can_be_kept_are_found(index: Index, metadata: dict) -> None:
    index.add([GivenText("a", "A kettle.", metadata), GivenText("b", "A kettle too.", {"other": 1})])
    found = index.search("kettle", k=9, among=Filter(metadata={str(key): value for key, value in metadata.items()}))
    assert [passage.document for passage in found] == ["a"]


def test_metadata_of_another_type_are_other_metadata(index: Index) -> None:
    values = {"one": 1, "true": True, "float": 1.0, "text": "1", "list": [1], "true list": [True], "none": None}
    index.add([GivenText(name, f"A kettle of {name}.", {"v": value}) for name, value in values.items()])
    for name, value in values.items():
        found = index.search("kettle", k=9, among=Filter(metadata={"v": value}))
        assert [passage.document for passage in found] == [name]


def test_metadata_that_are_no_json_are_refused_and_harm_nobody(index: Index) -> None:
    index.add([GivenText("good", "A kettle.", {"n": 1})])
    with pytest.raises(IndexingError, match="the metadata of the text 'bad' cannot be written as JSON"):
        index.add([GivenText("bad", "Another.", {"n": float("nan")})])
    assert len(index.search("kettle", among=Filter(metadata={"n": 1}))) == 1


def test_what_is_replaced_leaves_the_files_at_once(index: Index) -> None:
    index.add([GivenText("x", "The password is swordfish.")])
    with sqlite3.connect(index.domain.index / "passages.sqlite") as connection:
        (vector,) = connection.execute("SELECT vector FROM vectors").fetchone()
    index.search("password")
    assert in_files(index, b"swordfish", vector) == [b"swordfish", vector]
    index.add([GivenText("x", "Something else.")])
    assert in_files(index, b"swordfish", vector) == []


def test_a_file_and_a_text_of_one_name_are_two_documents(index: Index) -> None:
    put(index.domain, "note", "A file about kangaroos.")
    index.update()
    index.add([GivenText("note", "A given text about koalas, longer than the file.")])
    for question, given in (("kangaroos", False), ("koalas", True)):
        found = index.search(question, k=1, mode="full_text")[0]
        assert (found.document, found.given) == ("note", given)
        assert index.text("note", given)[found.start : found.end] == found.text


def test_tenants_do_not_see_each_others_texts(tmp_path: Path) -> None:
    store = PassageStore(make_domain(tmp_path / "store", {}), DeterministicFakeEmbedding(size=16))
    for user in ("bob", "alice"):
        store.add_texts(["The kettle is red."], [{"user": user}], ids=[user])
    for user in ("bob", "alice"):
        assert [d.id for d in store.similarity_search("red kettle", filter={"user": user})] == [user]
        among = Filter(language="en")
        assert [d.id for d in store.similarity_search("red kettle", filter={"user": user}, among=among)] == [user]
    put(store.index.domain, "kettle.txt", "The kettle is red.")
    store.index.update()
    found = {document.id or "": document.metadata for document in store.similarity_search("red kettle")}
    assert {"bob", "alice"} < found.keys()
    (of_the_file,) = (metadata for metadata in found.values() if "document" in metadata)
    assert of_the_file["document"] == "kettle.txt"


def test_one_very_long_text_does_not_hide_the_others(tmp_path: Path) -> None:
    store = PassageStore(make_domain(tmp_path / "store", {}), DeterministicFakeEmbedding(size=16))
    long = "\n\n".join(f"Part {n}. " + "kettle water tea " * 80 for n in range(300))
    store.add_texts([long, "A short one."], ids=["long", "short"])
    assert {document.id for document in store.similarity_search("kettle", k=3)} == {"long", "short"}


def test_an_interrupted_rebuild_brings_no_deleted_text_back(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add([GivenText("x", "The password is swordfish."), GivenText("y", "Stays.")])

    def stop(done: int, total: int, document: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.update(rebuild=True, progress=stop)
    assert (index.domain.index / "rebuilding.sqlite").exists()
    with monkeypatch.context() as patched:  # killed before the deletion removed the unfinished rebuild
        patched.setattr("indexes.index.unfinished", lambda storage: type("Kept", (), {"erase": lambda self: None})())
        index.delete(["x"])
    index.update(rebuild=True)
    assert [given.id for given in index.given(["x", "y"])] == ["y"]
    assert in_files(index, b"swordfish") == []


def test_a_deletion_removes_what_an_interrupted_rebuild_left(index: Index) -> None:
    index.add([GivenText("x", "The password is swordfish.")])
    (index.domain.index / "rebuilding.sqlite").write_bytes(b"swordfish")
    index.delete(["x"])
    assert in_files(index, b"swordfish") == []


def test_a_rebuild_saves_given_texts_from_a_damaged_index_or_keeps_it_aside(index: Index) -> None:
    index.update()
    index.add([GivenText(str(n), f"Text number {n}.") for n in range(50)])
    file = index.domain.index / "passages.sqlite"
    with sqlite3.connect(file) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sayings'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    content = bytearray(file.read_bytes())
    content[(page - 1) * size : (page - 1) * size + 200] = os.urandom(200)
    file.write_bytes(content)
    report = index.update(rebuild=True)
    assert len(index.given([str(n) for n in range(50)])) == 50
    assert report.put_aside is None
    file.write_bytes(b"not a database at all" * 500)
    report = index.update(rebuild=True)
    assert report.put_aside == index.domain.index / "passages.damaged.sqlite"
    assert report.put_aside.read_bytes() == b"not a database at all" * 500
    assert index.documents() == sorted(TEA)


def test_an_older_file_that_is_put_back_never_mixes_with_the_cache(index: Index) -> None:
    index.update()
    index.add([GivenText("a", "A wombat."), GivenText("b", "An echidna.")])
    file = index.domain.index / "passages.sqlite"
    older = file.read_bytes()
    index.add([GivenText("c", "A kangaroo.")])
    index.search("kangaroo")
    index.delete(["b"])  # writes the cache
    file.write_bytes(older)
    put_back = Index.open(index.domain, embedder())
    put_back.add([GivenText("d", "A platypus.")])
    fresh = Index.open(index.domain, embedder())
    for text in ("A platypus.", "A wombat.", "An echidna."):
        for reader in (put_back, fresh, index):
            assert reader.search(text, 1, "dense")[0].text == text
    assert index.given(["c"]) == []


def test_ids_go_up_even_when_the_clock_goes_back(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.update()
    before = {passage.id for passage in index.search("tea 龙井", k=20)}
    monkeypatch.setattr("indexes.storage.time.time_ns", lambda: 1_000_000_000)
    index.update(rebuild=True)
    assert min(passage.id for passage in index.search("tea 龙井", k=20)) > max(before)
