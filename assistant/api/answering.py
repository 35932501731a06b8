"""Answers as pieces: what a model or a domain computes in a worker thread, ready for the response.

A domain's draft may change when its citations are checked: sentences that no passage supports are left out, and quotes
follow. So the text of a domain is sent whole at the end, and the draft goes beside it, in the extension field
``lorewright.draft``. The content that a client of OpenAI's API adds up is always the final answer.
"""

import base64
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata

from assistant.answers import Answer, read_answer
from assistant.api.errors import ApiError
from assistant.api.requests import ChatRequest, CompletionRequest, EmbeddingRequest, RerankRequest
from assistant.api.served import DomainModel
from assistant.assistant import Assistant
from assistant.chain import Request, State, answering_chain
from assistant.models.chat_model import LocalChatModel
from assistant.models.local_llm import LocalLLM
from indexes import Passage

LONGEST_QUESTION = 20_000
"""Characters of a question to a domain. Chosen: a page of a book has 3,000."""


@dataclass(frozen=True)
class Piece:
    """A part of an answer; the last one has a finish reason."""

    content: str = ""
    tool_calls: Sequence[dict[str, Any]] = ()
    """Calls with ``index``, ``id`` and ``function``; the arguments of one index add up."""
    finish_reason: str | None = None
    usage: dict[str, int] = field(default_factory=dict)
    logprobs: dict[str, Any] | None = None
    lorewright: dict[str, Any] | None = None
    """The extension field: a piece of the draft, or the outcome, citations and sources of the answer."""


def plain_chat(llm: LocalChatModel, request: ChatRequest, stop: threading.Event) -> Iterator[Piece]:
    """The answer of the base model to the messages of a request."""
    settings = request.settings(llm.answering.context_length)
    if request.tools:
        settings |= {
            "tools": [tool.model_dump(exclude_none=True) for tool in request.tools],
            "tool_choice": request.tool_choice,
            "parallel_tool_calls": request.parallel_tool_calls,
        }
    if request.response_format:
        settings["response_format"] = request.response_format
    if request.logprobs:
        settings |= {"logprobs": True, "top_logprobs": request.top_logprobs or 0}
    called = False
    with closing(cast(Any, llm.stream(_conversation(request), **settings))) as chunks:
        for chunk in chunks:
            calls = [
                {
                    "index": call["index"],
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": call["args"]},
                }
                for call in chunk.tool_call_chunks
            ]
            called = called or bool(calls)
            reason = chunk.response_metadata.get("finish_reason")
            if reason:
                reason = "tool_calls" if called else reason
                yield Piece("", (), reason, _usage(chunk.usage_metadata), chunk.response_metadata.get("logprobs"))
            elif calls or chunk.text:
                yield Piece(str(chunk.text), calls)


def domain_chat(model: DomainModel, request: ChatRequest, stop: threading.Event) -> Iterator[Piece]:
    """The answer of a domain to a conversation: pieces of the draft, the final text, and its citations."""
    assistant = model.assistant
    asked = _question_checked(request)
    llm = assistant.llm.overridden(request.settings(assistant.llm.answering.context_length))
    chain = answering_chain(llm, assistant.index, assistant.prompts, assistant.refusal)
    context = Request(assistant.adapter_folder(model.adapter), stop)
    state: State = {"messages": asked}  # type: ignore[typeddict-item]  # the chain adds the search result
    events: Iterator[Any] = chain.stream(state, context=context, stream_mode=["messages", "updates"])
    for mode, event in events:
        if mode == "messages":
            chunk, metadata = event
            if isinstance(chunk, AIMessageChunk) and metadata["langgraph_node"] == "answer" and chunk.text:
                yield Piece(lorewright={"draft": str(chunk.text)})
        elif event.keys() & {"talk", "answer", "refuse"}:
            (update,) = event.values()
            message: AIMessage = update["messages"][-1]
            answer = read_answer(message)
            yield Piece(answer.text)
            yield Piece("", (), "stop", _usage(message.usage_metadata), None, extension(answer))


def extension(answer: Answer) -> dict[str, Any]:
    """The field ``lorewright`` of an answer."""
    return {
        "outcome": answer.outcome,
        "refused": answer.refused,
        "citations": [{"number": citation.number, **_source(citation.passage)} for citation in answer.citations],
        "sources": [_source(passage) for passage in answer.passages],
        "adapter": answer.adapter,
        "written": answer.written,
        "unsupported": answer.unsupported,
        "unknown_numbers": answer.unknown_numbers,
        "negations": answer.negations,
    }


