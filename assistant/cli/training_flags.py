"""Turns a settings table into flags of a command, so that no option is defined twice."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, get_origin

import typer
from pydantic import BaseModel, ValidationError

from domain import DomainError

T = TypeVar("T", bound=BaseModel)


def settings_flags(
    table: type[BaseModel], default: str = "domain.toml, else ", other_defaults: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command that takes ``config: dict``: each key of the table becomes a flag of the same name, with the
    key's docstring as help. ``config`` receives the flags that were given. ``default``
    precedes the default in the help; ``other_defaults`` override those of the table."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        fields = table.model_fields

        @functools.wraps(command)
        def wrapper(**arguments: Any) -> None:
            config = {name: arguments.pop(name) for name in fields}
            given = {name: tuple(v) if isinstance(v, list) else v for name, v in config.items() if v not in (None, [])}
            command(config=given, **arguments)

        defaults = {name: field.default for name, field in fields.items()} | dict(other_defaults or {})
        own = [parameter for name, parameter in signature.parameters.items() if name != "config"]
        flags = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[
                    _flag_type(field.annotation),
                    typer.Option(help=f"{field.description} [default: {default}{_shown(defaults[name])}]"),
                ],
            )
            for name, field in fields.items()
        ]
        keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        wrapper.__signature__ = signature.replace(parameters=[*keyword_only, *flags])  # type: ignore[attr-defined]
        return wrapper

    return decorate


def _shown(default: Any) -> str:
    return "empty" if default in ("", ()) else str(default)


def _flag_type(annotation: Any) -> Any:
    return list[str] if get_origin(annotation) is tuple else annotation | None


def validated(model: type[T], values: dict[str, Any]) -> T:
    """The table with these values; raises a :class:`DomainError` that names the wrong flag."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        flag = "--" + str(problem["loc"][0]).replace("_", "-")
        raise DomainError(f"{flag} {problem['input']}: {problem['msg'][0].lower()}{problem['msg'][1:]}.") from None
