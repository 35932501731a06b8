"""The answer that the Python interface returns, and its form as a message of a conversation."""

import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from langchain_core.messages import AIMessage

from assistant.answering.citations import Citation
from assistant.answering.pipeline import Finished, Found, outcome
from indexes import Passage

KEY = "lorewright"


@dataclass(frozen=True)
class Answer:
    """An answer with its citations and the results of its checks."""

    text: str
    """The answer: the model's text, then quotes. ``[1]`` refers to the citation of that number."""
    citations: list[Citation]
    outcome: Literal["answered", "unsure", "refused", "small_talk"]
    """``unsure``: answered on weak evidence. ``small_talk``: a reply to a greeting or similar, without a search."""
    passages: list[Passage]
    """The retrieved passages, best first; for a refusal, the nearest ones."""
    adapter: str | None
    """Name of the adapter that answered; None for the base model."""
    id: str
    """Message id in the conversation, used to rate the answer."""
    written: str = ""
    """The model's own text without citations; the rest of ``text`` is quotes from the documents."""
    unsupported: list[str] = field(default_factory=list)
    """Sentences that no passage in the prompt supports."""
    unknown_numbers: list[str] = field(default_factory=list)
    """Numbers found neither in the question nor in the prompt's passages."""
    negations: list[str] = field(default_factory=list)
    """Sentences that are negated where their source is not, or the reverse."""

    @property
    def refused(self) -> bool:
        """True if the documents do not contain the answer; ``text`` is then the refusal."""
        return self.outcome == "refused"

    @property
    def unsure(self) -> bool:
        """True if the evidence is weak: the answer may be wrong even if it cites a passage."""
        return self.outcome == "unsure"

    @property
    def unproved(self) -> bool:
        """True if passages were found but none supports the answer."""
        return bool(self.passages) and not self.citations and self.outcome in ("answered", "unsure")

    @property
    def nearest(self) -> list[Passage]:
        """The retrieved passages that the answer does not cite; worth reading after a refusal or an unsure answer."""
        cited = {citation.passage.id for citation in self.citations}
        return [passage for passage in self.passages if passage.id not in cited]


def answer_message(found: Found, finished: Finished, adapter: Path | None) -> AIMessage:
    """The message that stores an answer in its conversation; :func:`read_answer` converts it back."""
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
    """The outcome of a stored answer; conversations of older versions store only whether it was refused."""
    return kept["outcome"] if "outcome" in kept else "refused" if kept["refused"] else "answered"


def read_answer(message: AIMessage) -> Answer:
    """Read the answer from a message written by :func:`answer_message`."""
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
