"""Commands that train an adapter, select one, adopt one, merge it with its base, and evaluate it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from assistant.cli.training_flags import settings_flags, validated
from domain import Domain, DomainError, FinetuneConfig

app = typer.Typer()

DomainFolder = Annotated[Path, typer.Argument(metavar="DOMAIN", help="The domain folder.")]
Adapter = Annotated[
    str | None,
    typer.Option(help="Adapter to answer with: a run's name, 'reader', or 'base' for none. [default: domain.toml]"),
]


@app.command()
@settings_flags(FinetuneConfig)
def finetune(
    domain: DomainFolder,
    config: dict[str, Any],
    run: Annotated[str, typer.Option(help="Name of the run; its adapter is adapters/NAME.")] = "first",
    base_model: Annotated[
        str | None, typer.Option(help="Train another chat model: a name or a folder. [default: domain.toml]")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Train again even if the same run is finished.")] = False,
) -> None:
    """Train an adapter on questions/train.jsonl. Every key of [finetune] in domain.toml is also a flag."""
    from assistant.cli.progress_bars import Bars
    from assistant.cli.tables import forecast, trained
    from assistant.finetuning import is_finished, tune, with_base_model

    opened = Domain.open(domain)
    if base_model:
        opened = with_base_model(opened, base_model)
    settings = validated(FinetuneConfig, {**opened.settings.finetune.model_dump(), **config})
    if not again and is_finished(opened, run, settings):
        typer.echo(f"{domain}: run {run!r} is finished and its inputs have not changed. {_next(opened, run)}")
        return
    from finetune.methods import refuse_unread  # imported here because it loads torch

    refuse_unread(config, settings.method)
    with Bars("no adapter was written. Run the same command to resume from the last checkpoint.") as bars:
        report, rare = tune(
            opened, run, settings, bars.update, bars.step, lambda told: typer.echo(forecast(told), err=True)
        )
    typer.echo(f"{domain}: {trained(report, rare)} {_next(opened, run)}")


def _next(domain: Domain, run: str) -> str:
    """The status of a finished run's adapter, and how to let it answer."""
    if domain.settings.adapter == run:
        return f"Adapter: {domain.adapter(run)}, active (domain.toml)."
    return (
        f"Adapter: {domain.adapter(run)}, a candidate: `{domain.command('evaluate')}` activates it if it proves "
        f"better, `{domain.command('use')} {run}` in any case."
    )


@app.command()
def use(
    domain: DomainFolder,
    adapter: Annotated[str, typer.Argument(metavar="RUN", help="A run's name, 'reader', or 'base' for none.")],
) -> None:
    """Select the active adapter: a run, the reader or none."""
    from assistant.domain_adapters import is_shipped
    from assistant.domain_adapters import use as use_adapter

    opened = Domain.open(domain)
    changed = use_adapter(opened, adapter_name(adapter) or "")
    shipped = "the reader" if is_shipped(opened, adapter) else f"the adapter {adapter!r}"
    who = "the base model" if adapter == "base" else shipped
    typer.echo(f"{domain}: {who} is {'now' if changed else 'already'} active (domain.toml, selected by hand).")


@app.command()
def adopt(
    domain: DomainFolder,
    folder: Annotated[Path, typer.Argument(metavar="ADAPTER", help="Folder of a LoRA adapter saved by peft.")],
    run: Annotated[str, typer.Option(help="Name of the copy, which is stored in adapters/NAME.")] = "adopted",
) -> None:
    """Import a LoRA adapter trained elsewhere. It must have the same base model, and becomes active."""
    from assistant.finetuning import adopt as adopt_into

    adopt_into(Domain.open(domain), folder, run)
    typer.echo(f"{domain}: {folder} is imported as the adapter {run!r} and is active (domain.toml).")


@app.command()
def merge(
    domain: DomainFolder,
    output: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the merged model.")],
    adapter: Annotated[str | None, typer.Option(help="The run to merge. [default: domain.toml]")] = None,
    dtype: Annotated[
        Literal["bfloat16", "float16", "float32"], typer.Option(help="Data type of the weights.")
    ] = "bfloat16",
) -> None:
    """Merge the base model and an adapter into one model. Any program that loads safetensors can use it."""
    from assistant.finetuning import merge as merge_into

    opened = Domain.open(domain)
    result = merge_into(opened, adapter or opened.settings.adapter, output, dtype)
    typer.echo(
        f"{output}: merged model, safetensors in {dtype}; its logits differ from base and adapter by at most "
        f"{result['difference']:.2%} of the largest logit ({result['allowed']:.1%} allowed)."
    )


@app.command()
def evaluate(
    domain: DomainFolder,
    questions: Annotated[int, typer.Option(min=0, help="Number of held-out questions; 0 for all.")] = 0,
    adapter: Annotated[
        str | None,
        typer.Option(help="Adapter to evaluate: a run's name, 'reader' or 'base'. [default: the newest run]"),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Evaluate again even if nothing has changed.")] = False,
    retrieval: Annotated[
        bool, typer.Option("--retrieval", help="Evaluate retrieval only, in each search mode.")
    ] = False,
) -> None:
    """Compare base and tuned model on held-out questions. Both answer without and with the index.

    Without --adapter, evaluates the newest run. Its adapter becomes active if it is significantly more often right, or
    as often right with fewer unsupported sentences, and has forgotten little.
    """
    from assistant.cli.progress_bars import Bars
    from assistant.cli.tables import print_evaluation, print_retrieval

    opened = Domain.open(domain)
    if retrieval:
        from assistant.evaluation.retrieval import evaluate_retrieval

        if questions or adapter is not None or again:
            raise DomainError(
                "--retrieval uses all questions and no chat model; leave out --questions, --adapter and --again."
            )
        print_retrieval(evaluate_retrieval(opened))
        return
    from assistant.evaluation.written_result import evaluate_domain

    with Bars("no result was written. The same command starts the evaluation again.") as bars:
        result = evaluate_domain(opened, adapter_name(adapter), questions, again, bars.update)
    print_evaluation(result, opened.command("evaluate") if questions else "")


def adapter_name(option: str | None) -> str | None:
    """Convert the --adapter flag: None is domain.toml's adapter, empty the base model."""
    return "" if option == "base" else option
