"""Read source code: the text stays as it is, in blocks that start at definitions and have their names as headings.

No language is parsed. A definition is a line with little indentation that starts with a word such as ``class``,
``def``, ``func`` or ``struct``, or looks like the head of a C function; comments and decorators above belong to it.
"""

import re
from typing import NamedTuple

from indexes.readers.document import Block, Extracted
from indexes.readers.encodings import decode

_SUFFIXES = (
    ".ada .asm .bash .bat .c .cc .clj .cmake .cpp .cs .cu .cxx .d .dart .el .erl .ex .exs .f .f90 .fs .go"
    " .gradle .groovy .h .hh .hpp .hs .java .jl .js .jsx .kt .kts .lisp .lua .m .mjs .ml .mm .nim .pas .php .pl"
    " .pm .proto .ps1 .py .pyi .r .rb .rs .s .scala .scm .sh .sol .sql .swift .tcl .tf .thrift .ts .tsx .v .vb"
    " .vhd .vue .svelte .zig .zsh"
)
SUFFIXES = frozenset(_SUFFIXES.split())
NAMES = frozenset({"makefile", "dockerfile", "cmakelists.txt", "rakefile", "gemfile", "jenkinsfile", "vagrantfile"})

MAX_LINE = 300
"""Longer lines are skipped: they are not definitions, and a minified program is one line of megabytes."""

MAX_BEGINNING = 200
"""Text above the first definition that is shorter than this is not a separate block."""

_DEFINITION = re.compile(
    r"(?P<indent>[ \t]*)"
    r"(?:(?:export|default|public|private|protected|internal|static|abstract|final|sealed|async|pub|pub\([a-z]+\)|open"
    r"|override|virtual|inline|unsafe|extern|partial|data|case|local|declare|readonly|const(?=\s+fn))\s+){0,5}"
    r"(?P<word>def|class|function\*?|func|fn|fun|struct|enum|interface|trait|impl|module|namespace|object|record|union"
    r"|sub|procedure|protocol|extension|defmodule|defp|defn|macro_rules!|contract|message|service"
    r"|create\s+(?:or\s+replace\s+)?(?:table|view|function|procedure|trigger|index))\s+"
    r"(?:if\s+not\s+exists\s+)?(?:<[^>\n]{0,60}>\s*|\([^)\n]{0,60}\)\s*)?(?P<name>[\w.$:\"`]+)",
    re.IGNORECASE,
)
_C_FUNCTION = re.compile(
    r"(?!(?:if|for|while|switch|return|else|using|typedef|throw|new|delete|case)\b)"
    r"(?:[\w:<>,&*\[\]~]+[ \t]+){1,6}[*&]*(?P<name>[A-Za-z_~][\w:~]*)[ \t]*\([^;{}=]*(?:\)[ \t\w]*\{?|,)[ \t]*"
)
_ARROW = re.compile(
    r"(?:export\s+)?(?:const|let|var)\s+(?P<name>[\w$]+)\s*=\s*(?:async\s*)?(?:function\b|\([^()\n]*\)\s*(?::[^=]{0,60})?=>)"
)
_ABOVE = re.compile(r"[ \t]*(?:#(?!!|include|define|endif|if|pragma)|//|/?\*|--|;|@|\[\w|%|<!--)")
"""Starts of comments, decorators and attributes."""
_FUNCTIONS = re.compile(r"def.?|func\w*\*?|fn|fun|sub|procedure|create.*", re.IGNORECASE | re.DOTALL)
"""Keywords of definitions whose inner definitions do not become headings."""


class _Line(NamedTuple):
    start: int
    end: int


def read_code(data: bytes) -> Extracted:
    """Split code into definitions at the top level and, in classes, one level below; ``cuts`` are the lines.

    A short text above the first definition (package, imports) joins it: a block of two words would be similar to every
    short question.
    """
    text = decode(data)
    lines = [_Line(*match.span()) for match in re.finditer(r"[^\n]+|(?<=\n)(?=\n)", text)]
    starts: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    container, container_indent = "", 0
    for position, line in enumerate(lines):
        if line.end - line.start > MAX_LINE:
            continue
        source = text[line.start : line.end]
        definition = _DEFINITION.match(source)
        found = definition or _ARROW.match(source) or _C_FUNCTION.fullmatch(source)
        name = found["name"].strip(':"`') if found else ""
        indent = len(definition["indent"].expandtabs(4)) if definition else 0
        is_inside = bool(container) and container_indent < indent <= container_indent + 4
        if not name and _ends_definition(text, lines, position):
            starts.append((position, ()))
            container = ""
        if not name or (indent and not is_inside):
            continue
        starts.append((_first_line(text, lines, position), (container, name) if is_inside else (name,)))
        if not is_inside:
            container = name if definition and not _FUNCTIONS.fullmatch(definition["word"]) else ""
            container_indent = indent
    first = next((number for number, (_, headings) in enumerate(starts) if headings), 0)
    if first and len(text[: lines[starts[first][0]].start].strip()) < MAX_BEGINNING:
        starts[: first + 1] = [(0, starts[first][1])]
    return Extracted(text, _blocks(text, lines, starts))


def _ends_definition(text: str, lines: list[_Line], position: int) -> bool:
    """Whether an unindented statement after an empty line starts here, outside any definition."""
    above = lines[position - 1] if position else None
    return (
        above is not None
        and not text[above.start : above.end].strip()
        and re.match(r"[A-Za-z_$]", text[lines[position].start : lines[position].end]) is not None
    )


def _first_line(text: str, lines: list[_Line], position: int) -> int:
    """The first line of the comments and decorators directly above a definition."""
    while position and _ABOVE.match(text, lines[position - 1].start, lines[position - 1].end):
        position -= 1
    return position


def _blocks(text: str, lines: list[_Line], starts: list[tuple[int, tuple[str, ...]]]) -> list[Block]:
    blocks = []
    starts = sorted(starts, key=lambda start: start[0])
    for (first, headings), (last, _) in zip(starts, [*starts[1:], (len(lines), ())], strict=True):
        inside = [line for line in lines[first:last] if text[line.start : line.end].strip()]
        if inside:
            cuts = tuple(line.start for line in inside[1:])
            blocks.append(Block(inside[0].start, inside[-1].end, headings, cuts=cuts))
    return blocks
