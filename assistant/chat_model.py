"""A local model as a LangChain chat model: invoke, stream, batch, async, usage, tools.

    llm = LocalChatModel(model="qwen2.5-coder-0.5b-instruct", adapter="tea-shop/adapters/first")
    llm.invoke("龙井怎么泡?").content

Weights are loaded at the first call and shared by all instances in the process that name the same model. An adapter is
active only during a call. transformers runs one call at a time; OpenVINO batches concurrent calls.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

from assistant.errors import AssistantError
from assistant.tool_calls import split_tool_calls
from base_models import Sampling, generate, load_openvino, stream
from base_models.engine_selection import choose_engine
from base_models.generation import Generation
from base_models.messages import Message

if TYPE_CHECKING:
    from base_models.engines import Engine
    from base_models.loaded_model import LoadedModel

ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "tool"}


LOADING = threading.Lock()
"""Prevents threads from loading the same weights twice."""


@lru_cache(maxsize=1)  # one base model fills the memory of a small machine; another name replaces it
def _loaded(model: str, quantization: Literal["nf4", "int8"] | None, dtype: str, device: str) -> "LoadedModel":
    from base_models import load  # imports torch, which OpenVINO does not need

    return load(model, quantization=quantization, dtype=dtype, device=device)


@lru_cache(maxsize=1)
def _in_openvino(model: str) -> "Engine":
    return load_openvino(model)


class LocalChatModel(BaseChatModel):
    """A chat model on this machine, from the catalogue or a folder.

    Every field can be overridden for one call: ``llm.invoke(question, max_tokens=40)``, ``llm.bind(temperature=0.7)``.
    """

    model: str
    """Catalogue name or path of a model folder."""
    engine: Literal["auto", "transformers", "openvino"] = "auto"
    """The inference engine; "auto" selects the faster one for this model, adapter and machine."""
    adapter: Path | None = None
    """Folder of a finished run; None for the base model."""
    quantization: Literal["nf4", "int8"] | None = None
    dtype: str = "auto"
    device: str = "auto"
    max_tokens: int = Field(default=256, ge=1)
    """Maximum tokens in one answer."""
    temperature: float = Field(default=0.0, ge=0)
    repetition_penalty: float = Field(default=1.0, ge=1)
    batch_size: int = Field(default=8, ge=1)
    """Number of prompts that :meth:`answer_many` decodes together."""
    stop: list[str] | None = None
    """Stop strings: the answer ends before the first of them."""

    @property
    def loaded(self) -> "LoadedModel":
        """The transformers model, whatever the engine; loaded on first use."""
        with LOADING:
            return _loaded(self.model, self.quantization, self.dtype, self.device)

    @property
    def answering(self) -> "Engine":
        """The engine that answers, with its weights; loaded on first use."""
        with LOADING:
            choice = choose_engine(self.model, self.engine, self.adapter, self.quantization, self.dtype, self.device)
            if choice.engine == "openvino":
                return _in_openvino(self.model)
        return self.loaded

    def answer_many(
        self, conversations: Sequence[Sequence[Message]], progress: Callable[[int], None] | None = None
    ) -> list[Generation]:
        """Answer many conversations in batches, far faster than one by one. No callbacks are called."""
        return generate(self.answering, conversations, self._sampling, self.adapter, None, self.batch_size, progress)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in the model's own chat format. The model decides whether to call one."""
        if tool_choice not in (None, "auto"):
            raise AssistantError("LocalChatModel does not support a forced tool_choice; leave it out or use 'auto'.")
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    @property
    def _sampling(self) -> Sampling:
        return Sampling(self.max_tokens, self.temperature, self.repetition_penalty)

    @property
    def _llm_type(self) -> str:
        return "lorewright-local"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "adapter": str(self.adapter) if self.adapter else None}

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        tools: Sequence[dict] | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if given := {name: value for name, value in kwargs.items() if name in type(self).model_fields}:
            yield from self.model_copy(update=given)._stream(messages, stop, run_manager, tools)
            return
        pieces = stream(
            self.answering, [_message(message) for message in messages], self._sampling, self.adapter, tools
        )
        stops = stop or self.stop or []
        # With tools, text is held back until it is complete, so that a tool call is never shown as an answer.
        held_back = "" if tools is None else None
        whole = ""
        cut = False
        generation: Generation | None = None
        for piece in pieces:
            if isinstance(piece, Generation):
                generation = piece
                break
            whole += piece
            if found := min((whole.find(text) for text in stops if text in whole), default=-1) + 1:
                whole, cut = whole[: found - 1], True
                break
            if held_back is not None:
                ready = whole[: len(whole) - _possible_stop(whole, stops)]
                if new := ready[len(held_back) :]:
                    held_back = ready
                    yield self._chunk(AIMessageChunk(content=new), run_manager)
        pieces.close()  # type: ignore[attr-defined]  # stops the model after a stop string
        if held_back is not None:
            if rest := whole[len(held_back) :]:
                yield self._chunk(AIMessageChunk(content=rest), run_manager)
        else:
            text, calls = split_tool_calls(whole, tools or [])
            chunks = [
                tool_call_chunk(name=call["name"], args=call["arguments"], id=call["id"], index=index)
                for index, call in enumerate(calls)
            ]
            yield self._chunk(AIMessageChunk(content=text, tool_call_chunks=chunks), run_manager)
        yield self._last_chunk(messages, whole, generation, cut, tools, run_manager)

    def _last_chunk(
        self,
        messages: list[BaseMessage],
        whole: str,
        generation: Generation | None,
        cut: bool,
        tools: Sequence[dict] | None,
        run_manager: CallbackManagerForLLMRun | None,
    ) -> ChatGenerationChunk:
        """The chunk with the token usage and the finish reason."""
        from base_models.messages import encode

        tokenizer = self.answering.tokenizer
        if generation is None:  # ended by a stop string: count the tokens that were kept
            prompt = len(encode(tokenizer, [_message(message) for message in messages], tools).ids)
            completion = len(tokenizer(whole, add_special_tokens=False).input_ids)
        else:
            prompt, completion = generation.prompt_tokens, generation.completion_tokens
        finished = cut or (generation is not None and generation.stopped)
        message = AIMessageChunk(
            content="",
            usage_metadata=UsageMetadata(
                input_tokens=prompt, output_tokens=completion, total_tokens=prompt + completion
            ),
            response_metadata={
                "model_name": self.model,
                "model_provider": "lorewright",
                "finish_reason": "stop" if finished else "length",
            },
            chunk_position="last",
        )
        return self._chunk(message, run_manager)

    @staticmethod
    def _chunk(message: AIMessageChunk, run_manager: CallbackManagerForLLMRun | None) -> ChatGenerationChunk:
        chunk = ChatGenerationChunk(message=message)
        if run_manager and chunk.text:
            run_manager.on_llm_new_token(chunk.text, chunk=chunk)
        return chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = list(self._stream(messages, stop, None, **kwargs))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        merged = whole.message
        assert isinstance(merged, AIMessageChunk)
        message = AIMessage(
            content=merged.content,
            tool_calls=merged.tool_calls,
            invalid_tool_calls=merged.invalid_tool_calls,
            usage_metadata=merged.usage_metadata,
            response_metadata=merged.response_metadata,
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def _message(message: BaseMessage) -> dict[str, Any]:
    """Convert a LangChain message to the format of transformers' chat templates."""
    if message.type not in ROLES:
        raise AssistantError(
            f"a local model does not accept messages of type {message.type!r}; use {', '.join(ROLES)}."
        )
    result: dict[str, Any] = {"role": ROLES[message.type], "content": str(message.text)}
    if isinstance(message, AIMessage) and message.tool_calls:
        result["tool_calls"] = [
            {"type": "function", "function": {"name": call["name"], "arguments": call["args"]}}
            for call in message.tool_calls
        ]
    if isinstance(message, ToolMessage) and message.name:
        result["name"] = message.name
    return result


def _possible_stop(text: str, stops: Sequence[str]) -> int:
    """Number of characters at the end of ``text`` that may begin a stop string."""
    lengths = [length for stop in stops for length in range(1, len(stop)) if text.endswith(stop[:length])]
    return max(lengths, default=0)
