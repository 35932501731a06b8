"""A server of the tea shop, started as a user starts it. Its model is a random one of two layers."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

ROOT = Path(__file__).parents[3]


class RunningServer:
    """`lorewright serve` in a process of its own."""

    def __init__(self, domains: list[Path], config: Path, options: list[str]) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "LOREWRIGHT_CONFIG": str(config)}
        environment |= {"PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "assistant.cli", "serve", *map(str, domains), "--port", "0", *options]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        printed = ""
        for line in self.process.stdout:
            printed += line
            if found := re.search(r"http://\S+/v1", line):
                self.url = found[0].replace("0.0.0.0", "127.0.0.1")
                break
        else:
            raise AssertionError(f"the server did not start: {printed}")
        self.root = self.url.removesuffix("/v1")

    def client(self, key: str = "none") -> OpenAI:
        return OpenAI(base_url=self.url, api_key=key, max_retries=0)

    def health(self) -> dict:
        return httpx.get(f"{self.root}/health").json()

    def stop(self, number: int = signal.SIGINT) -> str:
        """End the server with a signal; what it printed."""
        self.process.send_signal(number)
        printed, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, printed
        return printed


@pytest.fixture(scope="module")  # tests of other rooms count the child processes of this one
def start_api() -> Iterator[Callable[..., RunningServer]]:
    """Starts a server; all of them are ended with the tests."""
    servers: list[RunningServer] = []

    def started(domain: Path, config: Path, *options: str) -> RunningServer:
        servers.append(RunningServer([domain], config, list(options)))
        return servers[-1]

    yield started
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="module")
def api(start_api, tea_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> RunningServer:
    """The server that most tests share; 127.0.0.1, without keys."""
    return start_api(tea_shop, tmp_path_factory.mktemp("config"))


@pytest.fixture
def client(api: RunningServer) -> OpenAI:
    return api.client()


@pytest.fixture(scope="session")
def base(tiny_folder: Path) -> str:
    """The name of the base model."""
    return tiny_folder.name
