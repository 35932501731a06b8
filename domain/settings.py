"""The schema of ``domain.toml``: every key, its type, its default and the sentence that explains it.

Settings are declared here and in finetune_settings.py only; the command line's flags, the comments of a new
``domain.toml`` and its validation are generated from them. Names are those of ``transformers.TrainingArguments`` and
``peft.LoraConfig`` where those have one.
"""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tomlkit
from pydantic import Field, PlainValidator, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from domain.errors import DomainError
from domain.files import write_text
from domain.finetune_settings import FinetuneConfig, Table


class RetrievalSettings(Table):
    """Indexing and retrieval."""

    k: Annotated[int, Field(ge=1, le=20)] = 3
    """Number of passages in the prompt."""

    context_tokens: Annotated[int, Field(ge=64, le=16_384)] = 600
    """Maximum tokens (of the embedder) of these passages and their surrounding context together."""

    passage_tokens: Annotated[int, Field(ge=32, le=500)] = 300
    """Maximum tokens (of the embedder) per passage; a change requires `lorewright index --rebuild`."""

    dense_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Weight of vector search against full-text search in the ranking: 0 is full text only, 1 vectors only."""

    reranker: str = ""
    """Model that reranks the passages found: a name from `lorewright models`, or a folder; empty for none."""


REFUSAL_LEVELS = ("rare", "balanced", "strict")


def _refusal(value: Any) -> str | float:
    """A level by name, or a probability."""
    if value in REFUSAL_LEVELS:
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise PydanticCustomError("refusal", 'Input should be "rare", "balanced", "strict" or a number from 0 to 1')


class AnswerSettings(Table):
    """How answers are written."""

    max_new_tokens: Annotated[int, Field(ge=1, le=4096)] = 192
    """Maximum tokens per answer."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Sampling temperature; 0 always takes the most probable token."""

    repetition_penalty: Annotated[float, Field(ge=1, le=2)] = 1.05
    """Values above 1 make repetition less likely."""

    quotes: Annotated[int, Field(ge=0, le=10)] = 3
    """Number of sentences quoted from the documents below each answer; 0 for none."""

    refusal: Annotated[str | float, PlainValidator(_refusal)] = "balanced"
    """When to refuse: rare, balanced, strict, or the minimum probability of an answer, from 0 (never refuse) to 1."""


class McpServer(Table):
    """A server of the Model Context Protocol: a program that is started, or a URL."""

    command: tuple[str, ...] = ()
    """The program and its arguments, for example ["python", "server.py"]."""

    url: str = ""
    """The URL of a server that runs already, for example "http://127.0.0.1:8000/mcp"."""

    read_only: tuple[str, ...] = ()
    """Tools of this server that run without a person's approval, because they only read."""

    seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Seconds that one call may take."""

    @model_validator(mode="after")
    def _has_one_address(self) -> "McpServer":
        if bool(self.command) == bool(self.url):
            raise PydanticCustomError("mcp_server", "A server needs a command or a url, and not both")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise PydanticCustomError("mcp_server", "The url of a server must start with http:// or https://")
        return self


class ToolSettings(Table):
    """Which tools an agent has. Those that write, run code or go out still ask for approval."""

    search: bool = True
    """Search the documents."""

    read: bool = True
    """Read a document part by part."""

    list: bool = True
    """List the documents."""

    calculator: bool = True
    """Calculate."""

    dates: bool = True
    """Today's date, and days between dates."""

    tables: bool = True
    """Query the CSV and Excel files among the documents with SQL, read-only."""

    workspace: bool = False
    """List, read and write text files in the folder workspace/ of the domain."""

    web: bool = False
    """Read pages of the public internet."""

    python: bool = False
    """Run short Python programs without network and files (Linux only)."""

    mcp: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,29}$")], McpServer] = Field(default={})
    """Servers of the Model Context Protocol by name, each a table [tools.mcp.NAME]."""


class Settings(Table):
    """All of ``domain.toml``."""

    base_model: str = "qwen2.5-coder-0.5b-instruct"
    """Chat model: a name from `lorewright models`, or the path of a model folder."""

    engine: Literal["auto", "transformers", "openvino"] = "auto"
    """Inference engine; auto selects the faster one on this machine (`lorewright doctor` shows which)."""

    adapter: str = "reader"
    """Active adapter: a run under adapters/, or reader (shipped for some base models); empty for the base model."""

    embedder: str = "multilingual-e5-small"
    """Embedding model for passages and questions; a change requires `lorewright index --rebuild`."""

    language: Literal["auto", "en", "zh"] = "auto"
    """Language of answers; auto answers in the language of the question."""

    retrieval: RetrievalSettings = RetrievalSettings()
    answer: AnswerSettings = AnswerSettings()
    tools: ToolSettings = ToolSettings()
    finetune: FinetuneConfig = FinetuneConfig()


