"""Asking in the terminal: an answer while it is made, and Ctrl-C in the middle of it."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console

from assistant.answers import Answer
from assistant.assistant import Assistant
from assistant.plain import plain

SHOWN_CHARACTERS = 160
"""How much of a nearest passage is shown. Chosen."""


def speak(
    assistant: Assistant,
    question: str,
    conversation: str | None,
    adapter: str,
    answer_anyway: bool = False,
    anyway: str = "--answer-anyway",
) -> bool:
    """Stream one answer to the terminal, then its sources; False if Ctrl-C stopped it.

    ``anyway`` is what the user types to have a refused question answered all the same.
    """
    streamed, stopped = "", True
    with ctrl_c_sets() as stop, waiting("searching; loading the model, if it is the first question") as begun:
        for piece in assistant.stream(question, conversation, adapter, stop, answer_anyway):
            begun()
            if isinstance(piece, Answer):
                stopped = stop.is_set()
                rest = piece.text.removeprefix(streamed.strip())
                said = rest if piece.text.startswith(streamed.strip()) else f"\n= {piece.text}"
                typer.echo(plain(said, lines=True))
                for citation in piece.citations:
                    where = plain(f"{citation.passage.document}, {citation.passage.place}")
                    typer.echo(f"  [{citation.number}] {where}")
                for line in remarks(piece):
                    typer.echo(plain(f"  {line}"))
                if piece.refused and piece.passages:
                    typer.echo(f"  ({anyway} answers from them all the same)")
            else:
                streamed += piece
                typer.echo(plain(piece, lines=True), nl=False)
    return not stopped


def remarks(answer: Answer) -> list[str]:
    """What a reader should know of an answer: how sure it is, what no passage says, and the nearest passages."""
    lines = []
    if answer.unsure:
        lines.append("(unsure: the passages found may not answer this)")
    if answer.unproved:
        lines.append("(no source: none of the passages that were read says this)")
    if answer.unknown_numbers:
        lines.append(f"(check: {', '.join(answer.unknown_numbers)} stands in no passage that was read)")
    lines += [f'(check: the source of this sentence differs in a "not": {sentence})' for sentence in answer.negations]
    if answer.refused or answer.unsure:
        near = [f"  {passage.document}, {passage.place}: {_beginning(passage.text)}" for passage in answer.nearest]
        lines += ["nearest passages:", *near] if near else []
    return lines


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"


def read_line(prompt: str) -> str:
    """What was typed; empty at the end of the input."""
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


@contextmanager
def waiting(what: str) -> Iterator[Callable[[], None]]:
    """Show on a terminal that something is being done, until the function that it gives is called."""
    status = Console(stderr=True, quiet=not sys.stderr.isatty()).status(f"{what} ...")
    status.start()
    try:
        yield status.stop
    finally:
        status.stop()


@contextmanager
def ctrl_c_sets() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, and says so; a second Ctrl-C ends the program at once."""
    stop = threading.Event()

    def interrupted(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        stop.set()
        print("\nStopping at the next word; Ctrl-C again leaves at once.", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
