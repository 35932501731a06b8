"""The answering pipeline: search, refusal, prompt passages, citations and checks.

    (found,) = find(index, refusal, [Asked("龙井用多少度的水泡?")])     # passages, outcome
    prompts.answering(found.asked, found.shown)                        # the prompt
    finish(index, found, [text])                                       # citations and checks of the model's answer

The chain, the agent, the evaluation and the training examples use only these functions to search, refuse, prompt and
cite, so that training and evaluation match inference.

A question with several parts is divided, and each part goes through the pipeline separately, because a small model that
is asked two things answers one. Training examples are not divided: it is unknown which sentences of a gold answer
belong to which part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from typing import Literal

from assistant.answering.checks import differs_in_negation, holds, is_supported, lacks_number, unknown_numbers
from assistant.answering.citations import Citation, Numbers, answer_sentences, sources_of
from assistant.answering.question_parts import last_part, leaning_on, leans, refers_back, searched_parts
from assistant.answering.refusal import Outcome, Refusal
from domain import Question
from indexes import Index, Passage, language_of, words_of

HISTORY_MESSAGES = 6
"""Number of earlier messages in the prompt; passages of earlier turns are not repeated. Chosen."""

SEARCHED = 20
"""Number of passages retrieved. The first ``retrieval.k`` are used; named titles, and the right passage of a training
example, are looked up in all of them."""

Language = Literal["", "en", "zh"]


@dataclass(frozen=True)
class Asked:
    """A question with its conversation."""

    question: str
    history: tuple[dict[str, str], ...] = ()
    """The latest earlier messages, questions and answers in turn, without citations."""
    language: Language = ""
    """The language to answer in; empty is the domain's setting, or the language of the question."""
    part: str = ""
    """The part of the question to answer; empty is the whole question."""
    alone: bool = False
    """Search without the previous question, even if this one looks like a follow-up."""

    @classmethod
    def of(cls, question: Question) -> "Asked":
        """Convert a question of a question file."""
        return cls(question.text, recent(question.history))


@dataclass(frozen=True)
class Found:
    """The search result of a question, and the decision based on it."""

    asked: Asked
    passages: list[Passage]
    """The retrieved passages, best first."""
    shown: list[Passage]
    """The passages for the prompt: the retrieved ones with the text around them, in document order."""
    outcome: Outcome = "answered"
    """Answer, answer as unsure because the evidence is weak, or refuse."""
    probability: float | None = None
    """Probability that the passages answer the question; None if unknown."""
    parts: tuple["Found", ...] = ()
    """The same for each part of a divided question; empty if it was not divided."""

    @property
    def asks(self) -> "tuple[Found, ...]":
        """What the model is asked, in order: the parts that are not refused, or the whole question."""
        return tuple(part for part in self.parts or (self,) if part.outcome != "refused")


@dataclass(frozen=True)
class Finished:
    """The model's answer with its citations and the results of its checks."""

    text: str
    """The model's text, if it passes the checks, and the quotes; ``[1]`` refers to the citation of that number."""
    written: str = ""
    """The model's text without citation numbers; empty if it was left out."""
    citations: list[Citation] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    """Sentences of ``written`` that no passage in the prompt supports."""
    unknown_numbers: list[str] = field(default_factory=list)
    """Numbers of ``written`` found neither in the prompt's passages nor in the question."""
    negations: list[str] = field(default_factory=list)
    """Sentences of ``written`` that are negated where their passage is not, or the reverse."""
    left_out: bool = False
    """Whether text of the model was left out because no passage supports it."""


def recent(messages: Sequence[dict[str, str]]) -> tuple[dict[str, str], ...]:
    """The latest :data:`HISTORY_MESSAGES` questions and answers of a conversation."""
    return tuple(message for message in messages if message["role"] != "system")[-HISTORY_MESSAGES:]


def search_query(asked: Asked) -> str:
    """The search query: the question or its part; for a follow-up question, preceded by the questions it needs."""
    text = asked.part or last_part(asked.question)
    if asked.alone or not leans(text):
        return text
    before = [message["content"] for message in asked.history if message["role"] == "user"]
    return " ".join([last_part(asked.question), text] if asked.part else [*leaning_on(before), text])


