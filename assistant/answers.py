"""The answer as a user of the Python interface gets it, and how it is kept in a conversation."""

import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from langchain_core.messages import AIMessage

from assistant.answering.citations import Citation
from assistant.answering.steps import Finished, Found, outcome
from indexes import Passage

KEY = "lorewright"


@dataclass(frozen=True)
class Answer:
    """One answer with its proof."""

    text: str
    """The answer, what the model wrote and quotes below it; ``[1]`` in it points to the citation of that number."""
    citations: list[Citation]
    outcome: Literal["answered", "unsure", "refused", "small_talk"]
    """``unsure``: answered on weak evidence. ``small_talk``: a reply to a greeting and the like, without a search."""
    passages: list[Passage]
    """The passages that were found, the best first; of a refusal, the nearest ones."""
    adapter: str | None
    """Name of the adapter that answered; None is the base model."""
    id: str
    """Id of the message in its conversation, by which it can be rated."""
    written: str = ""
    """What the model itself wrote of the text, without citations; the rest are quotes from the documents."""
    unsupported: list[str] = field(default_factory=list)
    """Sentences that no passage supports which the model was shown."""
    unknown_numbers: list[str] = field(default_factory=list)
    """Numbers that stand neither in the question nor in what the model was shown."""
    negations: list[str] = field(default_factory=list)
    """Sentences that say "not" where their source does not, or the reverse."""

    @property
    def refused(self) -> bool:
        """True if the documents do not hold the answer; ``text`` then says so."""
        return self.outcome == "refused"

    @property
    def unsure(self) -> bool:
        """True if the evidence is weak: the answer may be wrong even where it cites a passage."""
        return self.outcome == "unsure"

    @property
    def unproved(self) -> bool:
        """True if passages were read and none of them holds what the answer says."""
        return bool(self.passages) and not self.citations and self.outcome in ("answered", "unsure")

    @property
    def nearest(self) -> list[Passage]:
        """The passages found that the answer does not cite: what to look at where it was refused or is unsure."""
        cited = {citation.passage.id for citation in self.citations}
        return [passage for passage in self.passages if passage.id not in cited]


def answer_message(found: Found, finished: Finished, adapter: Path | None) -> AIMessage:
    """The message of an answer in its conversation; :func:`read_answer` makes an :class:`Answer` of it again."""
    cited = [citation.passage for citation in finished.citations]
    passages = list({passage.id: passage for passage in [*found.passages, *cited]}.values())
    kept = {
        "passages": [asdict(passage) for passage in passages],
        "cited": [passages.index(passage) for passage in cited],
        "outcome": outcome(found, finished),
        "adapter": adapter.name if adapter else None,
        "written": finished.written,
        "unsupported": finished.unsupported,
        "unknown_numbers": finished.unknown_numbers,
        "negations": finished.negations,
    }
    return AIMessage(finished.text, id=uuid.uuid4().hex, additional_kwargs={KEY: kept})


def small_talk_message(text: str) -> AIMessage:
    """The message of a reply to small talk."""
    kept: dict = {"passages": [], "cited": [], "outcome": "small_talk", "adapter": None}
    return AIMessage(text, id=uuid.uuid4().hex, additional_kwargs={KEY: kept})


def outcome_of(kept: dict) -> Literal["answered", "unsure", "refused", "small_talk"]:
    """The outcome of a kept answer; conversations of older versions only say whether it was refused."""
    return kept["outcome"] if "outcome" in kept else "refused" if kept["refused"] else "answered"


def read_answer(message: AIMessage) -> Answer:
    """The answer that :func:`answer_message` put into a conversation."""
    kept = message.additional_kwargs[KEY]
    passages = [_passage(passage) for passage in kept["passages"]]
    return Answer(
        text=message.text,
        citations=[Citation(number, passages[cited]) for number, cited in enumerate(kept["cited"], start=1)],
        outcome=outcome_of(kept),
        passages=passages,
        adapter=kept["adapter"],
        id=str(message.id),
        written=kept.get("written", message.text),
        unsupported=kept.get("unsupported", []),
        unknown_numbers=kept.get("unknown_numbers", []),
        negations=kept.get("negations", []),
    )


def _passage(kept: dict) -> Passage:
    return Passage(**{**kept, "headings": tuple(kept["headings"]), "also": tuple(kept.get("also", ()))})
