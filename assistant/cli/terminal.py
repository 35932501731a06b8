"""Asks questions in the terminal: streams the answer, and stops it at Ctrl-C."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from assistant.answers import Answer
from assistant.assistant import Assistant
from assistant.cli.plain import plain

SHOWN_CHARACTERS = 160
"""Maximum characters shown of a nearest passage. Chosen."""


def speak(
    assistant: Assistant,
    question: str,
    conversation: str | None,
    adapter: str,
    answer_anyway: bool = False,
    anyway: str = "--answer-anyway",
) -> bool:
    """Print one answer and its sources; False if Ctrl-C stopped it.

    A terminal shows the model's text as it is generated, then the final answer in its place. ``anyway`` is what the
    user types to get an answer to a refused question.
    """
    answer: Answer | None = None
    streamed, stopped = "", False
    with (
        ctrl_c_sets() as stop,
        waiting("searching, and loading the model for the first question") as begun,
        shown_meanwhile() as show,
    ):
        for piece in assistant.stream(question, conversation, adapter, stop, answer_anyway):
            begun()
            if isinstance(piece, Answer):
                answer, stopped = piece, stop.is_set()
            else:
                streamed += piece
                show(plain(streamed, lines=True))
    assert answer is not None
    typer.echo(plain(answer.text, lines=True))
    for citation in answer.citations:
        typer.echo(f"  [{citation.number}] {plain(f'{citation.passage.document}, {citation.passage.place}')}")
    for line in remarks(answer):
        typer.echo(plain(f"  {line}"))
    if answer.refused and answer.passages:
        typer.echo(f"  (use {anyway} to get an answer anyway)")
    return not stopped


def remarks(answer: Answer) -> list[str]:
    """Notes on an answer: how sure it is, what no passage supports, and other passages."""
    lines = []
    if answer.unsure:
        lines.append("(unsure: the retrieved passages may not answer this)")
    if answer.unproved:
        lines.append("(no source: no retrieved passage supports this)")
    if answer.unknown_numbers:
        lines.append(f"(check: no retrieved passage contains {', '.join(answer.unknown_numbers)})")
    lines += [
        f"(check: this sentence and its source differ in a negation: {sentence})" for sentence in answer.negations
    ]
    if answer.refused or answer.unsure:
        near = [f"  {passage.document}, {passage.place}: {_beginning(passage.text)}" for passage in answer.nearest]
        found = "other passages found:" if answer.unsure else "nearest passages:"
        lines += [found, *near] if near else []
    return lines


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"


def read_line(prompt: str) -> str:
    """The typed line; empty at the end of the input."""
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


@contextmanager
def waiting(what: str) -> Iterator[Callable[[], None]]:
    """Show a status on a terminal until the yielded function is called."""
    status = Console(stderr=True, quiet=not sys.stderr.isatty()).status(f"{what} ...")
    status.start()
    try:
        yield status.stop
    finally:
        status.stop()


@contextmanager
def shown_meanwhile() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a text on a terminal in place of the previous one; all is cleared at the end."""
    if not sys.stdout.isatty():
        yield lambda _text: None
        return
    console = Console(highlight=False)
    live = Live(console=console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def show(text: str) -> None:
        live.start()
        live.update(Text(text), refresh=True)

    try:
        yield show
    finally:
        live.stop()


@contextmanager
def ctrl_c_sets() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, with a message; a second Ctrl-C ends the program at once."""
    stop = threading.Event()

    def interrupted(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        stop.set()
        print("\nStopping at the next token; press Ctrl-C again to quit at once.", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
