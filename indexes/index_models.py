"""Loads the models of one index on first use, and computes the settings that an index depends on."""

import threading
from typing import TYPE_CHECKING

from domain import Domain
from indexes.dictionary import Dictionary, dictionary_of
from indexes.ingest import Tools
from indexes.search_words import SEGMENTER_VERSION
from indexes.splitting import SPLITTER_VERSION
from indexes.storage import BuiltWith

if TYPE_CHECKING:
    from base_models.embedding import Embedder
    from base_models.reranking import Reranker


class Models:
    """The embedder and reranker of a domain, or those passed in; may be shared between threads."""

    def __init__(self, domain: Domain, embedder: "Embedder | None", reranker: "Reranker | None") -> None:
        self._settings = domain.settings
        self._read_dictionary = domain.read_dictionary
        self._given = self._embedder = embedder
        self._reranker = reranker
        self._lock = threading.Lock()

    def embedder(self) -> "Embedder":
        from base_models import load_embedder

        with self._lock:
            if self._embedder is None:
                self._embedder = load_embedder(self._settings.embedder)
            return self._embedder

    def reranker(self) -> "Reranker | None":
        """The reranker, or None if the domain has none."""
        from base_models import load_reranker

        with self._lock:
            if self._reranker is None and (name := self._settings.retrieval.reranker):
                self._reranker = load_reranker(name)
            return self._reranker

    def close(self) -> None:
        """Release the embedder, unless it was passed in; a later call loads it again."""
        self._embedder = self._given

    def dictionary(self) -> Dictionary:
        """The current custom dictionary of the domain."""
        return dictionary_of(self._read_dictionary())

    def tools(self) -> Tools:
        """The settings that an index built now depends on; loads no model."""
        from base_models import fingerprint

        dictionary = self.dictionary()
        built_with = BuiltWith(
            embedder=self._given.name if self._given else self._settings.embedder,
            fingerprint=self._given.fingerprint if self._given else fingerprint(self._settings.embedder),
            splitter=SPLITTER_VERSION,
            segmenter=SEGMENTER_VERSION,
            passage_tokens=self._settings.retrieval.passage_tokens,
            dictionary=dictionary.fingerprint,
        )
        return Tools(built_with, dictionary, self.embedder)
