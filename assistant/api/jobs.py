"""Answers in worker threads: a bounded queue, a time limit for each, and an end when the client hangs up."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, cast

from assistant.api.errors import ApiError

RETRY_AFTER_SECONDS = 5
"""What a client is told to wait when the queue is full. Chosen: a short answer takes about so long on a laptop."""

Work = Callable[[threading.Event], Iterator[Any]]
"""Computes an answer piece by piece; it should end soon after the event is set."""


class Job:
    """One answer, iterated asynchronously. Whoever starts one must :meth:`close` it, which frees its place."""

    def __init__(self, work: Work, seconds: float) -> None:
        self._work, self._seconds = work, seconds
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + seconds
        self._pieces: asyncio.Queue[Any] = asyncio.Queue()
        self._stop = threading.Event()
        self.future: Future[None] | None = None

    def run(self) -> None:
        """Compute the answer; called in a worker thread."""
        try:
            with closing(cast(Any, self._work(self._stop))) as pieces:
                for piece in pieces:
                    if self._stop.is_set():
                        break
                    self._put(piece)
            self._put(StopAsyncIteration())
        except BaseException as error:  # raised again for the client
            self._put(error)

    def _put(self, piece: Any) -> None:
        with suppress(RuntimeError):  # the event loop ended before the answer
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

    def __aiter__(self) -> "Job":
        return self

    async def __anext__(self) -> Any:
        try:
            async with asyncio.timeout_at(self._until):
                piece = await self._pieces.get()
        except TimeoutError:
            self.close()
            raise ApiError(
                504, f"the answer took longer than {self._seconds:g} seconds; ask for fewer tokens, or try again later."
            ) from None
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def fail(self, error: ApiError) -> None:
        """End the answer with an error."""
        self._pieces.put_nowait(error)
        self.close()

    def close(self) -> None:
        """Stop the computation: at the model's next token, or before it begins."""
        self._stop.set()
        if self.future:
            self.future.cancel()


class Jobs:
    """The answers of a server: some are computed, some wait, and more are refused."""

    def __init__(self, parallel: int, waiting: int, seconds: float) -> None:
        self.parallel, self.seconds = parallel, seconds
        self.limit = parallel + waiting
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="answer")
        self._running: set[Job] = set()

    @property
    def running(self) -> int:
        """Number of answers that are computed now."""
        return min(len(self._running), self.parallel)

    @property
    def waiting(self) -> int:
        """Number of requests in the queue."""
        return len(self._running) - self.running

    def start(self, work: Work) -> Job:
        """Start an answer or put it into the queue; raises :class:`ApiError` 429 if the queue is full."""
        if len(self._running) >= self.limit:
            raise ApiError(
                429,
                f"the server is busy: {self.running} answers are being computed and {self.waiting} requests wait; "
                f"try again in {RETRY_AFTER_SECONDS} seconds.",
                "queue_full",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        job = Job(work, self.seconds)
        self._running.add(job)
        job.future = self._threads.submit(job.run)
        job.future.add_done_callback(lambda _: self._running.discard(job))
        return job

    def cut(self) -> None:
        """End all answers, because the server stops."""
        for job in list(self._running):
            job.fail(ApiError(503, "the server is stopping; the answer was cut.", "server_stopping"))
