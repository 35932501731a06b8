"""Structured output: the schema of an answer, and the answer read as an object of it."""

from collections.abc import Mapping
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser, PydanticOutputParser
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel

from assistant.errors import AssistantError
from assistant.models.tool_calls import closed

ANY_OBJECT = {"type": "object"}


def answer_schema(response_format: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The JSON schema of OpenAI's ``response_format``; None for plain text."""
    kind = (response_format or {"type": "text"}).get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return ANY_OBJECT
    try:
        assert response_format is not None
        return closed(response_format["json_schema"]["schema"])
    except (KeyError, TypeError):
        raise AssistantError(
            'response_format must be {"type": "json_schema", "json_schema": {"schema": ...}}, '
            '{"type": "json_object"} or {"type": "text"}.'
        ) from None


def parsed(
    llm: BaseChatModel, schema: dict[str, Any] | type, include_raw: bool, free: bool
) -> Runnable[LanguageModelInput, Any]:
    """The model with its answers parsed; ``free`` lets it write any JSON object."""
    described = convert_to_json_schema(schema)
    wanted = {"type": "json_schema", "json_schema": {"name": described.get("title", "answer"), "schema": described}}
    asked = llm.bind(
        response_format={"type": "json_object"} if free else wanted,
        ls_structured_output_format={"kwargs": {"method": "json_mode" if free else "json_schema"}, "schema": schema},
    )
    parser: BaseOutputParser = JsonOutputParser()
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        parser = PydanticOutputParser(pydantic_object=schema)
    if not include_raw:
        return asked | parser

    def read(answer: dict[str, Any]) -> dict[str, Any]:
        try:
            return {**answer, "parsed": parser.invoke(answer["raw"]), "parsing_error": None}
        except OutputParserException as error:
            return {**answer, "parsed": None, "parsing_error": error}

    return RunnableParallel(raw=asked) | RunnableLambda(read)
