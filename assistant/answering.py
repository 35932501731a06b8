"""The one path of a question: what is searched for, what is found, whether to refuse, what the model is shown, and how
its answer is cited.

    found = find(index, refusal, [Asked("龙井用多少度的水泡?")])[0]     # passages, outcome
    messages = prompts.answering(found.asked, found.shown)             # what the model is asked
    finished = finish(index, found, text_of_the_model)                 # citations and checks

The chain, the agent, the evaluation and the rendering of training examples call these functions and search, refuse,
prompt and cite in no other way, so that what is trained and measured is what will be asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Literal

from assistant.checks import differs_in_negation, unknown_numbers
from assistant.citations import Citation, answer_sentences, cite, sources_of
from assistant.question_parts import searched_parts
from assistant.refusal import Outcome, Refusal
from domain import Question
from indexes import Index, Passage, words_of

HISTORY_MESSAGES = 6
"""How many earlier messages the model is shown; passages of earlier turns are not repeated. Chosen."""

SEARCHED = 20
"""How many passages are found. The first ``retrieval.k`` count; named titles, and the right passage for a training
example, are looked for among all."""

Language = Literal["", "en", "zh"]


@dataclass(frozen=True)
class Asked:
    """A question in its conversation."""

    question: str
    history: tuple[dict[str, str], ...] = ()
    """The latest earlier messages, questions and answers in turn, without citations."""
    language: Language = ""
    """The language to answer in; empty is the domain's, or that of the question."""

    @classmethod
    def of(cls, question: Question) -> "Asked":
        """A question of a question file."""
        return cls(question.text, recent(question.history))


@dataclass(frozen=True)
class Found:
    """What the index holds for a question, and what follows from it."""

    asked: Asked
    passages: list[Passage]
    """The passages that were found, the best first."""
    shown: list[Passage]
    """What the model is shown: those passages with what stands around them, in the order of the text."""
    outcome: Outcome
    """What to do: answer, answer and say that the evidence is weak, or refuse."""
    probability: float | None
    """How likely the passages answer the question; None where nothing is known about that."""


@dataclass(frozen=True)
class Finished:
    """The answer of a model with its proof."""

    text: str
    """The answer; ``[1]`` in it points to the citation of that number."""
    citations: list[Citation] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    """Sentences of the answer that no shown passage carries."""
    unknown_numbers: list[str] = field(default_factory=list)
    """Numbers of the answer that stand in no shown passage and not in the question."""
    negations: list[str] = field(default_factory=list)
    """Sentences of the answer that say "not" where their passage does not, or the reverse."""


def recent(messages: Sequence[dict[str, str]]) -> tuple[dict[str, str], ...]:
    """The latest questions and answers of a conversation, as many as the model is shown."""
    return tuple(message for message in messages if message["role"] != "system")[-HISTORY_MESSAGES:]


def search_query(asked: Asked) -> str:
    """What is searched for: the question, and the one before it, on which a follow-up leans."""
    before = [message["content"] for message in asked.history if message["role"] == "user"]
    return " ".join([*before[-1:], asked.question])


def search(index: Index, asked: Sequence[Asked]) -> list[list[Passage]]:
    """The :data:`SEARCHED` best passages for each question, the best first.

    A question in several parts is searched for as a whole and by its parts, and the results take turns. The opening of
    a page or section that the question names by its title comes first.
    """
    queries = [[search_query(one), *searched_parts(one.question)] for one in asked]
    found = iter(index.search_many([*chain.from_iterable(queries)], SEARCHED))
    ranked = [_in_turns([next(found) for _ in several]) for several in queries]
    return [
        _in_turns([[*index.openings(one.question, passages), *passages]])[:SEARCHED]
        for one, passages in zip(asked, ranked, strict=True)
    ]


def find(index: Index, refusal: Refusal, asked: Sequence[Asked]) -> list[Found]:
    """Search for questions and decide for each whether it is answered."""
    k = index.domain.settings.retrieval.k
    passages = [found[:k] for found in search(index, asked)]
    verdicts = refusal.judge([search_query(one) for one in asked], passages)
    return [
        Found(one, found, show(index, found), verdict.outcome, verdict.probability)
        for one, found, verdict in zip(asked, passages, verdicts, strict=True)
    ]


def show(index: Index, passages: Sequence[Passage]) -> list[Passage]:
    """What the model is shown of the passages found: with as much of what is around them as fits."""
    return index.context(passages, index.domain.settings.retrieval.context_tokens)


def finish(index: Index, found: Found, answer: str) -> Finished:
    """Give each sentence of an answer its source among the shown passages, and check its numbers and negations."""
    sentences = answer_sentences(answer)
    sources = sources_of(sentences, found.shown, index.likeness(sentences, found.shown))
    text, citations = cite(sentences, sources, found.shown)
    carried = [
        (sentence.strip(), found.shown[at]) for sentence, at in zip(sentences, sources, strict=True) if at is not None
    ]
    return Finished(
        text,
        citations,
        [
            said
            for sentence, at in zip(sentences, sources, strict=True)
            if at is None and words_of(said := sentence.strip())
        ],
        unknown_numbers("".join(sentences), found.asked.question, found.shown),
        [sentence for sentence, source in carried if differs_in_negation(sentence, source)],
    )


def _in_turns(rankings: Sequence[Sequence[Passage]]) -> list[Passage]:
    """The passages of several rankings, taken in turns, each once."""
    taken: dict[int, Passage] = {}
    for row in zip_longest(*rankings):
        for passage in row:
            if passage:
                taken.setdefault(passage.id, passage)
    return list(taken.values())
