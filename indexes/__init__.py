"""Turns a folder of documents into an index of passages that can be searched.

SQLite stores the documents, passages, full-text rows and vectors. FAISS holds a cache of the vectors, which can be lost
at any time. The names that other packages need are exported here. Importing this package does not import torch or
FAISS; the first embedding or search loads them. The first page fetch loads ``web.py``.
"""

from typing import TYPE_CHECKING

from indexes.added_texts import GivenText
from indexes.definitions import asked_term
from indexes.errors import IndexingError
from indexes.evidence import Evidence
from indexes.filters import Filter
from indexes.index import Index
from indexes.language import language_of
from indexes.passages import Passage
from indexes.proper_names import names_in
from indexes.search_words import asked_words, words_of
from indexes.sentences import sentences_of
from indexes.update import UpdateReport

if TYPE_CHECKING:
    from indexes.web import fetch_page

__all__ = [
    "Evidence",
    "Filter",
    "GivenText",
    "Index",
    "IndexingError",
    "Passage",
    "UpdateReport",
    "asked_term",
    "asked_words",
    "fetch_page",
    "language_of",
    "names_in",
    "sentences_of",
    "words_of",
]


def __getattr__(name: str) -> object:
    if name == "fetch_page":
        from indexes.web import fetch_page

        return fetch_page
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
