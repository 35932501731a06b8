"""The index as a LangChain ``VectorStore`` and ``BaseRetriever``; ``langchain_embeddings.py`` has the embedders.

.. code-block:: python

    store = PassageStore("tea-shop")                     # the index that `lorewright index tea-shop` built
    store.add_documents([Document("Oolong is half oxidised.", id="note-1")])
    retriever = PassageRetriever(index=Index.open("tea-shop"), k=5)

An added text is searched together with the files of the folder, survives updates and rebuilds, and is returned whole
with its own metadata. Files are returned as passages, with their location as metadata. Asynchronous methods are
LangChain's defaults, which run the synchronous ones in a thread.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from pydantic import ConfigDict

from domain import Domain, create_domain
from indexes.added_texts import GivenText
from indexes.errors import IndexingError
from indexes.filters import Filter, chosen_part
from indexes.index import Index
from indexes.langchain_embeddings import EmbedderOfLangChain, PassageEmbeddings
from indexes.passages import Passage
from indexes.search_request import MOST_PASSAGES, Mode

if TYPE_CHECKING:
    from base_models.embedding import Embedder

HALF_RELEVANT = 5.0
"""BM25 score with relevance one half: about the score of one rare shared word."""


class PassageStore(VectorStore):
    """A domain's index as a vector store; :meth:`from_texts` creates the domain if it does not exist.

    ``embedding`` replaces the embedder of domain.toml: a LangChain ``Embeddings`` or an embedder of
    ``base_models.load_embedder``. Every search method takes ``among`` (a :class:`Filter`) and ``filter``, a mapping of
    metadata that a text must have. ``mode`` is as in :meth:`Index.search`.
    """

    def __init__(
        self, domain: str | Path | Domain, embedding: "Embeddings | Embedder | None" = None, mode: Mode = "hybrid"
    ) -> None:
        given: Any = EmbedderOfLangChain(embedding) if isinstance(embedding, Embeddings) else embedding
        self.index = Index.open(domain, given)
        self.mode: Mode = mode
        self._langchain = embedding if isinstance(embedding, Embeddings) else PassageEmbeddings(self.index)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict] | None = None,
        *,
        ids: list[str] | None = None,
        domain: str | Path | Domain = "",
        **kwargs: Any,
    ) -> Self:
        """Create a store with these texts in the folder ``domain``, which is required and is created if missing."""
        if not domain:
            raise ValueError("pass the domain folder to store the texts in: from_texts(..., domain='my-domain')")
        if not isinstance(domain, Domain) and not Path(domain).exists():
            domain = create_domain(domain)
        store = cls(domain, embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @property
    def embeddings(self) -> Embeddings:
        return self._langchain

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **_ignored: Any,
    ) -> list[str]:
        """Add texts, or replace those with these ids; return the ids, generated if not given."""
        listed = list(texts)
        chosen = [id_ or uuid.uuid4().hex for id_ in (ids or [None] * len(listed))]
        values = metadatas or [{}] * len(listed)
        self.index.add([GivenText(*each) for each in zip(chosen, listed, values, strict=True)])
        return chosen

    def delete(self, ids: list[str] | None = None, **_ignored: Any) -> bool:
        """Remove these texts, or all added texts if ``ids`` is None; files of the folder stay.

        Returns True even if there was no such text, because LangChain's indexing treats False as a failure.
        """
        if self.index.exists():
            self.index.delete(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The added texts with these ids, in their order, without missing ones."""
        return [_of_given(text) for text in self.index.given(ids)] if self.index.exists() else []

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> list[tuple[Document, float]]:
        """Documents with the score of their best passage; higher is better, comparable within one query only."""
        return [(document, passage.score) for document, passage in self._found(query, k, **kwargs)]

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Relevance is the cosine of query and passage, with negative values set to 0.

        The mode "full_text" has no cosine; its relevance is b / (b + 5) for a BM25 score b: 0 if no word is shared,
        about one half for one rare word, always below 1.
        """
        found = self._found(query, k, **kwargs)
        if self.mode == "full_text":
            return [(document, _of_bm25(passage.full_text_score)) for document, passage in found]
        return [(document, max(0.0, passage.dense_score)) for document, passage in found]

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self._found(embedding, k, **kwargs)]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """``lambda_mult`` 1 ranks by relevance only; ``fetch_k`` is ignored, there are always 50 or more candidates."""
        return [document for document, _ in self._found(query, k, diversity=1 - lambda_mult, **kwargs)]

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        return [document for document, _ in self._found(embedding, k, diversity=1 - lambda_mult, **kwargs)]

    def _found(
        self,
        query: str | list[float],
        k: int,
        diversity: float = 0.0,
        among: Filter | None = None,
        filter: Mapping[str, Any] | None = None,
        **_ignored: Any,
    ) -> list[tuple[Document, Passage]]:
        """The ``k`` best documents, each with its best passage; fetches more if passages share a document."""
        if not self.index.exists():
            return []
        part = chosen_part(among)
        if filter:
            part = replace(part, metadata={**part.metadata, **filter})
        wanted = k
        while True:
            if isinstance(query, str):
                passages = self.index.search(query, wanted, self.mode, part, diversity)
            else:
                passages = self.index.search_by_vector(query, wanted, part, diversity)
            same = self.index.same(passages, part)
            found: dict[tuple[bool, str], tuple[Passage, Passage]] = {}
            for passage in passages:
                for member in same.get(passage.id, []):
                    found.setdefault(
                        (member.given, member.document if member.given else str(member.id)), (member, passage)
                    )
            if len(found) >= k or len(passages) < wanted or wanted == MOST_PASSAGES:
                break
            wanted = min(2 * wanted, MOST_PASSAGES)
        best = list(found.values())[:k]
        given = {text.id: text for text in self.index.given([member.document for member, _ in best if member.given])}
        return [
            (_of_given(given[member.document]) if member.given else _of_file(member, passage), passage)
            for member, passage in best
            if not member.given or member.document in given  # it may have been deleted since
        ]


def _of_bm25(score: float) -> float:
    """Map BM25 to 0...1; increases with BM25."""
    return max(0.0, score) / (max(0.0, score) + HALF_RELEVANT)


class PassageRetriever(BaseRetriever):
    """Returns the best passages of an index as documents; their metadata hold the file and the location."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    index: Index
    k: int = 4
    mode: Mode = "hybrid"
    among: Filter = Filter()
    diversity: float = 0.0
    """0 to 1; higher values prefer passages that differ from each other."""
    neighbours: int = 0
    """Number of passages before and after each result that are joined with it into one text."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        if not query.strip():
            return []
        passages = self.index.search(query, k or self.k, self.mode, self.among, self.diversity)
        return [self._document(passage) for passage in passages]

    def _document(self, passage: Passage) -> Document:
        """Convert a passage; a passage of an added text also gets the metadata of that text."""
        document = _of_passage(passage, self._text_around(passage))
        if passage.given and (given := self.index.given([passage.document])):
            document.metadata = {**given[0].metadata, **document.metadata}
        return document

    def _text_around(self, passage: Passage) -> str:
        if not self.neighbours:
            return passage.text
        try:
            around = self.index.neighbours(passage.id, self.neighbours, self.neighbours)
            return self.index.text(passage.document, passage.given)[around[0].start : around[-1].end]
        except IndexingError:  # it was removed after the search
            return passage.text


def document_passages(index: Index, document: str) -> list[Document]:
    """All passages of a file as documents, in the order of the text, for chains that read a whole file."""
    return [_of_passage(passage, passage.text) for passage in index.passages_of(document)]


def _of_file(member: Passage, found: Passage) -> Document:
    """A passage of a file, with the scores of the matching passage that has the same text."""
    scores = {key: getattr(found, key) for key in ("score", "dense_score", "full_text_score")}
    return _of_passage(replace(member, **scores), member.text)


def _of_passage(passage: Passage, text: str) -> Document:
    place = {key: getattr(passage, key) for key in ("page", "slide", "sheet") if getattr(passage, key)}
    metadata = {
        "document": passage.document,
        "place": passage.place,
        "headings": list(passage.headings),
        **place,
        "line": passage.line,
        "start": passage.start,
        "end": passage.end,
        "also": list(passage.also),
        "score": passage.score,
        "dense_score": passage.dense_score,
        "full_text_score": passage.full_text_score,
    }
    return Document(id=f"passage-{passage.id}", page_content=text, metadata=metadata)


def _of_given(given: GivenText) -> Document:
    return Document(id=given.id, page_content=given.text, metadata=dict(given.metadata))
