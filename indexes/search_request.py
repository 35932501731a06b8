"""The parameters of a search, in one object that :class:`indexes.Index` hands to every stage of the search."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from indexes.errors import IndexingError
from indexes.filters import Filter, chosen_part

Mode = Literal["hybrid", "dense", "full_text"]

MOST_PASSAGES = 10_000
"""Maximum ``k`` of a search."""


@dataclass(frozen=True)
class SearchRequest:
    """What a search returns, and how it ranks; the same for all questions of a call.

    Raises :class:`IndexingError` if a value is out of range.
    """

    k: int
    """Number of passages for each question, from 1 to :data:`MOST_PASSAGES`. Required."""
    mode: Mode = "hybrid"
    """Search method: "dense" (vectors only), "full_text" (words only, loads no model) or "hybrid" (both).

    The domain's ``retrieval.dense_weight`` weights the two scores of hybrid search. Default: "hybrid".
    """
    among: Filter = field(default_factory=Filter)
    """Restricts the search to some documents. Default: all documents."""
    diversity: float = 0.0
    """From 0 to 1; higher values rank a passage lower if it resembles a better one. Default: 0, rank by score only."""
    rerank: bool = True
    """Whether to reorder the results. Default: yes.

    Hybrid search reorders them by the sentences nearest to the question. Then the domain's ``retrieval.reranker``
    reorders them, if it has one.
    """

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise IndexingError(f"unknown search mode {self.mode!r}; use one of: {', '.join(get_args(Mode))}.")
        if not (isinstance(self.k, int) and 1 <= self.k <= MOST_PASSAGES):
            raise IndexingError(f"k is {self.k}, but must be an integer from 1 to {MOST_PASSAGES:,}.")
        if not (isinstance(self.diversity, int | float) and 0 <= self.diversity <= 1):
            raise IndexingError(f"diversity is {self.diversity}, but must be from 0 to 1.")
        chosen_part(self.among)  # raises if it is not a filter
