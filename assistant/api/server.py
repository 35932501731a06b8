"""Runs the API with uvicorn until a signal; the answers in progress may end, or are cut after some seconds."""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from assistant.api.app import create_app
from assistant.api.guard import is_loopback
from assistant.api.jobs import Jobs
from assistant.api.keys import KeyCheck, read_keys
from assistant.api.served import Served
from assistant.assistant import Assistant
from assistant.errors import AssistantError

PARALLEL = 4
"""Answers that OpenVINO computes at once; transformers computes one. Chosen."""


@dataclass(frozen=True)
class ServerSettings:
    """How a server listens and what it bounds."""

    host: str = "127.0.0.1"
    port: int = 8000
    require_key: bool = False
    """Ask for a key on the loopback address too; on any other address it is always asked for."""
    requests_per_minute: int = 60
    """Of one key; 0 is no limit."""
    waiting: int = 32
    """Requests in the queue; more are refused."""
    timeout: float = 300.0
    """Seconds of one request, with its time in the queue."""
    grace: float = 10.0
    """Seconds that running answers have to end when the server stops."""


def serve(domains: Sequence[Path], settings: ServerSettings, say: Callable[[str], None]) -> None:
    """Serve these domains until SIGINT or SIGTERM. Raises :class:`AssistantError` if it cannot start."""
    needs_key = settings.require_key or not is_loopback(settings.host)
    if needs_key and not read_keys():
        raise AssistantError(
            f"a server on {settings.host} needs an API key; make one with: lorewright keys add NAME"
            + ("" if is_loopback(settings.host) else ", or serve this machine only: --host 127.0.0.1")
        )
    assistants = [Assistant.open(domain) for domain in domains]
    served = Served(assistants)
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listening = socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise AssistantError(
            f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}; choose another with --port."
        ) from None
    engine = served.llm.answering.engine  # loads the weights
    jobs = Jobs(PARALLEL if engine == "openvino" else 1, settings.waiting, settings.timeout)
    keys = KeyCheck(settings.requests_per_minute) if needs_key else None
    app = create_app(served, jobs, settings.host, keys)
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    say(f"Models: {', '.join(served.names())}")
    say(f"The API: http://{name}:{listening.getsockname()[1]}/v1   (stop with Ctrl-C)")
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=round(settings.grace) + 5
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises a signal again after it has stopped
    _Server(config, jobs, settings.grace, say).run(sockets=[listening])
    for assistant in assistants:
        assistant.close()
    say("Stopped.")


class _Server(uvicorn.Server):
    """uvicorn's server, which tells running answers when their time is over."""

    def __init__(self, config: uvicorn.Config, jobs: Jobs, grace: float, say: Callable[[str], None]) -> None:
        super().__init__(config)
        self.jobs, self.grace, self.say = jobs, grace, say

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, wait for running answers, and cut those that take longer."""
        if left := self.jobs.running + self.jobs.waiting:
            self.say(f"Stopping: {left} requests are not answered yet; they are cut after {self.grace:g} seconds.")
        cutting = asyncio.get_running_loop().call_later(self.grace, self.jobs.cut)
        await super().shutdown(sockets)
        cutting.cancel()
