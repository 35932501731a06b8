"""Serving the Streamlit page: a free port on 127.0.0.1, no telemetry, one process until Ctrl-C."""

import os
import socket
import subprocess
import sys
from importlib.util import find_spec

import typer

from assistant.errors import AssistantError
from domain import Domain

ADDRESS = "127.0.0.1"
PORTS_TRIED = 50


def serve_page(domain: Domain, port: int, open_browser: bool) -> None:
    """Run the page for this domain; prints its URL and returns when it is stopped."""
    chosen = free_port(port)
    if chosen != port:
        typer.echo(f"Port {port} is taken; using {chosen}.")
    page = find_spec("ui.app")
    assert page is not None
    assert page.origin is not None
    options = {
        "server.address": ADDRESS,
        "server.port": chosen,
        "server.headless": str(not open_browser).lower(),
        "server.fileWatcherType": "none",
        "server.maxUploadSize": 1,
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
    }
    command = [sys.executable, "-m", "streamlit", "run", page.origin]
    command += [f"--{name}={value}" for name, value in options.items()]
    typer.echo(f"The page of {domain.path.name}: http://{ADDRESS}:{chosen}   (Ctrl-C ends it)")
    process = subprocess.Popen([*command, "--", str(domain.path.resolve())], env=os.environ)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        typer.echo("\nStopped; conversations are kept.")
    if process.returncode not in (0, -2, -15):
        raise AssistantError(f"the page ended with status {process.returncode}; try: lorewright doctor {domain.path}")


def free_port(first: int) -> int:
    """The first port at or after ``first`` that nobody listens on."""
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            # Without this, a port whose last owner just ended looks taken for a minute on Linux and macOS.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(os.name != "nt"))
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return port
    raise AssistantError(f"no free port from {first} to {first + PORTS_TRIED - 1}; name another with --port.")
