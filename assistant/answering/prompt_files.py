"""Prompt files as jinja2 templates.

    NAME.jinja   a jinja2 template: ``{{ question }}``, ``{% if history %}``
    NAME.txt     plain text with ``{question}``; ``{{`` and ``}}`` are literal braces

A template runs in jinja2's sandbox and sees its own variables only: no functions, no other files. What a variable holds
is text and never rendered, so that ``{{ 7 * 7 }}`` in a document stays as it is.
"""

import traceback
from collections.abc import Collection
from pathlib import Path
from string import Formatter

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, meta
from jinja2.sandbox import SandboxedEnvironment

from assistant.errors import AssistantError

SANDBOX = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)
SANDBOX.globals.clear()  # range, dict, lipsum ...


def prompt_file(folder: Path, name: str) -> Path | None:
    """The file of a prompt in a folder of one language; None if there is none."""
    found = [file for file in (folder / f"{name}.jinja", folder / f"{name}.txt") if file.is_file()]
    if len(found) > 1:
        raise AssistantError(f"{folder} has both {name}.jinja and {name}.txt; delete one of them.")
    return found[0] if found else None


def read_prompt(file: Path, variables: Collection[str]) -> tuple[str, Template]:
    """The text of a prompt file and its template, which must use all of these variables and no others."""
    try:
        text = file.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError:
        raise AssistantError(f"{file} is not UTF-8 text; save the file as UTF-8.") from None
    jinja = file.suffix == ".jinja"
    source = text if jinja else _as_jinja(file, text)
    try:
        found = meta.find_undeclared_variables(SANDBOX.parse(source))
    except TemplateSyntaxError as error:
        raise AssistantError(f"{file}, line {error.lineno}: {error.message}") from None
    if found != set(variables):
        wanted = _braced(variables, jinja) or ("no {{ variable }}" if jinja else "no {variable}")
        raise AssistantError(f"{file} must contain {wanted}, but contains {_braced(found, jinja) or 'none'}.")
    code = SANDBOX.compile(source, filename=str(file))
    template = SANDBOX.template_class.from_code(SANDBOX, code, SANDBOX.make_globals(None))
    try:  # an operation that the sandbox forbids is found here, not in the middle of a conversation
        template.render({name: name for name in variables})
    except Exception as error:  # a template is a program: it may raise anything
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        raise AssistantError(f"{file}, line {lines[-1] if lines else 1}: {error}.") from None
    return text, template


def _as_jinja(file: Path, text: str) -> str:
    """The jinja2 source of a text with ``{variable}``; its other parts become string constants."""
    try:
        return "".join(
            (f"{{{{ {literal!r} }}}}" if literal else "") + _expression(name, spec or "", conversion)
            for literal, name, spec, conversion in Formatter().parse(text)
        )
    except ValueError as error:
        line = next((at for at, line in enumerate(text.splitlines(), start=1) if _is_broken(line)), 1)
        raise AssistantError(f"{file}, line {line}: {error}; write {{{{ and }}}} for literal braces.") from None


def _expression(name: str | None, spec: str, conversion: str | None) -> str:
    """``{name}`` as an expression of jinja2, with what Python's format strings allow after the name."""
    if name is None:
        return ""
    if not name.isidentifier() or "{" in spec:
        raise ValueError(f"{{{name}}} is not the name of a variable")
    if not spec and not conversion:
        return f"{{{{ {name} }}}}"
    form = "{" + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"
    return f"{{{{ {form!r}.format({name}) }}}}"


def _is_broken(line: str) -> bool:
    try:
        for _, name, spec, conversion in Formatter().parse(line):
            _expression(name, spec or "", conversion)
    except ValueError:
        return True
    return False


def _braced(names: Collection[str], jinja: bool) -> str:
    return ", ".join(f"{{{{ {name} }}}}" if jinja else f"{{{name}}}" for name in sorted(names))
