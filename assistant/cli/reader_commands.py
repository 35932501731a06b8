"""``lorewright reader …``: trains a custom reader, for another base model or on other data."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant.cli.training_flags import settings_flags, validated
from domain import FinetuneConfig, Settings, write_text

SETTINGS: dict[str, Any] = {
    "from_adapter": "base",
    "num_train_epochs": 1.0,
    "gradient_accumulation_steps": 2,
    "packing": True,
    "max_length": 1024,
    "shared_passages": True,
    "retrieved_share": 1.0,
    "unanswerable_share": 0.3,
    "distractors_share": 0.12,
    "r": 16,
    "lora_alpha": 32.0,
}
"""Defaults of a reader's run that differ from the general ones; flags override them. Rows of 1,024 tokens were 1.15
times as fast as rows of 2,048 with AVX2, because attention computes whole rows (one trial). Trained with these shares
of refusals on 1,000 questions, the 0.5B refused 3 of 10 unanswerable and 1 of 38 answerable ones (one trial)."""

app = typer.Typer(no_args_is_help=True, help="Train a reader: an adapter to answer from passages.")


@app.callback()
def reader() -> None:
    """Train a reader: an adapter to answer from passages."""


@app.command()
@settings_flags(FinetuneConfig, default="", other_defaults=SETTINGS)
def train(
    file: Annotated[
        Path, typer.Argument(metavar="DATA", help="Questions about paragraphs, see docs/readers.md for the format.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the domain to create from them.")],
    config: dict[str, Any],
    held_out: Annotated[Path, typer.Option(help="Questions about other titles, to evaluate on.")],
    base_model: Annotated[str, typer.Option(help="The chat model: a name or a folder.")] = Settings().base_model,
    questions: Annotated[int, typer.Option(min=0, help="Train on about this many questions; 0 for all.")] = 0,
    measured: Annotated[int, typer.Option(min=1, help="Number of held-out questions to evaluate on.")] = 100,
) -> None:
    """Train a reader on questions about paragraphs, and compare the model without and with it.

    FOLDER becomes a domain; the adapter is FOLDER/adapters/reader. To use it in another domain, run:
    lorewright adopt DOMAIN FOLDER/adapters/reader
    """
    from assistant.cli.progress_bars import Bars
    from assistant.cli.tables import forecast, trained
    from assistant.reader.reader import RUN, measure_reader, reading_domain, train_reader
    from assistant.reader.reading_data import read_reading_data

    settings = validated(FinetuneConfig, {**SETTINGS, **config})
    train_data, held_out_data = read_reading_data(file), read_reading_data(held_out)
    left = "the run is not finished. Run the same command to resume from the last checkpoint."
    with Bars(left) as bars:
        domain = reading_domain(
            folder, base_model, train_data, held_out_data, questions, settings.seed, progress=bars.update
        )
        report = train_reader(
            domain, settings, bars.update, bars.step, lambda told: typer.echo(forecast(told), err=True)
        )
    typer.echo(f"{folder}: {trained(report)}")
    with Bars(f"{domain.adapter(RUN)} is trained but not evaluated.") as bars:
        figures = {who or "base": measure_reader(domain, who, measured, bars.update) for who in ("", RUN)}
    write_text(domain.adapter(RUN) / "figures.json", json.dumps(figures, indent=1) + "\n")
    for who, shares in figures.items():
        said = ", ".join(f"{kind} {value:.2f} ({low:.2f}-{high:.2f})" for kind, (value, low, high) in shares.items())
        typer.echo(f"{who}: {said}")
