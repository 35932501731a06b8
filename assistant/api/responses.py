"""Pieces of an answer as OpenAI's JSON: one body, or a stream of server-sent events."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from assistant.api.answering import Piece
from assistant.api.errors import ApiError
from assistant.api.jobs import Job, Jobs, Work
from assistant.api.requests import ChatRequest, CompletionRequest
from domain import DomainError

Finished = Callable[[Piece], None]
"""Called with the last piece of each answer."""


def as_api_error(error: BaseException) -> ApiError:
    """An error as the client sees it; raises anything that is not the user's to mend."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, DomainError):
        code = "context_length_exceeded" if "the context of" in str(error) else None
        return ApiError(400, str(error), code)
    if isinstance(error, RecursionError):
        return ApiError(400, "the request is nested too deeply; send a flatter schema.")
    raise error


async def until_hung_up(request: Request, awaited: Awaitable[Any]) -> Any:
    """The result, or :class:`ClientDisconnect` as soon as the client hangs up."""

    async def hang_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    work, gone = asyncio.ensure_future(awaited), asyncio.ensure_future(hang_up())
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        work.cancel()
        gone.cancel()


async def result(request: Request, jobs: Jobs, work: Work) -> Any:
    """The single result of a computation."""
    return (await _all(request, jobs, work))[0]


async def _all(request: Request, jobs: Jobs, work: Work) -> list[Any]:
    job = jobs.start(work)

    async def collected() -> list[Any]:
        return [piece async for piece in job]

    try:
        return await until_hung_up(request, collected())
    finally:
        job.close()


async def respond(
    request: Request, body: ChatRequest | CompletionRequest, jobs: Jobs, work: Work, finished: Finished
) -> Response:
    """Answer a request: whole, or as a stream. An error before the first piece has its own HTTP status."""
    write = _Writer(body)
    if not body.stream:
        pieces = await _all(request, jobs, work)
        finished(pieces[-1])
        return JSONResponse(write.whole(pieces))
    job = jobs.start(work)
    try:
        first = await until_hung_up(request, anext(job))
    except BaseException:
        job.close()
        raise

    async def events() -> AsyncIterator[str]:
        try:
            piece: Piece | None = first
            yield _event(write.chunk({"role": "assistant", "content": ""}) if write.is_chat else None)
            while piece is not None:
                yield _event(write.piece(piece))
                if piece.finish_reason:
                    finished(piece)
                    if body.stream_options and body.stream_options.include_usage:
                        yield _event({**write.head(chunk=True), "choices": [], "usage": piece.usage})
                piece = await anext(job, None)
        except (ApiError, DomainError) as error:
            yield _event(as_api_error(error).body)
        yield "data: [DONE]\n\n"

    return _Stream(events(), job)


class _Stream(StreamingResponse):
    """A stream of events that frees its place however it ends."""

    def __init__(self, events: AsyncIterator[str], job: Job) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self.job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.job.close()


def _event(body: dict[str, Any] | None) -> str:
    return "" if body is None else f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


class _Writer:
    """Writes the answer to one request in the form of its endpoint."""

    def __init__(self, body: ChatRequest | CompletionRequest) -> None:
        self.is_chat = isinstance(body, ChatRequest)
        self._model, self._created = body.model, int(time.time())
        self._id = ("chatcmpl-" if self.is_chat else "cmpl-") + uuid.uuid4().hex

    def head(self, chunk: bool) -> dict[str, Any]:
        kind = ("chat.completion.chunk" if chunk else "chat.completion") if self.is_chat else "text_completion"
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}

    def chunk(
        self, delta: dict[str, Any], reason: str | None = None, logprobs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        said = {"delta": delta} if self.is_chat else {"text": delta.get("content", "")}
        choice = {"index": 0, **said, "logprobs": logprobs, "finish_reason": reason}
        return {**self.head(chunk=True), "choices": [choice]}

    def piece(self, piece: Piece) -> dict[str, Any]:
        delta: dict[str, Any] = {"content": piece.content} if piece.content or not piece.finish_reason else {}
        if piece.tool_calls:
            delta["tool_calls"] = list(piece.tool_calls)
        if piece.lorewright:
            delta["lorewright"] = piece.lorewright
        return self.chunk(delta, piece.finish_reason, piece.logprobs)

    def whole(self, pieces: list[Piece]) -> dict[str, Any]:
        last, text = pieces[-1], "".join(piece.content for piece in pieces)
        choice: dict[str, Any] = {"index": 0, "finish_reason": last.finish_reason, "logprobs": last.logprobs}
        if not self.is_chat:
            return {**self.head(chunk=False), "choices": [{**choice, "text": text}], "usage": last.usage}
        message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
        calls = [
            {name: value for name, value in call.items() if name != "index"}
            for piece in pieces
            for call in piece.tool_calls
        ]
        message |= {"tool_calls": calls} if calls else {"content": text}
        message |= {"lorewright": last.lorewright} if last.lorewright else {}
        return {**self.head(chunk=False), "choices": [{**choice, "message": message}], "usage": last.usage}
