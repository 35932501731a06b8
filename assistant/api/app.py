"""The routes of the API, as a FastAPI application.

FastAPI rather than plain Starlette, because it checks bodies and writes the OpenAPI schema (``/openapi.json``) from the
same classes. It is a Starlette application, so that another one can mount it and share this process's weights.
"""

from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from assistant.api.answering import Piece, completion, domain_chat, embeddings, plain_chat, reranked
from assistant.api.errors import ApiError
from assistant.api.guard import LARGEST_BODY, Guard, Metrics
from assistant.api.jobs import Jobs
from assistant.api.keys import KeyCheck
from assistant.api.requests import ChatRequest, CompletionRequest, EmbeddingRequest, Generating, RerankRequest
from assistant.api.responses import as_api_error, respond, result
from assistant.api.served import DomainModel, Served
from domain import DomainError


def create_app(served: Served, jobs: Jobs, host: str = "127.0.0.1", keys: KeyCheck | None = None) -> FastAPI:
    """The application for these models. Without ``keys`` no key is needed; ``host`` is the address it is bound to."""
    # the pages of the documentation would load scripts from another machine
    app = FastAPI(title="Lorewright", docs_url=None, redoc_url=None)
    metrics = Metrics(jobs)
    app.add_middleware(Guard, host=host, keys=keys, metrics=metrics)
    _add_error_handlers(app)

    def finished(body: Generating, piece: Piece) -> None:
        metrics.tokens.labels(body.model, "prompt").inc(piece.usage["prompt_tokens"])
        metrics.tokens.labels(body.model, "completion").inc(piece.usage["completion_tokens"])
        if (piece.lorewright or {}).get("refused"):
            metrics.refusals.labels(body.model).inc()

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request, body: ChatRequest) -> Response:
        """Answer a conversation, by a domain from its documents or by the base model."""
        model = served.chat(body.model)
        work = partial(domain_chat, model, body) if isinstance(model, DomainModel) else partial(plain_chat, model, body)
        return await respond(request, body, jobs, work, partial(finished, body))

    @app.post("/v1/completions")
    async def completions(request: Request, body: CompletionRequest) -> Response:
        """Continue a text with the base model."""
        work = partial(completion, served.text(body.model), body)
        return await respond(request, body, jobs, work, partial(finished, body))

    @app.post("/v1/embeddings")
    async def embed(request: Request, body: EmbeddingRequest) -> Response:
        """Vectors of texts, by the embedder of a domain."""
        return JSONResponse(await result(request, jobs, partial(embeddings, served.embedding(body.model), body)))

    @app.post("/v1/rerank")
    async def rerank(request: Request, body: RerankRequest) -> Response:
        """Order texts by how well they answer a question, by the reranker of a domain."""
        return JSONResponse(await result(request, jobs, partial(reranked, served.reranking(body.model), body)))

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        """The models: domains, their adapters, and the base model."""
        return {"object": "list", "data": [_model(name) for name in served.names()]}

    @app.get("/v1/models/{name}")
    def model(name: str) -> dict[str, Any]:
        """One model by name."""
        served.chat(name)
        return _model(name)

    @app.get("/health")
    def health() -> dict[str, Any]:
        """Whether the server answers, and how busy it is."""
        return {"status": "ok", "running": jobs.running, "waiting": jobs.waiting}

    @app.get("/metrics")
    def prometheus() -> Response:
        """Measurements for Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "lorewright"}


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    @app.exception_handler(DomainError)
    @app.exception_handler(RecursionError)
    async def refused(_request: Request, error: Exception) -> Response:
        return as_api_error(error).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        param = ".".join(map(str, first["loc"][1:]))
        message = first["msg"].removeprefix("Value error, ")
        return ApiError(400, f"{param}: {message}" if param else message, param=param or None).response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        message = f"{error.detail}: {request.method} {request.url.path[:200]}"
        if error.status_code == 413:
            message = f"the request is larger than {LARGEST_BODY:,} bytes; send less text."
        return ApiError(error.status_code, message, headers=error.headers).response()

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=499)

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        return ApiError(500, "the server failed; its log has the details.", "internal_error").response()
