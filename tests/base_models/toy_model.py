"""A toy model for the catalogue, and a hub on loopback that holds it and can misbehave."""

import hashlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from base_models.catalogue_entry import Carrier, Entry, File, Hub

TOY_FILES = {
    "config.json": b'{"toy": true}',
    "model.safetensors": random.Random(1).randbytes(700_000),
    "1_Pooling/config.json": b'{"pooling": "mean"}',
}


def toy_entry(name: str = "toy", carrier: Carrier | None = None, files: dict[str, bytes] = TOY_FILES) -> Entry:
    return Entry(
        name=name,
        kind="embedder",
        summary="A toy.",
        licence="Apache-2.0",
        parameters=1000,
        context_length=8,
        files=tuple(File(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()),
        sources=(Hub("maker/toy"), carrier) if carrier else (Hub("maker/toy"),),
    )


@dataclass
class LoopbackHub:
    """A hub on this machine: what it holds, how it misbehaves, and what it was asked."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    """The next answers break off after so many bytes."""
    ignores_range: bool = False
    wait_after: int | None = None
    """After so many bytes an answer that is longer waits until ``go_on`` is set."""
    go_on: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def serve(hub: LoopbackHub) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.asked.append((self.path, self.headers["Range"]))
            if self.path not in hub.files:
                self.send_error(404)
                return
            data = hub.files[self.path]
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if self.headers["Range"] else 0
            if start and not hub.ignores_range:
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                data = data[start:]
            else:
                self.send_response(200)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if hub.cut_after:
                data = data[: hub.cut_after.pop(0)]
            if hub.wait_after is not None and len(data) > hub.wait_after:
                self.wfile.write(data[: hub.wait_after])
                hub.go_on.wait(120)
                data = data[hub.wait_after :]
            self.wfile.write(data)
            self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", hub.port), Handler)
    hub.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
