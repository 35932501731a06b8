"""The door of the server: which host is addressed, which key is sent, and what is measured of each request."""

import ipaddress
import time
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.api.errors import ApiError
from assistant.api.jobs import Jobs
from assistant.api.keys import KeyCheck
from assistant.errors import AssistantError

LARGEST_BODY = 1_000_000
"""Bytes of a request. Chosen: more than the longest context of the catalogue."""

OPEN_PATHS = ("/health",)
"""Paths that need no key."""


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach a server bound to this host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Metrics:
    """What ``/metrics`` reports."""

    def __init__(self, jobs: Jobs) -> None:
        self.registry = own = CollectorRegistry()
        self.requests = Counter("lorewright_requests", "Requests.", ["endpoint", "status"], registry=own)
        self.seconds = Histogram(
            "lorewright_request_seconds", "Time until the response ends.", ["endpoint"], registry=own
        )
        self.tokens = Counter("lorewright_tokens", "Tokens of prompts and answers.", ["model", "kind"], registry=own)
        self.refusals = Counter(
            "lorewright_refusals", "Questions that the documents do not answer.", ["model"], registry=own
        )
        waiting = Gauge("lorewright_waiting", "Requests in the queue.", registry=own)
        waiting.set_function(lambda: jobs.waiting)
        running = Gauge("lorewright_running", "Answers that are being computed.", registry=own)
        running.set_function(lambda: jobs.running)


class Guard:
    """ASGI middleware: refuses foreign hosts and keys, and measures.

    A web page whose name was made to point to this machine (DNS rebinding) sends its own name as host. So the host must
    be a loopback name, the bound host, or, where the server is bound to all addresses, an address and no name.
    """

    def __init__(self, app: ASGIApp, host: str, keys: KeyCheck | None, metrics: Metrics) -> None:
        self.app, self.host, self.keys, self.metrics = app, host.lower(), keys, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise HTTPException(413)
            return message

        began, status = time.monotonic(), 499  # the client hung up before a response

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            try:
                self._admit(scope)
            except ApiError as error:
                await error.response()(scope, receive, noted)
            except AssistantError as error:  # the file of the keys is damaged
                await ApiError(503, str(error)).response()(scope, receive, noted)
            else:
                await self.app(scope, bounded, noted)
        finally:
            endpoint = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(endpoint, status).inc()
            self.metrics.seconds.labels(endpoint).observe(time.monotonic() - began)

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if not self._is_own(headers.get("host", "")):
            raise ApiError(
                421, f"the server does not answer as {headers.get('host', '')[:100]!r}; use its own address.", "host"
            )
        if self.keys and scope["path"] not in OPEN_PATHS:
            self.keys.admit(headers.get("authorization", ""))

    def _is_own(self, header: str) -> bool:
        try:
            host = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        if is_loopback(host) or host == self.host:
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return self.host in ("0.0.0.0", "::")
