"""Find numbered titles in documents without heading markup: 第一章, 第一条, 一、, （一）, and in any language 1. and
1.2."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from indexes.language import CJK
from indexes.readers.document import Block, Extracted
from indexes.spellings import number_of

_LONGEST, _LONGEST_CJK = 70, 30
"""Maximum characters of a title without its number."""
_STEP = 2
"""Largest step between two numbers: authors leave one out when they delete a section."""
_MOST_OPEN = 20
"""Maximum depth of nested lists."""
_ARTICLE = 3
_ARABIC_LEVEL = 6

_DIGITS = "零〇一二两兩三四五六七八九"
_N = rf"([0-9]{{1,3}}|[{_DIGITS}十百千]{{1,7}})"
_CHINESE = [
    re.compile(rf"第{_N}()(?:部分|[编編篇卷部])(?=[\s:：、]|$)"),
    re.compile(rf"第{_N}()[章回](?=[\s:：、]|$)"),
    re.compile(rf"第{_N}()[节節](?=[\s:：、]|$)"),
    re.compile(rf"第{_N}()[条條](?=[\s:：、]|$)"),
    re.compile(rf"([{_DIGITS}十百]{{1,5}})([、])(?=\s*\S)"),
    re.compile(rf"[（(]([{_DIGITS}十百]{{1,5}})([）)])(?=\s*\S)"),
]
"""By level, the outermost first; the groups are the number and a mark after it."""
_ARABIC = re.compile(r"((?:[1-9][0-9]?\.){0,4})([1-9][0-9]?)([.、．]?)(?:[ \t\u3000]+|(?<=[.、．])(?=[^\s\d]))")
_ARTICLE_LINE = re.compile(
    r"(§+|Art\.?|Article|Section|Sec\.|Clause|Rule|Artikel)\s*(\d{1,4})[a-z]?(?:\s*$|\s*[.:：)—–]|\s+(?=[(\[A-Z\u4e00-\u9fff]))"
)
_NO_TITLE = re.compile(r"[。！？；;!?]|[.,:，…]$|\.\s|[\t]|\s{3}|(?:\.{3}|…|·{3})\s*\d+$|\b(?:19|20)\d\d$")
"""Ends of sentences, adjacent cells, the page numbers of a table of contents, the dates of versions."""
_CJK_CHARACTER = re.compile(f"[{CJK}]")


@dataclass
class _Numbered:
    """A line that starts with a number; lines with the same key are numbered together."""

    line: int
    level: int
    key: str
    number: int
    is_title: bool


def under_titles(document: Extracted) -> Extracted:
    """Put the blocks of a document under its numbered titles.

    A title is a short line of its own that does not end a sentence, is in sequence with at least one other title and
    has text below it.
    """
    lines = list(_lines(document))
    texts = [document.text[start:end] for _, start, end in lines]
    per_block = [0] * len(document.blocks)
    for index, _, _ in lines:
        per_block[index] += 1
    titles = _titles(texts, [per_block[index] == 1 for index, _, _ in lines])
    if not titles:
        return document
    blocks: list[Block] = []
    path: list[tuple[int, str]] = []
    above: tuple[str, ...] = ()
    for index, inside in groupby(enumerate(lines), key=lambda item: item[1][0]):
        block = document.blocks[index]
        if block.headings != above:
            above, path = block.headings, []
        goes_on = False
        for number, (_, start, end) in inside:
            if (level := titles.get(number)) is not None:
                path = [*(outer for outer in path if outer[0] < level), (level, " ".join(texts[number].split()))]
                goes_on = False
                continue
            if goes_on:
                start = blocks.pop().start
            cuts = tuple(cut for cut in block.cuts if start < cut < end)
            headings = block.headings + tuple(title for _, title in path)
            blocks.append(replace(block, start=start, end=end, headings=headings, cuts=cuts))
            goes_on = True
    return replace(document, blocks=blocks)


def articles_apart(document: Extracted) -> Extracted:
    """Make each article or clause a record that extends to the next number: a query then finds even a short one.

    An article is a line that starts with 第三条, ``§ 3``, ``Article 3`` or, if it is not a title, ``4.2``, followed by
    at least one more in sequence.
    """
    lines = list(_lines(document))
    found = [_article(number, document.text[start:end]) for number, (_, start, end) in enumerate(lines)]
    runs = [run for run in _runs(list(filter(None, found))) if len(run) > 1]
    starts = {lines[entry.line][1] for run in runs for entry in run}
    if not starts:
        return document
    blocks: list[Block] = []
    for block in document.blocks:
        inside = sorted(start for start in starts if block.start <= start < block.end)
        above = blocks[-1] if blocks else None
        if not inside:
            goes_on = above and above.start in starts and not block.records and not block.header
            if above and goes_on and _place(above) == _place(block):
                blocks[-1] = replace(above, end=block.end)
            else:
                blocks.append(block)
            continue
        first = [replace(block, end=inside[0], cuts=tuple(cut for cut in block.cuts if cut < inside[0]))]
        blocks += first if document.text[block.start : inside[0]].strip() else []
        for start, end in pairwise([*inside, block.end]):
            blocks.append(replace(block, start=start, end=end, cuts=(), records=True))
    return replace(document, blocks=[_without_space(document.text, block) for block in blocks])


def _place(block: Block) -> tuple[tuple[str, ...], int | None, int | None, str]:
    return block.headings, block.page, block.slide, block.sheet


def _without_space(text: str, block: Block) -> Block:
    return replace(block, end=block.start + len(text[block.start : block.end].rstrip()))


def _article(line: int, text: str) -> _Numbered | None:
    text = text.lstrip("-* ")
    if (found := _chinese(line, text)) and found.level == _ARTICLE:
        return found
    if match := _ARTICLE_LINE.match(text):
        return _Numbered(line, _ARTICLE, match[1].casefold(), int(match[2]), False)
    found = _arabic(line, text)
    return replace(found, level=_ARTICLE) if found and found.level > _ARABIC_LEVEL and not found.is_title else None


def _lines(document: Extracted) -> Iterator[tuple[int, int, int]]:
    """Block number, start and end of each line that is not empty."""
    for index, block in enumerate(document.blocks):
        for match in re.finditer(r"\S(?:[^\n]*\S)?", document.text[block.start : block.end]):
            yield index, block.start + match.start(), block.start + match.end()


def _titles(lines: list[str], alone: list[bool]) -> dict[int, int]:
    """The level of each line that is a title; ``alone`` marks the lines that are a whole block."""
    numbered = {}
    for number, line in enumerate(lines):
        if found := _chinese(number, line) or (_arabic(number, line) if alone[number] else None):
            numbered[number] = found
    titles: dict[int, int] = {}
    for run in sorted(_runs(list(numbered.values())), key=lambda run: -run[0].level):
        level = run[0].level

        def has_text(entry: _Numbered, level: int = level) -> bool:
            below = entry.line + 1
            if below not in numbered:
                return below < len(lines)
            return numbered[below].level > level and (below in titles or not numbered[below].is_title)

        with_text = [entry for entry in run if entry.is_title and has_text(entry)]
        if len(with_text) >= 2 and 2 * len(with_text) >= len(run):
            titles.update(
                {entry.line: level for entry in run if entry.is_title and _is_above(entry, numbered, len(lines))}
            )
    return titles


def _is_above(entry: _Numbered, numbered: dict[int, _Numbered], lines: int) -> bool:
    """Whether text or a deeper title follows this title."""
    below = entry.line + 1
    return below < lines and (below not in numbered or numbered[below].level > entry.level)


def _chinese(line: int, text: str) -> _Numbered | None:
    for level, pattern in enumerate(_CHINESE):
        if match := pattern.match(text):
            rest = text[match.end() :]
            return _Numbered(
                line, level, match[2], number_of(match[1]), _is_title(rest) or (level < _ARTICLE and not rest)
            )
    return None


def _arabic(line: int, text: str) -> _Numbered | None:
    match = _ARABIC.match(text)
    if not match:
        return None
    rest = text[match.end() :]
    is_title = _is_title(rest) and (rest[0].isupper() or _CJK_CHARACTER.match(rest[0]) is not None)
    level = _ARABIC_LEVEL + match[1].count(".")
    return _Numbered(line, level, match[1] + match[3], int(match[2]), is_title)


def _is_title(rest: str) -> bool:
    longest = _LONGEST_CJK if _CJK_CHARACTER.search(rest) else _LONGEST
    return 0 < len(rest.strip()) <= longest and not _NO_TITLE.search(rest.strip()) and any(map(str.isalpha, rest))


def _runs(numbered: list[_Numbered]) -> list[list[_Numbered]]:
    """Group lines of the same kind that count from one; a second count from one in between is a nested list.

    Numbers with 第 may start anywhere, as in an extract.
    """
    found: list[list[_Numbered]] = []
    counting: dict[tuple[int, str], list[list[_Numbered]]] = {}
    for entry in numbered:
        runs = counting.setdefault((entry.level, entry.key), [])
        if entry.number == 1 or (not runs and entry.level <= _ARTICLE):
            runs.append([entry])
            del runs[:-_MOST_OPEN]
            found.append(runs[-1])
            continue
        steps = [(entry.number - run[-1].number, -number) for number, run in enumerate(runs)]
        step, number = min((pair for pair in steps if 0 < pair[0] <= _STEP), default=(0, 0))
        if step:
            del runs[1 - number :]
            runs[-1].append(entry)
    return found
