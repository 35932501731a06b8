"""Change the source of a Markdown document to the text that the rendered page shows, before it is split into blocks.

Struck-out text, comments and Base64 pictures are left out. HTML tables become Markdown tables, list numbers (``1.``
before every item) become the rendered ones, and powers become ``10^6``. Code stays as it is.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from indexes.readers.tables.header_rows import header_row
from indexes.readers.text.base64_data import without_encoded
from indexes.readers.web.html_tables import table_texts

_CODE = re.compile(
    r"^(?P<mark> {0,3}(?:`{3,}|~{3,}))[^\n]*\n.*?(?:^(?P=mark)[`~]*[ \t]*$|\Z)"
    r"|(?P<ticks>`+)(?!`)[^\n]*?(?<!`)(?P=ticks)(?!`)",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(
    r"(?<=\S)[ \t]*<!--(?:(?!-->|\n[ \t]*\n).)*-->|(?<=[^\s>])\n<!--(?:(?!-->).)*-->[ \t]*(?=\n)", re.DOTALL
)
"""Comments within a paragraph; other comments are separate blocks."""
_STRUCK = re.compile(
    r"~~(?=\S)(?:(?!\n[ \t]*\n).)+?(?<=\S)~~|<(?P<tag>del|s|strike)\b[^>]*>(?:(?!\n[ \t]*\n).)*?</(?P=tag)>",
    re.DOTALL | re.IGNORECASE,
)
_POWER = re.compile(r"(?<=[\w)])<sup>([-\u2212+]?\d{1,3})</sup>", re.IGNORECASE)
_TABLE = re.compile(r"^[ \t]*<table\b(?:(?!</?table\b).)*</table>[ \t]*$", re.DOTALL | re.IGNORECASE | re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?\n)??(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_YAML = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*(?:[\"'\w-]+[ \t]*[:=](?:\s|\Z)|\Z)")
"""Start of front matter: comments, then a key or nothing. A page may also start with a horizontal rule."""
_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE)
_OF_THE_SITE = re.compile(
    r"(?:title|layout|permalink|slug|weight|order|nav\w*|parent|sidebar\w*|id|template|draft|type|toc\w*|lang|hide\w*|image|url"
    r"|redirect\w*|excerpt_separator|comments?|math|mermaid|css|js)[ \t]*[:=]",
    re.IGNORECASE,
)
"""Keys that control how the page is displayed."""


def front_matter(text: str) -> tuple[str, str, int]:
    """The title in a document's front matter, the other metadata, and the offset where the document starts."""
    front = _FRONT_MATTER.match(text)
    if not front or not _YAML.match(front[2] or ""):
        return "", "", 0
    title = _TITLE.search(front[2] or "")
    kept: list[str] = []
    dropped = False
    for line in (front[2] or "").split("\n"):
        if line[:1].strip():  # a key; indented lines belong to the key above
            dropped = line.startswith("#") or _OF_THE_SITE.match(line) is not None
        if line.strip() and not dropped:
            kept.append(line.rstrip())
    return title[2] if title else "", "\n".join(kept), front.end()


def prepared(text: str) -> tuple[str, Counter[str]]:
    """The changed source (see the module docstring), and the counts of what was left out."""
    counts: Counter[str] = Counter()

    def tidied(part: str) -> str:
        part, encoded = without_encoded(part)
        part = _COMMENT.sub("", part)
        part, struck = _STRUCK.subn("", part)
        part = re.sub(r"(?<=\S)  (?=\S)", " ", part) if struck else part
        counts.update(encoded=encoded, struck=struck)
        return _TABLE.sub(lambda match: _markdown_table(match[0]), _POWER.sub(r"^\1", part))

    return _with_shown_numbers(_outside_of_code(text, tidied)), counts


def _outside_of_code(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(text[end:])])


def _markdown_table(source: str) -> str:
    rows = [row for row in table_texts(source) if any(row)]
    if not rows:
        return BeautifulSoup(source, "lxml").get_text(" ")
    width = max(map(len, rows))
    at = 0 if "<th" in source.lower() else header_row(rows)
    above = ["".join(row) for row in rows[: at or 0]]
    header = rows[at] if at is not None else [""] * width
    body = rows[at + 1 :] if at is not None else rows
    lines = [_line(header, width), _line(["---"] * width, width), *(_line(row, width) for row in body)]
    return "\n" + "\n\n".join([*above, "\n".join(lines)]) + "\n"


def _line(row: Sequence[str], width: int) -> str:
    cells = [cell.replace("|", "\\|") for cell in [*row, *[""] * (width - len(row))]]
    return f"| {' | '.join(cells)} |"


def _with_shown_numbers(text: str) -> str:
    """Replace list numbers with the rendered ones, which count up from the first."""
    if not re.search(r"^\s*\d+[.)]\s", text, re.MULTILINE):
        return text
    lines = text.split("\n")
    counting: list[int] = []
    for token in MarkdownIt("commonmark").enable("table").disable("inline").parse(text):
        if token.type == "ordered_list_open":
            counting.append(int(token.attrGet("start") or 1) if token.attrGet("start") != 0 else 0)
        elif token.type == "bullet_list_open":
            counting.append(-1)
        elif token.type in ("ordered_list_close", "bullet_list_close"):
            counting.pop()
        elif token.type == "list_item_open" and token.map and counting[-1] >= 0:
            line = token.map[0]
            stated = token.info
            if stated.isdecimal() and int(stated) != counting[-1]:
                lines[line] = re.sub(rf"(?<!\d){stated}(?=[.)])", str(counting[-1]), lines[line], count=1)
            counting[-1] += 1
    return "\n".join(lines)
