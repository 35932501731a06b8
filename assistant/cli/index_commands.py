"""Commands of the index: index, search, export."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from assistant.cli.finetune_commands import DomainFolder
from assistant.cli.plain import plain
from domain import Domain, DomainError

if TYPE_CHECKING:
    from indexes import Filter, Index, Passage, UpdateReport

app = typer.Typer()


@app.command()
def index(
    domain: DomainFolder,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="Read all documents again; needed after a change of embedder, dictionary or passage_tokens.",
        ),
    ] = False,
    url: Annotated[
        list[str] | None,
        typer.Option(help="First download this web page into documents/web/, replacing an older copy; repeatable."),
    ] = None,
    allow_private: Annotated[
        bool,
        typer.Option("--allow-private", help="With --url: also allow pages on this machine and the local network."),
    ] = False,
) -> None:
    """Index new and changed documents, and remove deleted ones."""
    from assistant.cli.progress_bars import Bars
    from assistant.indexing import update_index
    from indexes import IndexingError, fetch_page

    if allow_private and not url:
        raise DomainError("--allow-private only affects --url; add a --url.")
    opened, not_fetched = Domain.open(domain), []
    for address in url or []:
        try:
            typer.echo(f"{address} is saved as {fetch_page(address, opened.documents, allow_private)}")
        except IndexingError as error:
            not_fetched.append(str(error))
    try:
        with Bars("the documents read so far are kept. Run the same command to read the rest.") as bars:
            report = update_index(opened, rebuild, bars.update)
        _print_report(domain, report)
    finally:
        for why in not_fetched:  # printed last, so that it is seen
            typer.echo(why, err=True)
    if report.failed or not_fetched:
        raise typer.Exit(3)


def _print_report(domain: Path, report: "UpdateReport") -> None:
    moved = f"{len(report.moved)} moved, " if report.moved else ""
    typer.echo(
        f"{domain}: {len(report.added)} added, {len(report.changed)} changed, {moved}{len(report.deleted)} deleted, "
        f"{len(report.unchanged)} unchanged; {report.passages} passages."
    )
    if report.put_aside:
        typer.echo(
            f"The damaged index is kept as {report.put_aside}: texts added by programs could not be read from it.",
            err=True,
        )
    if report.repeated:
        typer.echo(f"{report.repeated} passages repeat another passage; each text is stored once, with all its places.")
    if report.search:
        typer.echo(f"Vector search is {report.search}.")
    for document, other in report.duplicates:
        typer.echo(plain(f"duplicate of {other}: {document}"), err=True)
    for document, reason in report.warnings:
        typer.echo(plain(f"read with a warning: {document}: {reason}"), err=True)
    for document, reason in report.failed:
        typer.echo(plain(f"not read: {document}: {reason}"), err=True)


SOME = 10
"""Maximum number of documents or folders named as examples."""

Day = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only documents modified on this day or later.")
]


@app.command()
def search(
    domain: DomainFolder,
    query: str,
    k: Annotated[int, typer.Option(min=1, max=1000, help="Number of passages.")] = 5,
    mode: Annotated[
        Literal["hybrid", "dense", "full_text"],
        typer.Option(help="Vectors and full text, vectors only, or full text only."),
    ] = "hybrid",
    folder: Annotated[str, typer.Option(help="Only documents in this folder under documents/.")] = "",
    type: Annotated[
        list[str] | None, typer.Option(help="Only documents of this type (pdf, docx, md, png, ...); repeatable.")
    ] = None,
    since: Day = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only documents modified on this day or earlier.")
    ] = None,
    language: Annotated[str, typer.Option(help="Only passages in this language: zh or en.")] = "",
    diversity: Annotated[
        float, typer.Option(min=0, max=1, help="Above 0 prefers passages that differ from each other.")
    ] = 0.0,
    neighbours: Annotated[
        int, typer.Option(min=0, max=20, help="Number of passages to show before and after each one.")
    ] = 0,
) -> None:
    """Show the best passages for a query, with their scores."""
    from indexes import Filter, Index

    if not query.strip():
        raise DomainError("the question is empty.")
    if since and until and since > until:
        raise DomainError(f"--since {since:%Y-%m-%d} is after --until {until:%Y-%m-%d}, so nothing can be found.")
    days = (since.date() if since else None, until.date() if until else None)
    among = Filter(folder, tuple(type or ()), *days, language)
    with Index.open(domain) as opened:
        found = opened.search(query, k, mode, among, diversity)
        for number, passage in enumerate(found, start=1):
            typer.echo(_shown(number, passage, opened, query, mode, neighbours))
        if not found:
            typer.echo(_nothing_found(opened.documents(), among))


def _nothing_found(documents: list[str], among: "Filter") -> str:
    """A hint after an empty search: folders that contain documents, fewer filters, or names of indexed documents."""
    if not (among.types or among.since or among.until or among.language) and among.folder:
        folders = sorted({name.rpartition("/")[0] for name in documents} - {""})
        return plain(f"Nothing was found in the folder {among.folder}; folders with documents: {_some(folders)}.")
    if among:
        return f"Nothing was found in the filtered part of {len(documents)} documents; try fewer filters."
    return plain(f"Nothing was found. The index has {len(documents)} documents: {_some(documents)}.")


def _some(names: list[str]) -> str:
    return ", ".join(names[:SOME]) + (", ..." if len(names) > SOME else "") or "none"


def _shown(number: int, passage: "Passage", index: "Index", query: str, mode: str, neighbours: int) -> str:
    shared = index.shared_words(query, passage)
    why = []
    if mode != "full_text":
        why.append(f"vector {passage.dense_score:.3f}")
    if mode != "dense":
        why.append(f"full text {passage.full_text_score:.2f}: {', '.join(shared)}" if shared else "no shared word")
    if passage.rerank_score is not None:
        why.append(f"reranker {passage.rerank_score:.3f}")
    lines = [
        plain(f"[{number}] {passage.document}, {passage.place}"),
        f"    score {passage.score:.3f}; {'; '.join(why)}",
        *(plain(f"    also in {place}") for place in passage.also),
    ]
    for near in index.neighbours(passage.id, neighbours, neighbours) if neighbours else [passage]:
        if near.id != passage.id:
            lines.append(plain(f"  {'before' if near.start < passage.start else 'after'}, {near.place}:"))
        elif neighbours:
            lines.append(plain(f"  found, {near.place}:"))
        lines.append(plain(near.text, lines=True))
    return "\n".join([*lines, ""])


@app.command()
def export(domain: DomainFolder, target: Annotated[Path, typer.Argument(help="The folder to create.")]) -> None:
    """Copy the domain, even while it is in use. The copy is an independent domain."""
    from assistant.cli.progress_bars import Bars
    from assistant.exporting import export_domain

    with Bars(f"{target} was not written.") as bars:
        export_domain(Domain.open(domain), target, bars.update)
    typer.echo(f"{domain} is copied to {target}, with its index, adapters and conversations.")
