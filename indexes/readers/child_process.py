"""Child process that reads documents: ``python -m indexes.readers.child_process MEMORY_BYTES``.

It takes requests from standard input, one JSON object per line, and answers in the same format on its original standard
output; :mod:`indexes.reading` is the parent. It exits when its input ends, even in the middle of a document.
"""

import hashlib
import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from indexes.errors import IndexingError, UnopenedError
from indexes.readers import read_document, why_not_read
from indexes.readers.limits import MAX_FILE_BYTES
from indexes.readers.opening import open_document

PROGRESS_SECONDS = 0.1
"""Minimum interval between two progress messages."""


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    memory_bytes = int(sys.argv[1])
    _limit_memory(memory_bytes)
    requests, answers = _own_pipes()
    waiting: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
    threading.Thread(target=_take, args=(requests, waiting), daemon=True).start()
    _write(answers, _encoded({"ready": True}))
    while True:
        answer = _answer(waiting.get(), answers)
        _write(answers, answer or _encoded({"error": _too_little_memory(memory_bytes), "exhausted": True}))


def _answer(request: dict[str, str], answers: BinaryIO) -> bytes | None:
    """The line to answer with; None when memory ran out, because only the caller has room to report that."""
    try:
        return _encoded(_read(request, answers))
    except IndexingError as error:
        return _encoded({"error": str(error), "unopened": isinstance(error, UnopenedError)})
    except MemoryError:
        return None


def _too_little_memory(memory_bytes: int) -> str:
    return f"needs more than {memory_bytes / 1e9:.3g} GB of memory to read; split it"


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return standard input and output, and redirect both for libraries: what they print goes to standard error."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _take(requests: BinaryIO, waiting: "queue.SimpleQueue[dict[str, str]]") -> None:
    for line in requests:
        waiting.put(json.loads(line))
    # The parent is gone or has closed the pipe; this also ends a running OCR engine.
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _encoded(message: dict[str, object]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _write(answers: BinaryIO, line: bytes) -> None:
    try:
        answers.write(line)
        answers.flush()
    except BrokenPipeError:
        os._exit(0)


def _read(request: dict[str, str], answers: BinaryIO) -> dict[str, object]:
    """The fields of :class:`indexes.reading.ReadFile`."""
    data, mtime_ns = _content(Path(request["folder"]), request["name"])
    sha256 = hashlib.sha256(data).hexdigest()
    read: dict[str, object] = {"size": len(data), "mtime_ns": mtime_ns, "sha256": sha256, "document": None}
    if sha256 == request["known_sha256"]:
        return read
    told = time.monotonic()

    def progress(page: int, pages: int) -> None:
        nonlocal told
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            _write(answers, _encoded({"page": page, "pages": pages}))

    document = read_document(request["name"], data, progress)
    blocks = [
        {name: value for name, value in vars(block).items() if value not in (None, "", ())} for block in document.blocks
    ]
    read["document"] = {**vars(document), "blocks": blocks}
    return read


def _content(folder: Path, name: str) -> tuple[bytes, int]:
    """The content and modification time of a file, both from the opened file, even if its name is replaced later."""
    try:
        with open_document(folder, name) as file:
            status = os.fstat(file.fileno())
            if why := why_not_read(name, status.st_size):
                raise IndexingError(why)
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnopenedError(f"cannot be read: {error.strerror}") from None
    if why := why_not_read(name, len(data)):  # it has grown meanwhile
        raise IndexingError(why)
    return data, status.st_mtime_ns


def _limit_memory(memory_bytes: int) -> None:
    if sys.platform == "linux":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        limit = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _end_with_parent() -> None:
    """On Linux the kernel kills this process with its parent, even while a library blocks all threads."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


if __name__ == "__main__":
    main()
