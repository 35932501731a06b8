"""A chain that extracts a table from the passages of a document, each row with its source."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel, ValidationError

from assistant.answering.prompts import Prompts
from assistant.chains.prompting import Texts, asking, documents_of
from assistant.progress import Progress


@dataclass(frozen=True)
class Row:
    """A row of an extracted table."""

    values: Any
    """An object of the Pydantic class, or a dict for a JSON schema."""
    source: Document
    """The passage that it was read from."""
    unsupported: list[str] = field(default_factory=list)
    """The columns whose value does not occur in the passage: the model may have invented it."""


def extract_table(
    llm: BaseChatModel,
    schema: type[BaseModel] | dict[str, Any],
    prompts: Prompts | None = None,
    max_rows: int = 10,
    progress: Progress | None = None,
) -> Runnable[Texts, list[Row]]:
    """From the passages of a document to the rows of a table.

    ``schema`` describes one row. At most ``max_rows`` rows are read from each passage. A row is left out if it is cut
    off by the limit on the tokens of an answer (``max_tokens``), if a validator of the class refuses it, or if the same
    passage has it already.
    """
    described = convert_to_json_schema(schema)
    wanted = _table_schema(described, max_rows)
    columns = ", ".join(described.get("properties", {}))
    reader = llm.with_structured_output(wanted, include_raw=True)

    def read(given: Texts, config: RunnableConfig) -> list[Row]:
        rows: list[Row] = []
        documents = documents_of(given)
        for number, document in enumerate(documents, start=1):
            text = document.page_content
            answer = reader.invoke(asking(prompts, "extract", text, text=text, columns=columns), config)
            for values in _complete_rows(answer, described):
                row = _row(values, schema, document)
                if row and row not in rows:
                    rows.append(row)
            if progress:
                progress("extracting", number, len(documents))
        return rows

    return RunnableLambda(read).with_config(run_name="extract_table")


def _table_schema(row: Mapping[str, Any], max_rows: int) -> dict[str, Any]:
    """The schema of a list of rows; definitions move to its root, where their references look for them."""
    definitions = {key: row[key] for key in ("$defs", "definitions") if key in row}
    items = {key: value for key, value in row.items() if key not in definitions}
    rows = {"type": "array", "items": items, "maxItems": max_rows}
    return {"title": "table", "type": "object", "properties": {"rows": rows}, "required": ["rows"], **definitions}


def _complete_rows(answer: Any, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of an answer; the last one is left out if the answer was cut off in it."""
    if answer["parsing_error"]:
        raise answer["parsing_error"]
    parsed = answer["parsed"] or {}
    rows = [one for one in parsed.get("rows", []) if isinstance(one, dict)]
    cut = answer["raw"].response_metadata.get("finish_reason") == "length"
    rows = rows[:-1] if cut else rows
    return [one for one in rows if all(name in one for name in row.get("required", []))]


def _row(values: dict[str, Any], schema: type[BaseModel] | dict[str, Any], source: Document) -> Row | None:
    text = _plain(source.page_content)
    unsupported = [name for name, value in values.items() if not _occurs(value, text)]
    if isinstance(schema, dict):
        return Row(values, source, unsupported)
    try:
        return Row(schema.model_validate(values), source, unsupported)
    except ValidationError:
        return None


def _occurs(value: Any, text: str) -> bool:
    """Whether a value, or every value in it, stands in the text; true and null claim no words."""
    if isinstance(value, dict | list):
        return all(_occurs(one, text) for one in (value.values() if isinstance(value, dict) else value))
    if value is None or isinstance(value, bool) or value == "":
        return True
    if isinstance(value, str):
        return _plain(value) in text
    written = {str(value), f"{value:g}", f"{value:,}"}
    return any(re.search(rf"(?<![\d.,]){re.escape(one)}(?![\d]|[.,]\d)", text) for one in written)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
