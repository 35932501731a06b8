"""An answer while it is being made.

It is made in a thread of its own, so that it goes on whatever the page does meanwhile: a rating of an earlier answer,
another language, a reload.
"""

import threading
import time
from typing import TYPE_CHECKING

from domain import DomainError

if TYPE_CHECKING:  # the server imports this file before anybody has opened the page
    from assistant import Answer, Assistant

RUNNING: "set[Speech]" = set()
"""The answers that this process is making."""

WARM: set[str] = set()
"""The base models that have spoken in this process: their weights are in memory."""

FINISH_SECONDS = 20.0


class Speech:
    """One question being answered; the page looks at it again and again until it has :attr:`finished`."""

    def __init__(
        self, assistant: "Assistant", question: str, conversation: str, adapter: str, answer_anyway: bool = False
    ) -> None:
        self.question = question
        self.text = ""
        """What was said so far."""
        self.outcome: Answer | DomainError | None = None
        """The answer, or why there is none; None before the end, and after it if something unforeseen broke it off."""
        self.finished = False
        self._model = assistant.llm.model
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._speak, args=(assistant, conversation, adapter, answer_anyway), daemon=True
        )
        RUNNING.add(self)
        self._thread.start()

    @property
    def seconds(self) -> int:
        """How long it has been going on."""
        return int(time.monotonic() - self._began)

    @property
    def loads(self) -> bool:
        """Whether it is the first to need this model, and so waits for its weights too."""
        return self._model not in WARM

    @property
    def failed(self) -> bool:
        return self.finished and (self.outcome is None or isinstance(self.outcome, DomainError))

    def stop(self) -> None:
        """End the answer at its next token; what was said is kept."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait for the end, but not longer."""
        self._thread.join(seconds)

    def _speak(self, assistant: "Assistant", conversation: str, adapter: str, answer_anyway: bool) -> None:
        try:
            for piece in assistant.stream(self.question, conversation, adapter, self._stop, answer_anyway):
                if isinstance(piece, str):
                    WARM.add(self._model)
                    self.text += piece
                else:
                    self.outcome = piece
        except DomainError as error:
            self.outcome = error
        finally:
            self.finished = True
            RUNNING.discard(self)


def finish_all() -> None:
    """Stop every answer and wait until what was said has been written down; the server calls it when it ends."""
    for speech in tuple(RUNNING):
        speech.stop()
    for speech in tuple(RUNNING):
        speech.join(FINISH_SECONDS)
