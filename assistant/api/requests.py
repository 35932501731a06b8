"""The bodies of requests, as OpenAI's API defines them. Fields that are not listed are ignored."""

import json
from typing import Annotated, Any, Literal, Self

from langchain_core.messages import BaseMessage, convert_to_messages
from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain import is_text

MOST_TEXTS = 2048
"""Texts in one request for embeddings or scores, as in OpenAI's API."""


class Body(BaseModel):
    """A request body: valid text and finite numbers."""

    model_config = ConfigDict(allow_inf_nan=False)

    model: str = Field(min_length=1)
    user: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, body: Any) -> Any:
        if isinstance(body, dict) and not is_text(json.dumps(body, ensure_ascii=False)):
            raise ValueError("the request contains half a character (a lone surrogate); send valid Unicode")
        return body


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class FunctionCall(BaseModel):
    name: str
    arguments: str


class ToolCall(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The content as one text."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content or ())


class Function(BaseModel):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str = ""
    parameters: dict[str, Any] | None = None


class Tool(BaseModel):
    type: Literal["function"]
    function: Function


class StreamOptions(BaseModel):
    include_usage: bool = False


class Generating(Body):
    """What requests for chat and for text have in common."""

    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = None
    stop: str | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=4)] | None = None
    n: Literal[1] | None = None

    def settings(self, context_length: int) -> dict[str, Any]:
        """The fields of a local model that the request sets."""
        given = {
            "max_tokens": self.max_tokens and min(self.max_tokens, context_length),
            "temperature": self.temperature,
            "top_p": self.top_p or (None if self.temperature is None else 1.0),
            "seed": None if self.seed is None else self.seed % 2**63,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop,
        }
        return {name: value for name, value in given.items() if value not in (None, [], [""])}


class ChatRequest(Generating):
    """The body of ``/v1/chat/completions``."""

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    tools: list[Tool] | None = Field(default=None, max_length=128)
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool = True
    response_format: dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)

    @model_validator(mode="after")
    def _checked(self) -> Self:
        self.max_tokens = self.max_completion_tokens or self.max_tokens
        last = self.messages[-1]
        if not last.text.strip() and last.role != "tool":
            raise ValueError("the last message is empty; write a question")
        return self

    def conversation(self) -> list[BaseMessage]:
        """The messages as LangChain's; raises ValueError for arguments of a call that are not a JSON object."""
        return convert_to_messages(
            [{**message.model_dump(exclude_none=True), "content": message.text} for message in self.messages]
        )


class CompletionRequest(Generating):
    """The body of ``/v1/completions``."""

    prompt: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=1)]
    )
    logprobs: int | None = Field(default=None, ge=0, le=20)

    @property
    def text(self) -> str:
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]


class EmbeddingRequest(Body):
    """The body of ``/v1/embeddings``; ``input_type`` is an extension."""

    input: str | Annotated[list[str], Field(min_length=1, max_length=MOST_TEXTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    input_type: Literal["passage", "query"] = "passage"

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class RerankDocument(BaseModel):
    text: str


class RerankRequest(Body):
    """The body of ``/v1/rerank``, as Jina and Cohere define it."""

    query: str = Field(min_length=1)
    documents: list[str | RerankDocument] = Field(min_length=1, max_length=MOST_TEXTS)
    top_n: int | None = Field(default=None, ge=1)
    return_documents: bool = False

    @property
    def texts(self) -> list[str]:
        return [one if isinstance(one, str) else one.text for one in self.documents]
