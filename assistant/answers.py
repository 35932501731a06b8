"""The answer as a user of the Python interface gets it, and how it is kept in a conversation."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from langchain_core.messages import AIMessage

from assistant.citations import Citation
from indexes import Passage

KEY = "lorewright"


@dataclass(frozen=True)
class Answer:
    """One answer with its proof."""

    text: str
    """The answer; ``[1]`` in it points to the citation of that number."""
    citations: list[Citation]
    refused: bool
    """True if the documents do not carry an answer; ``text`` then says so."""
    passages: list[Passage]
    """All passages that were put before the model, best first."""
    adapter: str | None
    """Name of the adapter that answered; None is the base model."""
    id: str
    """Id of the message in its conversation, by which it can be rated."""

    @property
    def unproved(self) -> bool:
        """True if passages were read and none of them holds what the answer says."""
        return bool(self.passages) and not self.citations and not self.refused


def answer_message(
    text: str, passages: Sequence[Passage], citations: Sequence[Citation], refused: bool, adapter: Path | None
) -> AIMessage:
    """The message that goes into the conversation; :func:`read_answer` makes an :class:`Answer` of it again."""
    kept = {
        "passages": [asdict(passage) for passage in passages],
        "cited": [passages.index(citation.passage) for citation in citations],
        "refused": refused,
        "adapter": adapter.name if adapter else None,
    }
    return AIMessage(text, id=uuid.uuid4().hex, additional_kwargs={KEY: kept})


def read_answer(message: AIMessage) -> Answer:
    """The answer that :func:`answer_message` put into a conversation."""
    kept = message.additional_kwargs[KEY]
    passages = [
        Passage(**{**passage, "headings": tuple(passage["headings"]), "also": tuple(passage.get("also", ()))})
        for passage in kept["passages"]
    ]
    return Answer(
        text=message.text,
        citations=[Citation(number, passages[cited]) for number, cited in enumerate(kept["cited"], start=1)],
        refused=kept["refused"],
        passages=passages,
        adapter=kept["adapter"],
        id=str(message.id),
    )
