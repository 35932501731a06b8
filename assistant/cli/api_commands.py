"""``lorewright serve`` and ``lorewright keys …``: the API and its keys."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="Add, list and revoke the API's keys.")
app.add_typer(keys, name="keys")


@app.command()
def serve(
    domains: Annotated[list[Path], typer.Argument(metavar="DOMAIN...", help="Domain folders with one base model.")],
    host: Annotated[str, typer.Option(help="Address; any but this machine's own needs a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8000,
    require_key: Annotated[bool, typer.Option("--require-key", help="Ask for a key on 127.0.0.1 too.")] = False,
    requests_per_minute: Annotated[int, typer.Option(min=0, help="Limit for each key; 0 for none.")] = 60,
    waiting: Annotated[int, typer.Option(min=0, help="Requests that may wait; more are refused.")] = 32,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds of one request, with its wait.")] = 300,
    grace: Annotated[float, typer.Option(min=0, help="Seconds for running answers to end at Ctrl-C.")] = 10,
) -> None:
    """Serve OpenAI's API for these domains until Ctrl-C."""
    from assistant.api.server import ServerSettings
    from assistant.api.server import serve as serve_api

    settings = ServerSettings(host, port, require_key, requests_per_minute, waiting, timeout, grace)
    serve_api(domains, settings, typer.echo)


@keys.command()
def add(name: Annotated[str, typer.Argument(help="Who uses the key.")]) -> None:
    """Make a key. It is shown once; only its hash is stored."""
    from assistant.api.keys import add_key

    typer.echo(add_key(name))
    typer.echo(f"This is the key of {name!r}; keep it now, it is not shown again.", err=True)


@keys.command(name="list")
def list_keys() -> None:
    """List the names of the keys."""
    from assistant.api.keys import read_keys

    for name, kept in read_keys().items():
        typer.echo(f"{name}  {kept['created']}")


@keys.command()
def revoke(name: Annotated[str, typer.Argument(help="The name of the key.")]) -> None:
    """Revoke a key; running servers refuse it at once."""
    from assistant.api.keys import revoke_key

    revoke_key(name)
    typer.echo(f"The key {name!r} is revoked.")