def search(index: Index, asked: Sequence[Asked]) -> list[list[Passage]]:
    """The :data:`SEARCHED` best passages for each question, best first.

    For a part, the results of the part and of the whole question alternate. The opening of a page or section that the
    question names by its title comes first; without one, the passage that defines the term it asks for.
    """
    queries = [[search_query(one), *([search_query(replace(one, part=""))] if one.part else [])] for one in asked]
    found = iter(index.search_many([*chain.from_iterable(queries)], SEARCHED))
    ranked = [_in_turns([next(found) for _ in several]) for several in queries]
    return [
        _in_turns([[*index.introductions(text, passages), *passages]])[:SEARCHED]
        for text, passages in zip([one.part or one.question for one in asked], ranked, strict=True)
    ]


def find(index: Index, refusal: Refusal, asked: Sequence[Asked]) -> list[Found]:
    """Search for questions, and decide for each one and each of its parts whether it is answered.

    "Where is the key?" may be a follow-up question; if it is refused with the previous question, it is tried alone.
    """
    found = _find(index, refusal, asked)
    for at, one in enumerate(found):
        leans_unmarked = leans(text := last_part(one.asked.question)) and not (one.parts or refers_back(text))
        if one.outcome == "refused" and one.asked.history and leans_unmarked:
            (alone,) = _find(index, refusal, [replace(one.asked, alone=True)])
            found[at] = one if alone.outcome == "refused" else alone
    return found


def _find(index: Index, refusal: Refusal, asked: Sequence[Asked]) -> list[Found]:
    divided = [[replace(one, part=part) for part in searched_parts(last_part(one.question))] for one in asked]
    units = [unit for one, parts in zip(asked, divided, strict=True) for unit in (parts if len(parts) > 1 else [one])]
    k = index.domain.settings.retrieval.k
    single = iter(
        [
            Found(unit, passages[:k], show(index, passages[:k]))
            for unit, passages in zip(units, search(index, units), strict=True)
        ]
    )
    found = [
        _together(one, [next(single) for _ in parts]) if len(parts) > 1 else next(single)
        for one, parts in zip(asked, divided, strict=True)
    ]
    return decide(refusal, found)


def decide(refusal: Refusal, found: Sequence[Found]) -> list[Found]:
    """Set the outcomes of search results by these thresholds.

    A question with several parts is refused if all of them are, and unsure unless all are answered. A follow-up
    question is judged together with the previous one; it is unsure if it would be refused alone.
    """
    units = [unit for one in found for unit in one.parts or (one,)]
    queries = [search_query(unit.asked) for unit in units]
    judged = refusal.judge(queries, [unit.passages for unit in units])
    asked_alone = [unit.asked.part or last_part(unit.asked.question) for unit in units]
    leaning = [at for at, query in enumerate(queries) if query != asked_alone[at]]
    by_themselves = refusal.judge([asked_alone[at] for at in leaning], [units[at].passages for at in leaning])
    for at, verdict in zip(leaning, by_themselves, strict=True):
        if (judged[at].outcome, verdict.outcome) == ("answered", "refused"):
            judged[at] = replace(judged[at], outcome="unsure")
    verdicts = iter(judged)
    decided = []
    for one in found:
        parts = [
            replace(unit, outcome=verdict.outcome, probability=verdict.probability)
            for unit, verdict in zip(one.parts or (one,), verdicts, strict=False)
        ]
        decided.append(_together(one.asked, parts) if one.parts else parts[0])
    return decided


def answered_anyway(found: Found) -> Found:
    """The search result with each refusal replaced by an unsure answer."""
    parts = tuple(map(answered_anyway, found.parts))
    return replace(found, parts=parts, outcome="unsure" if found.outcome == "refused" else found.outcome)


def show(index: Index, passages: Sequence[Passage]) -> list[Passage]:
    """The passages for the prompt: the retrieved ones with as much of the text around them as fits."""
    return index.context(passages, index.domain.settings.retrieval.context_tokens)


def join(found: Found, said: Sequence[str], refusal: str) -> str:
    """Join the model's answers to :attr:`Found.asks`; a refused part gets the text ``refusal``."""
    if not found.parts:
        return said[0] if said else refusal
    texts = iter(said)
    return "\n\n".join(
        f"{part.asked.part}: {refusal}" if part.outcome == "refused" else next(texts) for part in found.parts
    )


