"""Computes features that show whether passages answer a question; the refusal decision uses them.

The passage nearest in meaning is also near when it covers the same topic but does not answer. The other features look
closer: how near the nearest *sentences* are, how many of the question's words one passage contains, and whether a name
in the question is missing from all passages.
"""

import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from indexes.definitions import defines
from indexes.dictionary import Dictionary
from indexes.full_text import AskedWord, look_up, spaced, weigh
from indexes.passages import Passage
from indexes.proper_names import missing_name
from indexes.search_words import asked_words, is_named_place, words_of
from indexes.sentences import sentences_of
from indexes.storage import read_built_with

SENTENCES = 3
"""Number of nearest sentences that are averaged, because an answer often spans several sentences."""

LATER_PASSAGE = 0.02
"""Penalty per rank for sentences of later passages. The best of 0, 0.01 and 0.02 on training questions of the sample
(``benchmarks/quotes.py``)."""

FAR_SENTENCE = 0.06
"""Maximum cosine difference of a key sentence and the nearest one. On the same questions it kept the correct answers,
with 2.8 sentences instead of three."""

DEFINITION = 0.06
"""Bonus to the cosine of a sentence that defines the term asked for ("What is DPO?"). Chosen, like FAR_SENTENCE."""

FEWEST_PASSAGES = 300
"""Minimum passage count used for word rarity, which a smaller index cannot estimate."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Evidence:
    """How well some passages match one question."""

    FEATURES: ClassVar = ("dense", "sentences", "best_sentence", "coverage", "bm25", "missing_name")
    """The fields that the refusal model may use."""

    dense: float
    """Cosine of the question and the nearest passage."""
    sentences: float
    """Mean cosine of the question and the :data:`SENTENCES` nearest sentences of the passages."""
    best_sentence: float
    """Cosine of the question and the nearest sentence: the feature that differs least between domains."""
    coverage: float
    """Share of the question's content words that the best passage contains, weighted by rarity; 0 to 1."""
    bm25: float
    """The highest BM25 score of the passages."""
    missing_name: float
    """Rarity of the rarest name in the question that no passage contains, 0 to 1; 0 if all names are found."""

    holds_place: bool = False
    """Whether a passage contains a day or clause that the question names (第65条, 4 August). It is not a feature,
    because few questions have one."""

    def features(self) -> tuple[float, ...]:
        """The values of :attr:`FEATURES`, in that order."""
        return tuple(getattr(self, name) for name in self.FEATURES)


_MARKER = re.compile(r"^(?:[-*•]|\d{1,3}[.)、])\s+")
"""The marker of a list item, removed because its number would count as a word."""
_RULE = re.compile(r"\|[\s:|-]+\|$")
"""The line below the header of a Markdown table."""


def evidence(
    connection: sqlite3.Connection,
    question: str,
    vector: Vectors,
    passages: Sequence[Passage],
    sentences: Mapping[str, Vectors],
    dictionary: Dictionary,
) -> Evidence:
    """Compute the features of one question.

    ``vector`` [d] is the question vector; ``sentences`` maps passage text to sentence vectors [n, d]. Without passages
    all features are 0.
    """
    if not passages:
        return Evidence(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    near = np.sort(np.concatenate([sentences[passage.text] for passage in passages]) @ vector)[-SENTENCES:]
    asked = look_up(connection, asked_words(question, dictionary))
    ids = [passage.id for passage in passages]
    kept = dict(connection.execute(f"SELECT id, coalesce(same_as, id) FROM passages WHERE id IN ({_listed(ids)})"))
    return Evidence(
        dense=max(passage.dense_score for passage in passages),
        sentences=float(near.mean()),
        best_sentence=float(near[-1]),
        coverage=coverage(connection, asked, list(kept.values())),
        bm25=float(weigh(connection, asked, list(kept.values())).bm25.max()) if kept else 0.0,
        missing_name=missing_name(connection, question, passages, _passage_count(connection)),
        holds_place=any(
            coverage(connection, [word], list(kept.values())) > 0 for word in asked if is_named_place(word.word)
        ),
    )


def _listed(ids: Sequence[int]) -> str:
    return ",".join(str(int(id_)) for id_ in ids)


def coverage(connection: sqlite3.Connection, asked: Sequence[AskedWord], kept: Sequence[int]) -> float:
    """Share of the question's content words that the best of the passages ``kept`` contains, 0 to 1.

    A word in n of N passages has the weight log((N + 1) / (n + 0.5)), an inverse document frequency as in BM25. A word
    that occurs in no passage of the index has the highest weight; it separates questions that the documents cannot
    answer from those that only use other words.
    """
    total = _passage_count(connection)
    rows = connection.execute(f"SELECT words FROM full_text WHERE rowid IN ({_listed(kept)})")
    held = [spaced(words) for (words,) in rows]
    rarity = {word: math.log((total + 1) / (word.passages + 0.5)) for word in asked}
    weight = sum(rarity.values())
    best = max((sum(rarity[word] for word in asked if word.occurrences(words)) for words in held), default=0.0)
    return best / weight if weight else 0.0


def key_sentences(
    vector: Vectors, passages: Sequence[Passage], sentences: Mapping[str, Vectors], count: int, term: str = ""
) -> list[tuple[str, Passage]]:
    """The sentences nearest to the question vector ``vector`` [d], in the order of the passages.

    Sentences that define ``term``, the term asked for, get the bonus :data:`DEFINITION`.
    """
    ranked = [
        (
            float(cosine) - LATER_PASSAGE * rank + DEFINITION * bool(term and defines(sentence, term)),
            rank,
            position,
            sentence,
        )
        for rank, passage in enumerate(passages)
        for position, (sentence, cosine) in enumerate(
            zip(telling_sentences(passage.text), sentences[passage.text] @ vector, strict=True)
        )
    ]
    best = sorted(ranked, key=lambda row: (-row[0], row[1:3]))[:count]
    best = [row for row in best if row[0] >= best[0][0] - FAR_SENTENCE]
    return [(sentence, passages[rank]) for _, rank, _, sentence in sorted(best, key=lambda row: row[1:3])]


def _passage_count(connection: sqlite3.Connection) -> int:
    return max(read_built_with(connection)["rows"], FEWEST_PASSAGES)


def embedded_sentences(text: str) -> list[str]:
    """The sentences of :func:`telling_sentences` as they are embedded: without list markers."""
    return [_MARKER.sub("", sentence) for sentence in telling_sentences(text)]


def telling_sentences(text: str) -> list[str]:
    """The sentences that contain a word, without table headers; the whole text if there are none."""
    sentences = [sentence.strip() for sentence in sentences_of(text)]
    below = [*sentences[1:], ""]
    said = [one for one, next_one in zip(sentences, below, strict=True) if words_of(one) and not _RULE.match(next_one)]
    return said or [text]
