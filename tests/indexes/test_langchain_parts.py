"""The LangChain integration: LangChain's own test suites, and tests that they lack."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from index_samples import TEA, check_tables, make_domain
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

from base_models.embedding import Embedder
from domain import DomainError
from indexes import Filter, Index, IndexingError
from indexes.langchain_parts import PassageRetriever, PassageStore


class TestPassageStore(VectorStoreIntegrationTests):
    """The langchain-tests suite for vector stores, with its embeddings of six random numbers."""

    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> PassageStore:
        return PassageStore(make_domain(tmp_path / "store", {}), self.get_embeddings())


class TestPassageStoreWithARealEmbedder(VectorStoreIntegrationTests):
    """The same suite with a real embedder and the domain's default search mode."""

    @pytest.fixture
    def vectorstore(self, tmp_path: Path, minilm: Embedder) -> PassageStore:
        return PassageStore(make_domain(tmp_path / "store", {}, embedder="all-minilm-l6-v2"), minilm)


class TestPassageRetriever(RetrieversIntegrationTests):
    """The langchain-tests suite for retrievers."""

    @pytest.fixture(autouse=True)
    def tea(self, tmp_path: Path, minilm: Embedder) -> None:
        self.index = Index.open(make_domain(tmp_path / "tea", TEA, embedder="all-minilm-l6-v2"), minilm)
        self.index.update()

    @property
    def retriever_constructor(self) -> type[PassageRetriever]:
        return PassageRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"index": self.index}

    @property
    def retriever_query_example(self) -> str:
        return "water for green tea"


@pytest.fixture
def store(tmp_path: Path, minilm: Embedder) -> PassageStore:
    domain = make_domain(tmp_path / "tea", TEA, embedder="all-minilm-l6-v2")
    store = PassageStore(domain, minilm)
    store.index.update()
    return store


def test_files_and_added_texts_are_found_together_and_an_update_leaves_the_texts(store: PassageStore) -> None:
    store.add_documents([Document("Oolong tea is half oxidised.", id="oolong", metadata={"source": "shop"})])
    found = store.similarity_search("oolong tea water", k=10)
    assert {document.metadata.get("document") for document in found} >= {"en/green.md", "en/black.md", None}
    assert store.index.update().unchanged == sorted(TEA)
    assert store.similarity_search("oolong", k=1)[0].id == "oolong"
    assert store.index.update(rebuild=True).passages == 7
    assert store.similarity_search("oolong", k=1)[0].metadata == {"source": "shop"}
    check_tables(store.index)


def test_a_long_text_is_searched_in_parts_and_returned_whole(store: PassageStore) -> None:
    long = "\n\n".join(
        [f"Paragraph {n}. " + "Filler about nothing. " * 30 for n in range(20)] + ["紫砂壶要用文火慢慢养。"]
    )
    store.add_texts([long], ids=["long"])
    assert store.similarity_search("紫砂壶要用文火慢慢养", k=1)[0] == Document(id="long", page_content=long)
    assert [document.id for document in store.similarity_search("filler about nothing", k=3)].count("long") == 1


def test_texts_that_say_the_same_are_all_returned(store: PassageStore) -> None:
    store.add_texts(["The kettle is red."] * 3, [{"n": n} for n in range(3)], ids=["a", "b", "c"])
    assert [document.id for document in store.similarity_search("red kettle", k=3)] == ["a", "b", "c"]
    store.delete(["a"])
    assert {document.id for document in store.similarity_search("red kettle", k=2)} == {"b", "c"}
    check_tables(store.index)


def test_metadata_and_folders_filter(store: PassageStore) -> None:
    texts = ["Kettle one.", "Kettle two.", "Kettle three."]
    store.add_texts(texts, [{"shop": "北京", "n": 1}, {"shop": "北京", "n": 2.5}, {"open": True}], ids=["1", "2", "3"])
    for wanted, ids in (
        ({"shop": "北京"}, {"1", "2"}),
        ({"n": 2.5}, {"2"}),
        ({"open": True}, {"3"}),
        ({"n": 3}, set()),
    ):
        assert {document.id for document in store.similarity_search("kettle", k=9, filter=wanted)} == ids
    in_zh = store.similarity_search("tea water", k=9, among=Filter(folder="zh"))
    assert {document.metadata["document"] for document in in_zh} == {"zh/longjing.md", "zh/puer.md"}


def test_by_vector_and_by_marginal_relevance(store: PassageStore) -> None:
    store.add_texts(["Black tea wants boiling water."], ids=["twin"])
    vector = store.embeddings.embed_query("Black tea wants boiling water.")
    nearest = store.similarity_search_by_vector(vector, k=3)
    assert [nearest[0].id, nearest[1].metadata["document"]] == ["twin", "en/black.md"]
    diverse = store.max_marginal_relevance_search_by_vector(vector, k=3, lambda_mult=0.1)
    assert diverse[0] == nearest[0]
    assert diverse[1].metadata.get("document") != "en/black.md"
    assert len(store.max_marginal_relevance_search("black tea", k=3)) == 3
    scores = [score for _, score in store.similarity_search_with_relevance_scores("black tea", k=3)]
    assert all(0 <= score <= 1 for score in scores)