def finish(index: Index, found: Found, said: Sequence[str], refusal: str = "", quoted: bool = True) -> Finished:
    """Finish an answer: the model's text with citations, then the key sentences of the passages as quotes.

    ``said`` and ``refusal`` are those of :func:`join`. The answer to a part is left out if it repeats that to an
    earlier part. It is also left out if no passage supports what it adds to the question, or if it lacks the number
    that is asked for, unless another language was requested, which the quotes are not in. An answer that was stopped is
    not ``quoted``.
    """
    quotes = quotes_of(index, found) if quoted else []
    numbers = Numbers()
    paragraphs, written, pairs = [], [], []
    left_out = False
    texts = iter(said)
    for one in found.parts or (found,):
        if one.outcome == "refused":
            paragraphs.append(f"{one.asked.part}: {refusal}" if found.parts else refusal)
            continue
        sentences = answer_sentences(next(texts, ""))
        likeness, nearest = index.likeness(sentences, one.shown)
        wanted = found.asked.language and found.asked.language == language_of("".join(sentences))
        text, near = "".join(sentences).strip(), [quote for quote, passage in quotes if passage in one.passages]
        answers = is_supported(sentences, found.asked.question, one.shown, likeness, nearest)
        answers = answers and not lacks_number(text, one.asked.part or found.asked.question, near)
        if text in written or (quotes and not wanted and not answers):
            left_out = True
            continue
        rank = {passage.id: rank for rank, passage in enumerate(one.passages)}
        ranks = [rank.get(passage.id, len(rank)) for passage in one.shown]
        sources = sources_of(sentences, one.shown, likeness, ranks)
        paragraphs.append(numbers.cite(sentences, sources, one.shown))
        written.append(text)
        pairs += [
            (sentence.strip(), None if at is None else one.shown[at])
            for sentence, at in zip(sentences, sources, strict=True)
            if words_of(sentence)
        ]
    whole = "\n\n".join(filter(None, written))
    quotes = [(quote, passage) for quote, passage in quotes if not holds(whole, quote)]
    return Finished(
        "\n\n".join(filter(None, [*paragraphs, numbers.quote(quotes)])),
        whole,
        numbers.citations,
        [sentence for sentence, source in pairs if source is None],
        unknown_numbers(whole, found.asked.question, found.shown),
        [sentence for sentence, source in pairs if source and differs_in_negation(sentence, source)],
        left_out,
    )


def outcome(found: Found, finished: Finished) -> Outcome:
    """The outcome shown to the user: unsure if the model's own text was left out.

    Of the sample's held-out questions, 31 of 34 answered ones were right, and 19 of 30 unsure ones (docs/design.md).
    """
    return "unsure" if finished.left_out and found.outcome == "answered" else found.outcome


def quotes_of(index: Index, found: Found) -> list[tuple[str, Passage]]:
    """The key sentences of the retrieved passages, each with its passage; for a divided question, by part."""
    count = index.domain.settings.answer.quotes
    units = found.asks if found.parts else (found,)
    each = -(-count // len(units)) if units else 0
    quotes = [
        quote
        for unit in units
        for quote in index.key_sentences(
            search_query(unit.asked), unit.passages, each, unit.asked.part or unit.asked.question
        )
    ]
    return list({(sentence, passage.id): (sentence, passage) for sentence, passage in quotes}.values())


def _together(asked: Asked, parts: Sequence[Found]) -> Found:
    """Combine the results of the parts of a divided question."""
    outcomes = {part.outcome for part in parts}
    known = [part.probability for part in parts if part.probability is not None]
    return Found(
        asked,
        _in_turns([part.passages for part in parts]),
        _in_turns([list(chain.from_iterable(part.shown for part in parts))]),
        next(iter(outcomes)) if len(outcomes) == 1 else "unsure",
        max(known, default=None),
        tuple(parts),
    )


def _in_turns(rankings: Sequence[Sequence[Passage]]) -> list[Passage]:
    """The passages of several rankings, taken alternately, each once."""
    taken: dict[int, Passage] = {}
    for row in zip_longest(*rankings):
        for passage in row:
            if passage:
                taken.setdefault(passage.id, passage)
    return list(taken.values())
