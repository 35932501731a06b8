"""Tests of filters, of diversity, and of the passages next to a passage."""

import os
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from index_samples import TEA, make_domain, pdf_of, put

from base_models.embedding import Embedder
from indexes import Filter, Index, IndexingError, readers
from indexes.filters import TYPES
from indexes.search_request import Mode


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, minilm: Embedder) -> Index:
    domain = make_domain(tmp_path_factory.mktemp("filters") / "tea", TEA, embedder="all-minilm-l6-v2")
    put(domain, "manual.pdf", pdf_of("Tea water manual, page of green tea."))
    put(domain, "english/tea.md", "Tea water in a folder whose name begins like another one.")
    old = put(domain, "old.md", "Tea water as of old.").stat().st_mtime - timedelta(days=400).total_seconds()
    os.utime(domain.documents / "old.md", (old, old))
    index = Index.open(domain, minilm)
    index.update()
    return index


@pytest.mark.parametrize("mode", ["hybrid", "dense", "full_text"])
@pytest.mark.parametrize(
    ("among", "documents"),
    [
        (Filter(folder="en"), {"en/green.md", "en/black.md"}),
        (Filter(folder="/en/"), {"en/green.md", "en/black.md"}),
        (Filter(types=("pdf",)), {"manual.pdf"}),
        (Filter(types=("pdf", "markdown"), folder="english"), {"english/tea.md"}),
        (Filter(until=datetime.now().date() - timedelta(days=300)), {"old.md"}),
        (Filter(folder="nowhere"), set()),
        (Filter(metadata={"a": 1}), set()),
    ],
)
def test_only_the_chosen_documents_are_found(index: Index, mode: Mode, among: Filter, documents: set[str]) -> None:
    assert {p.document for p in index.search("green black tea water", k=20, mode=mode, among=among)} == documents


def test_folders_as_people_write_them(index: Index) -> None:
    for folder in ("./en", "documents/en", "en\\", "en/."):
        assert {p.document for p in index.search("tea water", k=20, among=Filter(folder=folder))} == {
            "en/green.md", "en/black.md"
        }  # fmt: skip


def test_a_filter_sees_every_document_that_says_the_same(tmp_path: Path, minilm: Embedder) -> None:
    same = "The kettle of the shop is red."
    index = Index.open(make_domain(tmp_path / "tea", {"a/one.txt": same, "b/two.txt": same}), minilm)
    index.update()
    for mode in ("hybrid", "dense", "full_text"):
        (found,) = index.search("red kettle", mode=mode, among=Filter(folder="b"))  # type: ignore[arg-type]
        assert (found.document, found.also) == ("b/two.txt", ())
        assert index.neighbours(found.id)[0].document == "b/two.txt"
        assert index.evidence(["red kettle"], [[found]])[0].coverage == 1.0


