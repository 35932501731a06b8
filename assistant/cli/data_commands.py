"""``lorewright data …``: inspects data files before a model is trained on them."""

from collections import Counter
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from domain import FinetuneConfig, Settings

if TYPE_CHECKING:
    from finetune.data.data_check import DataReport
    from finetune.data.data_files import DataFile

app = typer.Typer(no_args_is_help=True, help="Check example files before training.")
HELD_OUT = 0.1
"""Share of a file that is held out if no other file is named."""
SHOWN = 10
"""Maximum number of problems and near-copies printed; the others are counted."""


@app.callback()
def data() -> None:
    """Check example files before training."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A jsonl, json, csv, tsv, parquet, txt or md file.")],
    base_model: Annotated[str, typer.Option(help="The model to be trained.")] = Settings().base_model,
    held_out: Annotated[
        Path | None, typer.Option(help="Held-out examples, checked for near-duplicates. [default: a tenth of FILE]")
    ] = None,
    max_length: Annotated[int, typer.Option(min=64, help="Maximum tokens per example.")] = (
        FinetuneConfig().max_length
    ),
    labels: Annotated[Literal["all", "last"], typer.Option(help="Which answers to train on.")] = "all",
) -> None:
    """Show the contents of a data file as training sees them, with one example and its labelled tokens in colour.

    Exits with status 3 if the file has records that cannot be read.
    """
    from base_models.loading import load_tokenizer
    from finetune.data.data_check import check_data
    from finetune.data.data_files import inspect_file

    found = inspect_file(file)
    several = Counter(found.layouts).most_common()
    typer.echo(f"{file}: {len(found.conversations)} conversations ({', '.join(f'{n} {name}' for name, n in several)})")
    if found.conversations:
        tokenizer = load_tokenizer(base_model)
        config = FinetuneConfig(max_length=max_length, labels=labels)
        _print_report(check_data(tokenizer, found.conversations, config), tokenizer, base_model, max_length)
        _print_near_copies(found, held_out)
    _print_some(found.problems, "problems")
    if not found.conversations and not found.problems:
        typer.echo(f"{file} has no records; add examples to it", err=True)
    if found.problems or not found.conversations:
        raise typer.Exit(3)


def _print_report(report: "DataReport", tokenizer: Any, base_model: str, max_length: int) -> None:
    turns = ", ".join(f"{count:,} with {answers}" for answers, count in report.turns.items())
    typer.echo(f"conversations, by number of answers: {turns}; exact duplicates: {report.duplicates}")
    lengths = ", ".join(f"{name} {length:,}" for name, length in report.lengths.items())
    typer.echo(
        f"for {base_model}: {report.examples:,} examples, {report.tokens:,} tokens, {report.labelled_tokens:,} of them "
        f"labelled; tokens per example: {lengths}"
    )
    typer.echo(
        f"with max_length {max_length}: {report.shortened} lack the first rounds of their conversation, "
        f"{report.too_long} are too long and would be left out"
    )
    typer.echo("an example of median length in the model's chat format, with its labelled tokens in green:")
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for labelled, group in groupby(zip(report.shown.ids, report.shown.labelled, strict=True), key=itemgetter(1)):
        text = tokenizer.decode([token for token, _ in group])
        console.print(Text(text, style="bold green" if labelled else "dim"), end="")
    console.print()


def _print_near_copies(found: "DataFile", file: Path | None) -> None:
    """Near-copies in another file; without one, across the split by hash that a run makes."""
    from finetune import read_data
    from finetune.data.data_check import is_held_out, near_copies

    train = list(zip(found.places, found.conversations, strict=True))
    if file:
        held_out = [(f"{file}, {number}", m) for number, m in enumerate(read_data(file), start=1)]
        where = f"in {file}"
    else:
        held_out = [(place, messages) for place, messages in train if is_held_out(messages, HELD_OUT)]
        train = [(place, messages) for place, messages in train if not is_held_out(messages, HELD_OUT)]
        where = "held out by a hash split"
    near = near_copies([messages for _, messages in held_out], [messages for _, messages in train])
    if held_out:
        typer.echo(f"{len(near)} of the {len(held_out)} questions {where} are near-duplicates of training questions")
    lines = [f"  {held_out[one][0]} and {train[other][0]} share {shared:.0%}" for one, other, shared in near]
    _print_some(lines, "near-duplicates")


def _print_some(lines: list[str], what: str) -> None:
    for line in lines[:SHOWN]:
        typer.echo(line, err=what == "problems")
    if len(lines) > SHOWN:
        typer.echo(f"and {len(lines) - SHOWN} more {what}", err=what == "problems")
