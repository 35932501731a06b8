"""Reads documents in a child process with limits, because documents may come from anybody.

A parser that hangs, exhausts memory or crashes the interpreter costs one document, not the update: the process
(:mod:`indexes.readers.child_process`) is killed and the next document gets a new one. The two processes share only two
pipes of JSON lines. The limits are time without progress, total time, and memory (on Linux only: on other systems a
process cannot limit its own memory).
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from indexes.errors import IndexingError, UnopenedError
from indexes.readers import Block, Extracted

SILENT_SECONDS = 120.0
TOTAL_SECONDS = 30 * 60.0
"""Long scans take minutes, and report progress for each page."""
MEMORY_BYTES = 4_000_000_000

RequestProgress = Callable[["Request", int, int], None]
"""Callback with the document, the current page, and the number of pages."""


class Request(NamedTuple):
    """A document to read."""

    folder: Path
    """The documents folder; nothing outside it is read."""
    name: str
    """The path relative to ``folder``, which identifies the document and may determine its format."""
    known_sha256: str = ""
    """Hash of the stored content: a file with the same content is not parsed."""


@dataclass(frozen=True)
class ReadFile:
    """The content and metadata of a document at the time it was read."""

    size: int
    mtime_ns: int
    sha256: str
    document: Extracted | None
    """None if the content matches ``known_sha256``."""


class Reader:
    """Reads documents in a child process, which starts with the first document and ends with the ``with`` block."""

    def __init__(
        self,
        progress: RequestProgress = lambda request, page, pages: None,
        *,
        silent_seconds: float = SILENT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
        keep_stderr: bool = False,
    ) -> None:
        """``keep_stderr`` shows the output of libraries."""
        self.progress = progress
        self.silent_seconds = silent_seconds
        self.total_seconds = total_seconds
        self.memory_bytes = memory_bytes
        self.keep_stderr = keep_stderr
        self._child: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._asked: deque[Request] = deque()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, folder: Path, name: str) -> ReadFile:
        """Read one document.

        Raises :class:`IndexingError` with the end of a sentence that begins with the file name.
        """
        ((_, result),) = self.read_all([Request(folder, name)])
        if isinstance(result, IndexingError):
            raise result
        return result

    def read_all(self, requests: Iterable[Request]) -> Iterator[tuple[Request, ReadFile | IndexingError]]:
        """Read documents in order; the next one is read while the caller processes the current one.

        Raises :class:`IndexingError`, a whole sentence, if the process cannot be started.
        """
        try:
            for request in requests:
                self._ask(request)
                if len(self._asked) > 1:
                    yield self._asked[0], self._answer()
            while self._asked:
                yield self._asked[0], self._answer()
        finally:
            if self._asked:  # the caller stopped early: later requests must not get the answers still in the pipes
                self._end()
                self._asked.clear()

    def _ask(self, request: Request) -> None:
        self._asked.append(request)
        if self._child:
            self._send(request)

    def _send(self, request: Request) -> None:
        assert self._child
        assert self._child.stdin
        line = {"folder": str(request.folder.absolute()), "name": request.name, "known_sha256": request.known_sha256}
        with contextlib.suppress(OSError):  # the process has crashed; _wait reports it
            self._child.stdin.write(json.dumps(line).encode() + b"\n")
            self._child.stdin.flush()

    def _answer(self) -> ReadFile | IndexingError:
        """The answer to the first request. On failure, a new process gets the remaining requests."""
        if not self._child:
            self._start()
        request = self._asked[0]
        try:
            return self._wait(request)
        except IndexingError as error:
            self._end()
            return error
        finally:
            self._asked.popleft()

    def _wait(self, request: Request) -> ReadFile | IndexingError:
        """Raises :class:`IndexingError` if the process must be replaced."""
        started = time.monotonic()
        while True:
            left = started + self.total_seconds - time.monotonic()
            try:
                line = self._answers.get(timeout=max(0.0, min(left, self.silent_seconds)))
            except queue.Empty:
                seconds = self.total_seconds if left <= self.silent_seconds else self.silent_seconds
                raise IndexingError(f"took more than {seconds:g} seconds to read; split it or convert it") from None
            if line is None:
                raise IndexingError(f"crashed the reader ({self._how_it_ended()}); convert it to another format")
            answer = json.loads(line.decode("utf-8", "surrogatepass"))
            if "page" in answer:
                self.progress(request, answer["page"], answer["pages"])
            elif answer.get("exhausted"):  # the memory may still be in use
                raise IndexingError(answer["error"])
            elif "error" in answer:
                return (UnopenedError if answer.get("unopened") else IndexingError)(answer["error"])
            else:
                return ReadFile(**{**answer, "document": _document(answer["document"])})

    def _start(self) -> None:
        root = str(Path(__file__).parents[1])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        # one linear-algebra thread is enough, and each thread reserves memory
        environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "indexes.readers.child_process", str(self.memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if self.keep_stderr else subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches only the parent
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert self._child.stdout
        self._answers = queue.SimpleQueue()
        threading.Thread(target=_pass_on, args=(self._child.stdout, self._answers), daemon=True).start()
        try:
            ready = self._answers.get(timeout=SILENT_SECONDS)
        except queue.Empty:
            ready = None
        if ready is None:
            how = self._how_it_ended()
            self._end()
            raise IndexingError(
                f"The document reader process does not start ({how}); for details run: lorewright doctor"
            )
        for request in self._asked:
            self._send(request)

    def _how_it_ended(self) -> str:
        assert self._child
        try:
            status = self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "no response"
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    def _end(self) -> None:
        """Kill the process and its children, such as an OCR engine."""
        child, self._child = self._child, None
        if child:
            if hasattr(os, "killpg"):
                with contextlib.suppress(ProcessLookupError, PermissionError):  # it has already exited
                    os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()
            child.wait()
            if child.stdin:
                with contextlib.suppress(OSError):
                    child.stdin.close()


def _pass_on(stdout: IO[bytes], answers: "queue.SimpleQueue[bytes | None]") -> None:
    """Copy lines from the pipe to a queue, as some systems cannot wait on a pipe with a timeout; None at its end."""
    with stdout:
        for line in stdout:
            if line.endswith(b"\n"):
                answers.put(line)
    answers.put(None)


def _document(fields: dict[str, Any] | None) -> Extracted | None:
    if fields is None:
        return None
    blocks = []
    for block in fields["blocks"]:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in block.items()
        }
        blocks.append(Block(**values))
    return Extracted(**{**fields, "blocks": blocks})
