"""An answer that is being generated.

It runs in its own thread, so it continues whatever the page does meanwhile: a rating of an earlier answer, another
language, a reload.
"""

import threading
import time
from typing import TYPE_CHECKING

from domain import DomainError

if TYPE_CHECKING:  # the server imports this file before anybody opens the page
    from assistant import Answer, Assistant

RUNNING: "set[Speech]" = set()
"""The answers that this process is generating."""

WARM: set[str] = set()
"""The base models that have generated text in this process, so their weights are in memory."""

FINISH_SECONDS = 20.0


class Speech:
    """One question being answered; the page polls it until it is :attr:`finished`."""

    def __init__(
        self, assistant: "Assistant", question: str, conversation: str, adapter: str, answer_anyway: bool = False
    ) -> None:
        self.question = question
        self.text = ""
        """The text generated so far."""
        self.outcome: Answer | DomainError | None = None
        """The answer, or the error. None until the end, and after the end if an unexpected error occurred."""
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
        """Seconds since the start."""
        return int(time.monotonic() - self._began)

    @property
    def loads(self) -> bool:
        """Whether it is the first to use this model and must wait for the weights to load."""
        return self._model not in WARM

    @property
    def failed(self) -> bool:
        return self.finished and (self.outcome is None or isinstance(self.outcome, DomainError))

    def stop(self) -> None:
        """Stop the answer at its next token; the text so far is kept."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait for the end, at most ``seconds``."""
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
    """Stop every answer and wait until it is saved; the server calls this on shutdown."""
    for speech in tuple(RUNNING):
        speech.stop()
    for speech in tuple(RUNNING):
        speech.join(FINISH_SECONDS)
