"""A local model as a LangChain chat model: invoke, stream, batch, async, usage, tools, structured output.

    llm = LocalChatModel(model="qwen2.5-coder-0.5b-instruct", adapter="tea-shop/adapters/first")
    llm.invoke("龙井怎么泡?").content
    llm.bind_tools([weather], tool_choice="any").invoke("杭州天气怎么样?").tool_calls

Tool calls and structured output are decoded within a grammar, so that they always parse, whatever the model. Weights
are loaded at the first call and shared by all instances in the process that name the same model. An adapter is active
only during a call. transformers runs one call at a time; OpenVINO batches concurrent calls.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.runnables.config import run_in_executor
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

from assistant.errors import AssistantError
from assistant.models.local_weights import LocalWeights
from assistant.models.messages import template_messages
from assistant.models.structured_output import answer_schema, parsed
from assistant.models.tool_calls import CALL_SIGNS, call_format, calls_grammar, split_tool_calls
from base_models import generate, stream
from base_models.constraints import json_grammar
from base_models.generation import Generation
from base_models.messages import Message, encode

ToolChoice = str | bool | dict[str, Any] | None


class LocalChatModel(LocalWeights, BaseChatModel):
    """A chat model on this machine, from the catalogue or a folder.

    Every field can be overridden for one call: ``llm.invoke(question, max_tokens=40)``, ``llm.bind(adapter="first")``.
    ``grammar``, of :mod:`base_models.constraints`, constrains one answer.
    """

    batch_size: int = Field(default=8, ge=1)
    """Number of prompts that :meth:`answer_many` decodes together."""

    def answer_many(
        self, conversations: Sequence[Sequence[Message]], progress: Callable[[int], None] | None = None
    ) -> list[Generation]:
        """Answer many conversations in batches, far faster than one by one. No callbacks are called."""
        return generate(self.answering, conversations, self.sampling(), self.adapter, None, self.batch_size, progress)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: ToolChoice = None,
        parallel_tool_calls: bool = True,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools to the model, whose calls always match their schemas.

        ``tool_choice``: None or "auto", the model decides; "any", "required" or True, it must call; the name of a tool,
        it must call that one; "none", it must not. With ``parallel_tool_calls`` False it calls at most one.
        """
        offered = [convert_to_openai_tool(tool) for tool in tools]
        _required(offered, tool_choice)
        return self.bind(tools=offered, tool_choice=tool_choice, parallel_tool_calls=parallel_tool_calls, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Literal["json_schema", "function_calling", "json_mode"] = "json_schema",
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """A model that answers with an object of this schema: a Pydantic class, TypedDict or JSON schema.

        With "json_schema" the answer is decoded within the schema; with "function_calling" it is the arguments of a
        call; with "json_mode" it is any JSON object, checked afterwards. ``include_raw`` returns a dict with ``raw``,
        ``parsed`` and ``parsing_error``.
        """
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        return parsed(self, schema, include_raw, free=method == "json_mode")

    def get_token_ids(self, text: str) -> list[int]:
        """The ids of a text, with which LangChain counts tokens."""
        return list(self.answering.tokenizer(text, add_special_tokens=False).input_ids)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """The tokens of the prompt that these messages and tools make in the model's chat format."""
        offered = [convert_to_openai_tool(tool) for tool in tools or ()]
        return len(self._encoded(messages, offered))

    @property
    def _llm_type(self) -> str:
        return "lorewright-local"

    def _encoded(self, messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]]) -> list[int]:
        form = call_format(self.answering.tokenizer)
        written = template_messages(messages, form, tools)
        return encode(self.answering.tokenizer, written, tools if form.in_template else None).ids

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        tools: Sequence[dict[str, Any]] = (),
        tool_choice: ToolChoice = None,
        parallel_tool_calls: bool = True,
        response_format: dict[str, Any] | None = None,
        grammar: str = "",
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        llm = self.overridden(kwargs)
        tools, required = _required(tools, tool_choice)
        tokenizer = llm.answering.tokenizer
        form = call_format(tokenizer)
        schema = answer_schema(response_format)
        if schema is not None:
            grammar = json_grammar(schema)
        elif tools and not grammar:
            grammar = calls_grammar(tokenizer, tools, required, parallel_tool_calls)
        written = template_messages(messages, form, tools, schema)
        listed = tools if tools and form.in_template else None
        whole, shown = "", 0
        generation: Generation | None = None
        stops = stop or llm.stop or []
        for piece in stream(llm.answering, written, llm.sampling(grammar), llm.adapter, listed, stops):
            if isinstance(piece, Generation):
                generation = piece
                break
            whole += piece
            # what may be a call is held back until it is complete, so that a call is never shown as an answer
            ready = min(_begin_of_call(whole) if tools else len(whole), len(whole))
            if ready > shown:
                yield _chunk(AIMessageChunk(content=whole[shown:ready]), run_manager)
                shown = ready
        assert generation is not None
        if len(whole) > shown:
            text, calls = split_tool_calls(whole[shown:], tools)
            chunks = [
                tool_call_chunk(name=call["name"], args=call["arguments"], id=call["id"], index=index)
                for index, call in enumerate(calls)
            ]
            yield _chunk(AIMessageChunk(content=text, tool_call_chunks=chunks), run_manager)
        yield _chunk(llm._last_chunk(generation), run_manager)

    def _last_chunk(self, generation: Generation) -> AIMessageChunk:
        """The chunk with the token usage, the finish reason and the log-probabilities."""
        prompt, completion = generation.prompt_tokens, generation.completion_tokens
        metadata: dict[str, Any] = {
            "model_name": self.model,
            "model_provider": "lorewright",
            "finish_reason": "stop" if generation.stopped else "length",
        }
        if self.logprobs:
            metadata["logprobs"] = {"content": self.log_probabilities(generation)}
        usage = UsageMetadata(input_tokens=prompt, output_tokens=completion, total_tokens=prompt + completion)
        return AIMessageChunk(content="", usage_metadata=usage, response_metadata=metadata, chunk_position="last")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        """As :meth:`_stream`, in a thread. A task that is cancelled stops the model at its next token."""
        pieces = self._stream(messages, stop, None, **kwargs)
        one_at_a_time = threading.Lock()

        def advance() -> ChatGenerationChunk | None:
            with one_at_a_time:
                return next(pieces, None)

        def close() -> None:
            with one_at_a_time:
                pieces.close()  # type: ignore[attr-defined]  # a generator

        try:
            while (chunk := await run_in_executor(None, advance)) is not None:
                if run_manager and chunk.text:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        finally:
            await asyncio.shield(run_in_executor(None, close))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _joined(list(self._stream(messages, stop, None, **kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _joined([chunk async for chunk in self._astream(messages, stop, None, **kwargs)])


def _required(tools: Sequence[dict[str, Any]], choice: ToolChoice) -> tuple[list[dict[str, Any]], bool]:
    """The tools that may be called, and whether one must be."""
    if isinstance(choice, dict):  # OpenAI's {"type": "function", "function": {"name": ...}}
        choice = choice.get("function", {}).get("name", "auto")
    if choice in (None, False, "auto") or not tools:
        return list(tools), False
    if choice == "none":
        return [], False
    if choice in (True, "any", "required"):
        return list(tools), True
    named = [tool for tool in tools if tool["function"]["name"] == choice]
    if not named:
        names = ", ".join(tool["function"]["name"] for tool in tools)
        raise AssistantError(f'tool_choice is {choice!r}, but the tools are {names}; or use "auto", "any" or "none".')
    return named, True


def _begin_of_call(text: str) -> int:
    """Where a call may begin in a text that is not complete yet; its length if nowhere."""
    found = [at for sign in CALL_SIGNS if (at := text.find(sign)) >= 0]
    begun = [
        len(text) - length for sign in CALL_SIGNS for length in range(1, len(sign)) if text.endswith(sign[:length])
    ]
    return min([*found, *begun], default=len(text))


def _chunk(message: AIMessageChunk, run_manager: CallbackManagerForLLMRun | None) -> ChatGenerationChunk:
    chunk = ChatGenerationChunk(message=message)
    if run_manager and chunk.text:
        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
    return chunk


def _joined(chunks: Sequence[ChatGenerationChunk]) -> ChatResult:
    merged = reduce(add, chunks).message
    assert isinstance(merged, AIMessageChunk)
    message = AIMessage(
        content=merged.content,
        tool_calls=merged.tool_calls,
        invalid_tool_calls=merged.invalid_tool_calls,
        usage_metadata=merged.usage_metadata,
        response_metadata=merged.response_metadata,
    )
    return ChatResult(generations=[ChatGeneration(message=message)])
