"""Commands that train an adapter, select one, adopt one, merge it with its base, and evaluate it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from assistant.cli.settings_flags import settings_flags, validated
from domain import Domain, DomainError, FinetuneConfig

app = typer.Typer()

DomainFolder = Annotated[Path, typer.Argument(metavar="DOMAIN", help="The domain folder.")]
Adapter = Annotated[
    str | None, typer.Option(help="Who answers: a run's name, 'reader', or 'base' for none. [default: domain.toml's]")
]


@app.command()
@settings_flags(FinetuneConfig)
def finetune(
    domain: DomainFolder,
    config: dict[str, Any],
    run: Annotated[str, typer.Option(help="Name of the run; its adapter is adapters/NAME.")] = "first",
    base_model: Annotated[str | None, typer.Option(help="Train another chat model, a name or a folder.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Train even if the same run is finished.")] = False,
) -> None:
    """Train an adapter on questions/train.jsonl. domain.toml's [finetune] keys are the flags."""
    from assistant.cli.progress_bars import Bars
    from assistant.cli.tables import forecast, trained
    from assistant.finetuning import is_finished, tune, with_base_model

    opened = Domain.open(domain)
    if base_model:
        opened = with_base_model(opened, base_model)
    settings = validated(FinetuneConfig, {**opened.settings.finetune.model_dump(), **config})
    if not again and is_finished(opened, run, settings):
        typer.echo(f"{domain}: run {run!r} is finished and nothing it was made from has changed. {_next(opened, run)}")
        return
    from finetune.methods import refuse_unread  # imported here because it loads torch

    refuse_unread(config, settings.method)
    with Bars("no adapter was written. The same command goes on with it where it was last saved.") as bars:
        report, rare = tune(
            opened, run, settings, bars.update, bars.step, lambda told: typer.echo(forecast(told), err=True)
        )
    typer.echo(f"{domain}: {trained(report, rare)} {_next(opened, run)}")


def _next(domain: Domain, run: str) -> str:
    """The status of a finished run's adapter, and how to let it answer."""
    if domain.settings.adapter == run:
        return f"Adapter: {domain.adapter(run)}, the one that answers (domain.toml)."
    return (
        f"Adapter: {domain.adapter(run)}, a candidate: `{domain.command('evaluate')}` lets it answer if it is shown "
        f"to be better, `{domain.command('use')} {run}` in any case."
    )


@app.command()
def use(
    domain: DomainFolder,
    adapter: Annotated[str, typer.Argument(metavar="RUN", help="A run's name, 'reader' or 'base'.")],
) -> None:
    """Choose who answers: a run, the reader or the base model."""
    from assistant.adapters import is_shipped
    from assistant.adapters import use as use_adapter

    opened = Domain.open(domain)
    changed = use_adapter(opened, adapter_name(adapter) or "")
    shipped = "the reader" if is_shipped(opened, adapter) else f"the adapter {adapter!r}"
    who = "the base model" if adapter == "base" else shipped
    typer.echo(f"{domain}: {who} answers {'from now on' if changed else 'already'} (domain.toml, chosen by hand).")


@app.command()
def adopt(
    domain: DomainFolder,
    folder: Annotated[Path, typer.Argument(metavar="ADAPTER", help="A LoRA folder that peft has saved elsewhere.")],
    run: Annotated[str, typer.Option(help="Name for it; it will lie in adapters/NAME.")] = "adopted",
) -> None:
    """Answer with a LoRA that was trained elsewhere. It must be one of the same base model."""
    from assistant.finetuning import adopt as adopt_into

    adopt_into(Domain.open(domain), folder, run)
    typer.echo(f"{domain}: {folder} is now the adapter {run!r}, and the one that answers (domain.toml).")


@app.command()
def merge(
    domain: DomainFolder,
    output: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the merged model.")],
    adapter: Annotated[str | None, typer.Option(help="The run to merge. [default: domain.toml's]")] = None,
    dtype: Annotated[Literal["bfloat16", "float16", "float32"], typer.Option(help="Type of its weights.")] = "bfloat16",
) -> None:
    """Write base and adapter as one model. Any program that loads safetensors can use the folder."""
    from assistant.finetuning import merge as merge_into

    opened = Domain.open(domain)
    result = merge_into(opened, adapter or opened.settings.adapter, output, dtype)
    typer.echo(
        f"{output}: base and adapter in one, as safetensors in {dtype}; its logits differ from theirs by at most "
        f"{result['difference']:.2%} of the largest ({result['allowed']:.1%} allowed)."
    )


@app.command()
def evaluate(
    domain: DomainFolder,
    questions: Annotated[int, typer.Option(min=0, help="How many held-out questions; 0 asks all.")] = 0,
    adapter: Adapter = None,
    again: Annotated[bool, typer.Option("--again", help="Ask again even if nothing has changed.")] = False,
    retrieval: Annotated[
        bool, typer.Option("--retrieval", help="Only measure how well passages are found, in every way of searching.")
    ] = False,
) -> None:
    """Compare base and tuned, without and with the index. An adapter that wins answers from then on.

    Asks the held-out questions; without --adapter, of the newest run. It wins if it is right more often by more than
    chance, or as often with fewer unsupported sentences, and has forgotten little.
    """
    from assistant.cli.progress_bars import Bars
    from assistant.cli.tables import print_evaluation, print_retrieval

    opened = Domain.open(domain)
    if retrieval:
        from assistant.evaluation.retrieval import evaluate_retrieval

        if questions or adapter is not None or again:
            raise DomainError("--retrieval asks all questions and no model; leave out --questions, --adapter, --again.")
        print_retrieval(evaluate_retrieval(opened))
        return
    from assistant.evaluation.written_result import evaluate_domain

    with Bars("nothing was written. The same command asks the questions again.") as bars:
        result = evaluate_domain(opened, adapter_name(adapter), questions, again, bars.update)
    print_evaluation(result, opened.command("evaluate") if questions else "")


def adapter_name(option: str | None) -> str | None:
    """Convert the --adapter flag: None is domain.toml's adapter, empty the base model."""
    return "" if option == "base" else option
