"""Serves the Streamlit page: a free port on 127.0.0.1, no telemetry, one process until Ctrl-C."""

import os
import signal
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
    server = find_spec("ui.serve")  # by name: this package must not import ui
    assert server is not None
    assert server.origin is not None
    # -P: modules in the current directory must not shadow ours.
    command = [sys.executable, "-P", server.origin, f"--server.port={chosen}"]
    # Flags, because environment variables would override the page's own configuration file.
    command += [f"--server.address={ADDRESS}", "--browser.gatherUsageStats=false"]
    command += [f"--server.headless={str(not open_browser).lower()}", "--", str(domain.path.resolve())]
    typer.echo(f"The page of {domain.path.resolve().name}: http://{ADDRESS}:{chosen}   (stop with Ctrl-C)")
    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        process.wait()
    except KeyboardInterrupt:  # a Ctrl-C from the keyboard reaches the page too
        process.terminate()
        process.wait()
        typer.echo("\nStopped; conversations are saved.")
    if process.returncode not in (0, -signal.SIGINT, -signal.SIGTERM):
        raise AssistantError(
            f"the page exited with status {process.returncode}; for details run: {domain.command('doctor')}"
        )


def free_port(first: int) -> int:
    """The first free port at or after ``first``."""
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            # Without this, a port that was just closed looks taken for a minute on Linux and macOS.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(os.name != "nt"))
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return port
    raise AssistantError(f"no free port from {first} to {first + PORTS_TRIED - 1}; choose another with --port.")
