"""Read Markdown with markdown-it-py (CommonMark with tables); only ``markdown_source.py`` changes the text."""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from indexes.readers.document import Block, Extracted, with_lone_titles
from indexes.readers.encodings import decode
from indexes.readers.omissions import left_out
from indexes.readers.web.markdown_source import front_matter, prepared

_COMMENTS = re.compile(r"(?:\s*<!--.*?(?:-->|\Z))+\s*", re.DOTALL)
_INLINE = MarkdownIt("commonmark")


def read_markdown(data: bytes) -> Extracted:
    """Blocks under their headings; a list, table or listing is one block that may be split between items or lines."""
    text = decode(data)
    title, metadata, begin = front_matter(text)
    text, counts = prepared(text[begin:])
    above = f"{metadata}\n\n" if metadata else ""
    text = above + text
    parser = MarkdownIt("commonmark").enable("table").disable("inline")
    path: list[tuple[int, str]] = [(0, title)] if title else []
    first = above.count("\n")
    line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
    tokens = parser.parse(text[len(above) :])
    offsets = [*line_starts[first:], len(text)]
    blocks = [Block(0, len(metadata), (title,) if title else ())] if metadata else []
    titles: list[Block] = []
    for position, token in enumerate(tokens):
        if token.level or not token.map or token.type == "hr":
            continue
        if token.type == "heading_open":
            level = int(token.tag[1])
            title_text = _plain_title(tokens[position + 1].content)
            path = [*(above for above in path if above[0] < level), (level, title_text)]
            if title_text:
                titles += _block(text, offsets, tokens, position, tuple(title for _, title in path if title))
        else:
            blocks += _block(text, offsets, tokens, position, tuple(title for _, title in path if title))
    return Extracted(text, with_lone_titles(blocks, titles), left_out(counts))


def _block(text: str, offsets: list[int], tokens: list[Token], position: int, headings: tuple[str, ...]) -> list[Block]:
    """The block that opens at ``position``, without comments before it; empty if it has no text."""
    first, last = tokens[position].map or (0, 0)
    start, end = offsets[first], offsets[min(last, len(offsets) - 1)]
    if tokens[position].type == "html_block" and (comments := _COMMENTS.match(text, start, end)):
        start = comments.end()
    end -= len(text[start:end]) - len(text[start:end].rstrip())
    if end <= start:
        return []
    if tokens[position].type.endswith("_list_open"):
        cuts = [
            offsets[token.map[0]] for token in _inside(tokens, position) if token.type == "list_item_open" and token.map
        ]
    elif tokens[position].type in ("table_open", "fence", "code_block"):
        cuts = offsets[first:last]
    else:
        cuts = []
    is_table = tokens[position].type == "table_open"
    header = text[start : offsets[first + 1]].strip() if is_table else ""
    return [Block(start, end, headings, cuts=tuple(cut for cut in cuts if start < cut < end), header=header)]


def _inside(tokens: list[Token], position: int) -> list[Token]:
    """The direct children of the token at ``position``."""
    children = []
    for index in range(position + 1, len(tokens)):  # a slice would copy the rest of the document for every list
        token = tokens[index]
        if token.level == 0:
            break
        if token.level == 1:
            children.append(token)
    return children


def _plain_title(source: str) -> str:
    """A heading without its markup: ``"The *rank* `r`"`` becomes ``"The rank r"``."""
    parts = [
        " " if token.type in ("softbreak", "hardbreak") else token.content
        for token in _INLINE.parseInline(source)[0].children or []
        if token.type != "html_inline"
    ]
    return "".join(parts).strip()