def test_langchains_index_keeps_the_store_in_step_with_a_source(store: PassageStore) -> None:
    records = InMemoryRecordManager("tea")
    records.create_schema()
    notes = [Document(f"Note {n} on kettles.", metadata={"source": f"s{n}"}) for n in range(5)]

    def run(documents: list[Document]) -> dict[str, Any]:
        return dict(index(documents, records, store, cleanup="full", source_id_key="source", key_encoder="sha256"))

    assert run(notes)["num_added"] == 5
    assert run(notes)["num_skipped"] == 5
    changed = [*notes[1:], Document("Note 0 on cups.", metadata={"source": "s0"})]
    assert (run(changed)["num_added"], len(store.similarity_search("note", k=20, filter={"source": "s0"}))) == (1, 1)
    assert run([])["num_deleted"] == 5
    assert store.index.documents() == sorted(TEA)


def test_from_texts_makes_the_domain_and_needs_its_folder(tmp_path: Path) -> None:
    embeddings = VectorStoreIntegrationTests.get_embeddings()
    store = PassageStore.from_texts(["foo", "bar"], embeddings, ids=["1", "2"], domain=tmp_path / "new")
    assert [document.id for document in store.similarity_search("foo", k=1)] == ["1"]
    assert PassageStore(tmp_path / "new", embeddings).get_by_ids(["2"])[0].page_content == "bar"
    with pytest.raises(ValueError, match="pass the domain folder"):
        PassageStore.from_texts(["foo"], embeddings)


def test_a_store_of_no_domain_is_refused_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(DomainError, match="is not a folder; create a domain with: lorewright new"):
        PassageStore(tmp_path / "nope", VectorStoreIntegrationTests.get_embeddings())
    assert list(tmp_path.iterdir()) == []


def test_relevance_by_words_alone_tells_shared_words_from_none(tmp_path: Path) -> None:
    store = PassageStore(make_domain(tmp_path / "tea", {}), VectorStoreIntegrationTests.get_embeddings(), "full_text")
    store.add_texts(["Oolong is half oxidised.", "Oolong and green tea.", "Kettles are red."], ids=["a", "b", "c"])
    relevance = {d.id: score for d, score in store.similarity_search_with_relevance_scores("half oolong", k=3)}
    assert 1 > relevance["a"] > relevance["b"] > 0
    threshold = {"score_threshold": (relevance["a"] + relevance["b"]) / 2}
    retriever = store.as_retriever(search_type="similarity_score_threshold", search_kwargs=threshold)
    assert [document.id for document in retriever.invoke("half oolong")] == ["a"]


def test_what_is_not_there_is_left_out_and_deleted_without_complaint(store: PassageStore) -> None:
    store.add_texts(["The kettle is red."], ids=["kettle"])
    assert [document.id for document in store.get_by_ids(["\ud800", "kettle", "nope"])] == ["kettle"]
    assert store.delete(["\ud800", "nope"])
    with pytest.raises(IndexingError, match=r"among must be a Filter, not \{'language': 'en'\}"):
        store.similarity_search("kettle", among={"language": "en"}, filter={"a": 1})


def test_other_embeddings_are_refused_by_an_index_of_these(tmp_path: Path, minilm: Embedder) -> None:
    PassageStore.from_texts(["foo"], VectorStoreIntegrationTests.get_embeddings(), domain=tmp_path / "new")
    with pytest.raises(IndexingError, match="built with the embedder DeterministicFakeEmbedding"):
        PassageStore(tmp_path / "new", minilm).similarity_search("foo")


@pytest.mark.parametrize("text", ["half \ud800 a character", "x"])
def test_what_cannot_be_kept_is_refused_before_anything_is_stored(store: PassageStore, text: str) -> None:
    metadata: list[dict[str, Any]] = [{}, {"not JSON": object()}] if text == "x" else [{}, {}]
    with pytest.raises(IndexingError, match=r"cannot be written as JSON|is empty or contains a lone surrogate"):
        store.add_texts(["good", text], metadata, ids=["good", "bad"])
    assert store.get_by_ids(["good", "bad"]) == []


def test_a_retriever_brings_places_and_neighbours(store: PassageStore) -> None:
    plain = PassageRetriever(index=store.index, k=1).invoke("冲泡龙井的水温")[0]
    assert (plain.metadata["document"], plain.metadata["place"]) == ("zh/longjing.md", "龙井 › 水温")
    around = PassageRetriever(index=store.index, k=1, neighbours=1).invoke("冲泡龙井的水温")[0].page_content
    assert plain.page_content in around
    assert "龙井产于浙江" in around
    only = PassageRetriever(index=store.index, k=9, among=Filter(language="en")).invoke("tea")
    assert {document.metadata["document"] for document in only} == {"en/green.md", "en/black.md"}


def test_a_retriever_brings_the_metadata_of_a_text_that_was_added(store: PassageStore) -> None:
    store.add_texts(["Oolong is half oxidised."], [{"by": "Anna"}], ids=["note"])
    found = PassageRetriever(index=store.index, k=1).invoke("oolong oxidised")[0]
    assert (found.metadata["by"], found.metadata["document"]) == ("Anna", "note")
    assert type(found.metadata["score"]) is float


def test_asynchronous_searches_at_once(store: PassageStore) -> None:
    async def ask() -> list[list[Document]]:
        return await asyncio.gather(*(store.asimilarity_search(f"tea {n}", k=2) for n in range(8)))

    assert all(len(found) == 2 for found in asyncio.run(ask()))
