"""The command line. To see what the program can do, read the commands below, and those in index_commands.py,
finetune_commands.py, data_commands.py, classifier_commands.py, reader_commands.py, memory_commands.py and
api_commands.py.

Each command is a function: its parameters are the arguments, its docstring is the help. Slow imports are inside the
commands, so that ``lorewright --help`` is fast.
"""

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from assistant.cli import (
    api_commands,
    classifier_commands,
    data_commands,
    index_commands,
    memory_commands,
    reader_commands,
)
from assistant.cli import finetune_commands as tuning_commands
from assistant.cli.finetune_commands import Adapter, DomainFolder, adapter_name
from domain import Domain, DomainError, create_domain

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"lorewright {version('lorewright')}")
        raise typer.Exit


@app.callback()
def lorewright(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Turn a folder of documents into an expert: index it, fine-tune a model on it, and get answers with citations."""


@app.command()
def new(
    domain: DomainFolder,
    base_model: Annotated[
        str | None, typer.Option(help="Chat model, see: lorewright models. [default: the best for this machine]")
    ] = None,
    embedder: Annotated[str | None, typer.Option(help="Embedding model, see: lorewright models.")] = None,
) -> None:
    """Create a domain folder; put your files into its documents/."""
    from assistant.cli.model_list import best_chat_model
    from base_models import CATALOGUE, fingerprint
    from domain import Settings

    chosen = {key: name for key, name in (("base_model", base_model), ("embedder", embedder)) if name}
    for folder in domain.resolve().parents:
        if (folder / "domain.toml").is_file():
            raise DomainError(f"{domain} is inside the domain {folder}; choose a folder outside it.")
    for name in set(chosen.values()) - set(CATALOGUE):
        fingerprint(name)  # raises an error that explains a wrong name or folder
    if not base_model and (best := best_chat_model().name) != Settings().base_model:
        chosen["base_model"] = best
    made = create_domain(domain, **chosen, adapter="reader")
    typer.echo(f"Created {domain}. Put documents into {made.documents}, then run: {made.command('index')}")
    typer.echo(f"The chat model is {made.settings.base_model}; to see others, run: lorewright models")


@app.command()
def pull(names: Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...")] = None) -> None:
    """Download and prepare models. Without names, the default chat model and embedder."""
    from base_models import CATALOGUE, fetch
    from base_models.acquire.fetch import is_fetched
    from base_models.encoder_selection import choose_encoder
    from base_models.engine_selection import choose_engine
    from domain import Settings

    for name in names or [Settings().base_model, Settings().embedder]:
        known = is_fetched(name)
        path = fetch(name)
        computed = ""
        if (kind := CATALOGUE[name].kind) != "reranker":
            choice = choose_engine(name) if kind == "chat" else choose_encoder(name, path)
            computed = f"; engine: {choice.engine}"
        typer.echo(f"{name}: {'already' if known else 'downloaded'} in {path}{computed}")


@app.command()
def models() -> None:
    """List the models of the catalogue, and which are downloaded."""
    from assistant.cli.model_list import print_models

    print_models()


app.add_typer(index_commands.app)  # index, search, export
app.add_typer(tuning_commands.app)  # finetune, use, adopt, merge, evaluate
app.add_typer(data_commands.app, name="data")
app.add_typer(classifier_commands.app, name="classifier")
app.add_typer(reader_commands.app, name="reader")
app.add_typer(memory_commands.app, name="memory")
app.add_typer(api_commands.app)  # serve, keys


@app.command()
def ask(
    domain: DomainFolder,
    question: str,
    adapter: Adapter = None,
    answer_anyway: Annotated[
        bool, typer.Option("--answer-anyway", help="Answer even if the documents do not seem to contain the answer.")
    ] = False,
) -> None:
    """Answer one question, with citations."""
    from assistant.assistant import DEFAULT, Assistant
    from assistant.cli.terminal import speak

    name = adapter_name(adapter)
    if not speak(Assistant.open(domain), question, None, DEFAULT if name is None else name, answer_anyway):
        raise typer.Exit(130)


@app.command()
def chat(
    domain: DomainFolder,
    conversation: Annotated[str, typer.Option(help="Name of the conversation to continue.")] = "terminal",
    adapter: Adapter = None,
) -> None:
    """Chat in the terminal. An empty line or Ctrl-D ends the chat; the conversation is saved.

    After a refusal, type ! to get an answer anyway.
    """
    from assistant.assistant import DEFAULT, Assistant
    from assistant.cli.terminal import read_line, speak

    assistant = Assistant.open(domain)
    name = adapter_name(adapter)
    question = ""
    while typed := read_line("? "):
        again = typed == "!" and question != ""
        question = question if again else typed
        speak(assistant, question, conversation, DEFAULT if name is None else name, again, "!")


@app.command()
def agent(domain: DomainFolder, question: str) -> None:
    """Answer one question with the agent. It decides when to search and when to calculate."""
    from assistant.assistant import Assistant

    result = Assistant.open(domain).agent.invoke({"messages": [("user", question)]}, {"recursion_limit": 12})
    for message in result["messages"][1:]:
        for call in getattr(message, "tool_calls", []):
            typer.echo(f"[{call['name']} {call['args']}]", err=True)
    typer.echo(result["messages"][-1].text)


@app.command()
def mcp(domain: DomainFolder) -> None:
    """Serve the domain to MCP clients.

    MCP is the Model Context Protocol: another program starts this command and calls the domain's search and answers as
    tools, over standard input and output.
    """
    from assistant.mcp_server import run_mcp

    run_mcp(domain)


@app.command()
def ui(
    domain: DomainFolder,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="First port to try; if it is taken, the next free one is used.")
    ] = 8501,
    open_browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Serve the web page on 127.0.0.1 until Ctrl-C."""
    from assistant.cli.page import serve_page

    serve_page(Domain.open(domain), port, open_browser)


@app.command()
def doctor(
    domain: Annotated[Path | None, typer.Argument(metavar="[DOMAIN]", help="A domain to check too.")] = None,
    model: Annotated[str | None, typer.Option(help="Estimate the memory that this chat model needs, instead.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="With --model: batch size.")] = 1,
    length: Annotated[int, typer.Option(min=8, max=65536, help="With --model: sequence length in tokens.")] = 256,
) -> None:
    """Show hardware, packages, models and settings. With --model, estimate the memory of a model instead."""
    from assistant.cli.doctor_report import print_forecast, print_report

    if model:
        print_forecast(model, batch, length)
    else:
        print_report(domain)


def _questions_last(arguments: list[str]) -> list[str]:
    """Move a question that starts with a dash ("-20℃ 能用吗？") behind ``--``, so that it is not parsed as an
    option."""
    if "--" in arguments:
        return arguments
    questions = [
        one for one in arguments if one.startswith("-") and (" " in one or not one.isascii()) and "=" not in one
    ]
    return [*(one for one in arguments if one not in questions), "--", *questions] if questions else arguments


def main() -> None:
    """Entry point. An error is printed as one sentence; ``--debug`` shows the traceback."""
    os.environ.setdefault("LANGSMITH_TRACING", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    debug = "--debug" in sys.argv
    if not debug:  # hides libraries' warnings to developers
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", module="peft")
        os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning")  # for the page's process
    arguments = _questions_last([argument for argument in sys.argv[1:] if argument != "--debug"])
    try:
        app(args=arguments, prog_name="lorewright", standalone_mode=True)
    except DomainError as error:
        if debug:
            raise
        sys.exit(f"lorewright: {error}")
    except OSError as error:
        if debug:
            raise
        sys.exit(f"lorewright: {error.strerror or error}: {error.filename or ''} (finished work is kept)")


if __name__ == "__main__":
    main()