def completion(llm: LocalLLM, request: CompletionRequest, stop: threading.Event) -> Iterator[Piece]:
    """The text that the base model writes after a prompt."""
    settings = request.settings(llm.answering.context_length)
    if request.logprobs is not None:
        settings |= {"logprobs": True, "top_logprobs": request.logprobs}
    changed = llm.overridden(settings)
    with closing(cast(Any, changed._stream(request.text))) as chunks:  # `stream` gives text without its usage
        for chunk in chunks:
            if (info := chunk.generation_info) is None:
                yield Piece(chunk.text)
                continue
            tokens = info["token_usage"]
            usage = _usage(
                UsageMetadata(
                    input_tokens=tokens["prompt_tokens"], output_tokens=tokens["completion_tokens"], total_tokens=0
                )
            )
            logprobs = _text_logprobs(info["logprobs"]["content"]) if "logprobs" in info else None
            yield Piece("", (), info["finish_reason"], usage, logprobs)


def embeddings(assistant: Assistant, request: EmbeddingRequest, stop: threading.Event) -> Iterator[dict[str, Any]]:
    """Vectors of texts, as the domain's index computes them."""
    embedder = assistant.index.embedder
    if request.dimensions not in (None, embedder.dimension):
        raise ApiError(400, f"{embedder.name} has vectors of {embedder.dimension} dimensions.", param="dimensions")
    encode = embedder.encode_queries if request.input_type == "query" else embedder.encode_passages
    rows = encode(request.texts)
    tokens = sum(len(embedder.token_offsets(text)) for text in request.texts)
    data = [
        {"object": "embedding", "index": number, "embedding": _encoded(row, request.encoding_format)}
        for number, row in enumerate(rows)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    yield {"object": "list", "data": data, "model": request.model, "usage": usage}


def reranked(assistant: Assistant, request: RerankRequest, stop: threading.Event) -> Iterator[dict[str, Any]]:
    """Scores of texts for a question, the best first."""
    reranker = assistant.index.reranker
    assert reranker is not None  # Served.reranking
    scores = reranker.scores(request.query, request.texts)
    order = sorted(range(len(scores)), key=lambda number: -scores[number])[: request.top_n]
    results: list[dict[str, Any]] = [{"index": number, "relevance_score": scores[number]} for number in order]
    if request.return_documents:
        results = [{**result, "document": {"text": request.texts[result["index"]]}} for result in results]
    yield {"model": request.model, "results": results}


def _conversation(request: ChatRequest) -> list[BaseMessage]:
    try:
        return request.conversation()
    except ValueError as error:
        raise ApiError(
            400, f"the arguments of a tool call are not a JSON object: {str(error).splitlines()[0]}", param="messages"
        ) from None


def _question_checked(request: ChatRequest) -> list[BaseMessage]:
    """The questions and answers of a conversation whose last message is a question."""
    given = {"tools": request.tools, "response_format": request.response_format, "logprobs": request.logprobs}
    if name := next((name for name, value in given.items() if value), None):
        raise ApiError(400, f"a domain does not accept {name}; use the base model for it.", param=name)
    asked, last = [one for one in request.messages if one.role in ("user", "assistant")], request.messages[-1]
    if last.role != "user":
        raise ApiError(400, f"the last message is of the {last.role}; a domain answers the user.", param="messages")
    if not any(character.isalnum() for character in last.text):
        raise ApiError(400, "the question contains no words.", param="messages")
    if len(last.text) > LONGEST_QUESTION:
        raise ApiError(
            400,
            f"the question has {len(last.text):,} characters, a domain accepts {LONGEST_QUESTION:,}; shorten it.",
            "context_length_exceeded",
            "messages",
        )
    return _conversation(request.model_copy(update={"messages": asked}))


def _source(passage: Passage) -> dict[str, Any]:
    return {
        "passage": passage.id,
        "document": passage.document,
        "place": passage.place,
        "text": passage.text,
        "score": passage.score,
    }


def _usage(usage: UsageMetadata | None) -> dict[str, int]:
    prompt, written = (usage["input_tokens"], usage["output_tokens"]) if usage else (0, 0)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def _text_logprobs(tokens: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Log-probabilities in the older form of ``/v1/completions``."""
    offsets = np.cumsum([0, *(len(token["token"]) for token in tokens)]).tolist()[:-1]
    return {
        "tokens": [token["token"] for token in tokens],
        "token_logprobs": [token["logprob"] for token in tokens],
        "top_logprobs": [{other["token"]: other["logprob"] for other in token["top_logprobs"]} for token in tokens],
        "text_offset": offsets,
    }


def _encoded(row: np.ndarray, encoding: str) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    return [float(value) for value in row]