def test_pruning_never_hides_what_a_filter_leaves(
    tmp_path: Path, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {f"b/{n}.txt": f"Common words of note {n}." for n in range(30)} | {"a/rare.txt": "Rareword alone."}
    index = Index.open(make_domain(tmp_path / "tea", texts), minilm)
    index.update()
    monkeypatch.setattr("indexes.full_text.POSTINGS", 10)
    for weighed in (2000, 0):
        monkeypatch.setattr("indexes.search.WEIGHED", weighed)
        found = index.search("rareword common", k=5, mode="full_text", among=Filter(folder="b"))
        assert len(found) == 5
        assert len(index.search("rareword common", k=5, mode="full_text")) == 5
        assert index.search("rareword common", k=5, mode="full_text")[0].document == "a/rare.txt"
        assert len(index.search("common words", k=7, mode="full_text")) == 7


@pytest.mark.parametrize("day", [date.min, date.max])
def test_days_beyond_all_files(index: Index, day: date) -> None:
    assert len(index.search("tea", k=20, among=Filter(until=day))) == (0 if day == date.min else 9)
    assert len(index.search("tea", k=20, among=Filter(since=day))) == (9 if day == date.min else 0)


def test_by_language_and_date(index: Index) -> None:
    zh = {p.document for p in index.search("茶 tea", k=20, among=Filter(language="zh"))}
    assert zh == {"zh/longjing.md", "zh/puer.md"}
    today = datetime.now().date()
    assert "old.md" not in {
        p.document for p in index.search("tea", k=20, among=Filter(since=today - timedelta(days=2)))
    }
    assert index.search("tea", among=Filter(since=today + timedelta(days=1))) == []


def test_every_type_that_a_reader_gives_can_be_chosen() -> None:
    assert {*TYPES} == {*readers.READERS, *readers.CONVERTED}


def test_types_are_named_as_people_write_suffixes() -> None:
    written = ("PDF", ".md", "Txt", " .JPG", "htm", "py", "eml", "tsv")
    assert Filter(types=written).types == ("pdf", "markdown", "plain", "picture", "html", "code", "mail", "csv")
    assert Filter(types=TYPES).types == TYPES


def test_what_no_filter_can_be_is_an_error() -> None:
    with pytest.raises(IndexingError, match="'German' is not a supported language; use zh or en"):
        Filter(language="German")
    with pytest.raises(IndexingError, match='unknown document type "wri"; the types are: code, csv'):
        Filter(types=("pdf", "wri"))
    for types in ("pdf", (1,)):
        with pytest.raises(IndexingError, match=r"must be a tuple of names, .*; for example \('pdf', 'docx'\)"):
            Filter(types=types)  # type: ignore[arg-type]
    with pytest.raises(
        IndexingError, match=r"since of a filter must be a date, not '2020-01-01'; for example date\(2026"
    ):
        Filter(since="2020-01-01")  # type: ignore[arg-type]
    with pytest.raises(IndexingError, match="the metadata of a filter cannot be written as JSON"):
        Filter(metadata={"day": float("nan")})
    with pytest.raises(IndexingError, match="contains a lone surrogate"):
        Filter(folder="\ud800")


def test_diversity_puts_unlike_passages_before_like_ones(tmp_path: Path, minilm: Embedder) -> None:
    like = {f"{n}.txt": f"The kettle of shop number {n} boils green tea water at 80 degrees." for n in range(4)}
    domain = make_domain(tmp_path / "tea", like | {"other.txt": "Green tea comes from Hangzhou."})
    index = Index.open(domain, minilm)
    index.update()
    plain = [p.document for p in index.search("green tea water in the kettle", k=3)]
    assert "other.txt" not in plain
    diverse = [p.document for p in index.search("green tea water in the kettle", k=3, diversity=0.7)]
    assert diverse[:2] == [plain[0], "other.txt"]
    with pytest.raises(IndexingError, match="diversity is 2, but must be from 0 to 1"):
        index.search("tea", diversity=2)


def test_neighbours_are_those_of_the_document_in_order(index: Index) -> None:
    water = index.search("Use water of 80 degrees", k=1)[0]
    around = index.neighbours(water.id)
    assert [p.text for p in around] == [
        "Green tea is not oxidised.",
        "Use water of 80 degrees. Boiling water makes it bitter.",
    ]
    assert index.neighbours(water.id, 0, 5) == [around[1]]
    assert index.neighbours(water.id, 10**30, 10**30) == around
    with pytest.raises(IndexingError, match="Passage 1 is not in the index"):
        index.neighbours(1)
    with pytest.raises(IndexingError, match="number of neighbours is -1, but must not be negative"):
        index.neighbours(water.id, -1)


def test_arguments_that_mean_nothing_are_said_and_what_is_not_there_is_empty(index: Index) -> None:
    for search in (index.search, lambda query, among: index.same(index.search(query), among)):
        with pytest.raises(
            IndexingError, match=r"among must be a Filter, not \{'language': 'en'\}; for example among=Filter"
        ):
            search("tea", among={"language": "en"})
    with pytest.raises(IndexingError, match="diversity is high, but must be from 0 to 1"):
        index.search("tea", diversity="high")  # type: ignore[arg-type]
    with pytest.raises(IndexingError, match="a query vector must have 384 finite values"):
        index.search_by_vector("tea", 1)
    with pytest.raises(IndexingError, match="is not in the index"):
        index.text("\ud800")
    assert index.meta("\ud800") is None
    assert index.given(["\ud800"]) == []
    assert index.evidence(["tea"], [[]])[0].features() == (0.0,) * 6