def read_settings(path: Path) -> Settings:
    """Read ``domain.toml``, or raise a :class:`DomainError` that names the file, the line, and the nearest key."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DomainError(f"{path}: not UTF-8 text; save the file as UTF-8.") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DomainError(f"{path}: not valid TOML: {error}.") from None
    return _validated(values, path, text)


def new_settings_text(**selected: str) -> str:
    """The text of a new ``domain.toml``: every key commented with its own help text, the selected ones set.

    Raises :class:`DomainError` for a selected key or value that ``domain.toml`` may not hold.
    """
    _validated(selected, Path("domain.toml"), "")
    lines = ["# The settings of this domain. A line that starts with # shows a default; remove the # to change it.", ""]
    tables: list[tuple[str, type[Table]]] = [
        ("", Settings),
        *((name, type(table)) for name, table in Settings() if isinstance(table, Table)),
    ]
    for table_name, table in tables:
        if table_name:
            lines += [f"[{table_name}]"]
        for key, field in table.model_fields.items():
            if isinstance(field.default, dict):  # tables whose names the user chooses
                lines += [f"# {field.description}"]
            if isinstance(field.default, Table | dict):
                continue
            value = selected.get(key, field.default) if not table_name else field.default
            assignment = f"{key} = {tomlkit.item(list(value) if isinstance(value, tuple) else value).as_string()}"
            lines += [f"# {field.description}", assignment if key in selected and not table_name else f"# {assignment}"]
        lines += [""]
    return "\n".join(lines)


def set_setting(path: Path, key: str, value: Any) -> None:
    """Set one key (``adapter``, or ``answer.temperature``) in ``domain.toml``; comments and layout stay as they are.

    Raises :class:`DomainError`, and writes nothing, where the file would no longer be valid.
    """
    read_settings(path)
    document: Any = tomlkit.parse(path.read_text(encoding="utf-8-sig"))
    table = document
    *tables, name = key.split(".")
    for part in tables:
        table = table.setdefault(part, tomlkit.table())
    if name in table or tables:
        table[name] = value
        text = tomlkit.dumps(document)
    else:  # a new key of the root belongs above the first [table]
        text = tomlkit.dumps({name: value}) + tomlkit.dumps(document)
    _validated(tomllib.loads(text), path, "")
    write_text(path, text)


def _validated(values: dict[str, Any], path: Path, text: str) -> Settings:
    """The settings, or a :class:`DomainError`; ``text`` is the file that ``values`` come from, for line numbers."""
    try:
        return Settings.model_validate(_toml_types(values))
    except ValidationError as error:
        raise DomainError(_explain(error, path, text)) from None


def _toml_types(values: dict[str, Any]) -> dict[str, Any]:
    """TOML has lists where the schema has tuples."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            result[key] = _toml_types(value)
        else:
            result[key] = tuple(value) if isinstance(value, list) else value
    return result


TOML_MESSAGES = {
    "tuple_type": 'input should be a list, like ["q_proj", "v_proj"]',
    "model_type": "input should be a table: its name in brackets on one line, its keys on the lines below",
}


def _explain(error: ValidationError, path: Path, text: str) -> str:
    """One sentence for the first validation error of a domain.toml."""
    problem = error.errors()[0]
    *tables, key = [str(part) for part in problem["loc"] if not isinstance(part, int)]
    line = _line_of(text, [*tables, key])
    where = f"{path}, line {line}" if line else str(path)
    name = ".".join([*tables, key])
    if problem["type"] == "extra_forbidden":
        model: Any = Settings
        for table in tables:  # a table of tables, such as tools.mcp, has the type of its values
            model = get_args(model)[1] if get_args(model) else model.model_fields[table].annotation
        near = difflib.get_close_matches(key, model.model_fields, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"the known keys are {', '.join(model.model_fields)}."
        return f"{where}: unknown key {name!r}; {hint}"
    message = TOML_MESSAGES.get(problem["type"]) or f"{problem['msg'][0].lower()}{problem['msg'][1:]}"
    return f"{where}: {name} is {problem['input']!r}, but {message}."


def _line_of(text: str, path: list[str]) -> int | None:
    """The line number of a key, given after its tables; TOML parsers do not report it."""
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+([^\[\]]+)\]", line):
            table = here = [part.strip().strip("\"'") for part in header[1].split(".")]
        elif assignment := re.match(r"\s*(?:\"([^\"]*)\"|'([^']*)'|([\w.-]+))\s*=", line):
            bare = assignment[3]
            here = [*table, *(bare.split(".") if bare else [assignment[1] or assignment[2] or ""])]
            if path[: len(here)] == here:  # the key itself, or an inline table around it
                return number
        else:
            continue
        if here[: len(path)] == path:
            return number
    return None
