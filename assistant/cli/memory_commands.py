"""``lorewright memory …``: what is stored of a user, and how to get rid of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.cli.finetune_commands import DomainFolder
from assistant.cli.plain import plain
from domain import Domain, write_text

if TYPE_CHECKING:
    from assistant.conversations import Conversations

app = typer.Typer(no_args_is_help=True, help="List, correct, export and delete what is remembered of a user.")
User = Annotated[str, typer.Option(help="Whose memory; on one's own machine there is one user, local.")]
FactId = Annotated[str, typer.Argument(metavar="FACT", help="The id that `lorewright memory list` prints.")]


@app.callback()
def memory() -> None:
    """List, correct, export and delete what is remembered of a user."""


@contextmanager
def _opened(domain: Path) -> "Iterator[Conversations]":
    from assistant.conversations import Conversations

    conversations = Conversations(Domain.open(domain).conversations)
    try:
        yield conversations
    finally:
        conversations.close()


@app.command("list")
def list_memory(domain: DomainFolder, user: User = "local") -> None:
    """List the facts that a user asked to remember, and the user's conversations."""
    with _opened(domain) as conversations:
        facts, entries = conversations.facts.all(user), conversations.all(user)
    for fact in facts:
        typer.echo(plain(f"fact {fact.id}: {fact.text}"))
    for entry in entries:
        typer.echo(plain(f"conversation {entry.id}: {entry.title}"))
    if not facts and not entries:
        typer.echo(f"Nothing is stored of the user {user}.")


@app.command()
def correct(domain: DomainFolder, fact: FactId, text: str, user: User = "local") -> None:
    """Replace the text of a fact."""
    with _opened(domain) as conversations:
        conversations.facts.correct(user, fact, text)
    typer.echo(f"The fact {fact} is corrected.")


@app.command()
def forget(domain: DomainFolder, fact: FactId, user: User = "local") -> None:
    """Delete one fact."""
    with _opened(domain) as conversations:
        conversations.facts.delete(user, fact)
    typer.echo(f"The fact {fact} is deleted.")


@app.command()
def export(
    domain: DomainFolder,
    user: User = "local",
    output: Annotated[Path | None, typer.Option(help="File to write. [default: standard output]")] = None,
) -> None:
    """Write everything that is stored of a user as JSON: facts, conversations, ratings."""
    with _opened(domain) as conversations:
        text = json.dumps(conversations.export(user), ensure_ascii=False, indent=2)
    if output:
        write_text(output, text + "\n")
        typer.echo(f"Everything that is stored of the user {user} is in {output}.")
    else:
        typer.echo(text)


@app.command()
def delete(
    domain: DomainFolder,
    user: User = "local",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete everything of a user for good: conversations, ratings, facts."""
    with _opened(domain) as conversations:
        entries, facts = len(conversations.all(user)), len(conversations.facts.all(user))
        what = f"{entries} conversations with their ratings and {facts} facts of the user {user}"
        if not yes:
            typer.confirm(f"Delete {what}?", abort=True)
        conversations.delete_user(user)
    typer.echo(f"{what} are deleted.")
