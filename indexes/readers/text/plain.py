"""Read plain text: paragraphs between empty lines, under chapter headings and numbered titles."""

import re
from collections.abc import Iterator
from dataclasses import replace

from indexes.readers.document import Block, Extracted
from indexes.readers.encodings import decode
from indexes.readers.numbered_sections import under_titles
from indexes.readers.omissions import left_out
from indexes.readers.text.base64_data import without_encoded

_PARAGRAPH = re.compile(r"\S[^\n]*(?:\n[ \t\u3000]*\S[^\n]*)*")
_NUMBER = "[0-9零〇一二两三四五六七八九十百千兩]{1,9}"
_REST = r"(?:[\s:：、.][^\n]{0,40})?"
_CHINESE = [
    re.compile(rf"第{_NUMBER}[卷部篇编編集]{_REST}"),
    re.compile(rf"第{_NUMBER}[章回]{_REST}|序章|序言|前言|楔子|尾声|尾聲|后记|後記|附录|附錄"),
    re.compile(rf"第{_NUMBER}[节節]{_REST}"),
]
"""Headings by level: volumes, chapters, sections. Chinese books often have no empty line around them."""
_COUNT = (
    r"(?:[IVXLC]+|\d{1,3}|(?:(?:twen|thir|for|fif)ty|ten|eleven|twelve|\w{3,5}teen|(?:twen|thir|for|fif)ty-\w{3,5}"
    r"|one|two|three|four|five|six|seven|eight|nine|the\s+\w{4,8}))"
)
_ENGLISH = [
    re.compile(rf"(?:part|book|volume)\s+{_COUNT}(?:\s*[.:—–-].{{0,60}}|\s+[A-Z].{{0,60}})?", re.IGNORECASE),
    re.compile(rf"(?:chapter|appendix)\s+{_COUNT}(?:\s*[.:—–-].{{0,60}}|\s+[A-Z].{{0,60}})?", re.IGNORECASE),
]
"""Only a whole paragraph counts as an English heading: "Chapter 3 shows how" may begin a sentence."""
_SENTENCE_END = re.compile(r"[.!?;,。！？；，]$")
_QUESTION = re.compile(r"(?:Q|Question|问|問|问题|問題)[ \t]*\d*[ \t]*[:：.、]", re.IGNORECASE)
_ANSWER = re.compile(r"(?:A|Answer|答|答案|回答)[ \t]*\d*[ \t]*[:：.、]", re.IGNORECASE)
_ANSWER_LINE = re.compile(rf"\n[ \t\u3000]*{_ANSWER.pattern}", re.IGNORECASE)
_ITEM = re.compile(
    r"^[ \t\u3000]*(?:[-*+•·]|\d{1,3}[.)、]|[（(]?[0-9一二三四五六七八九十]{1,3}[)）、])[ \t\u3000]*\S", re.MULTILINE
)


def read_plain(data: bytes) -> Extracted:
    """Keep the text as it is; a paragraph is a run of lines that are not empty, questions stay with their answers."""
    text, encoded = without_encoded(decode(data))
    return replace(divide_plain(text), warning=left_out({"encoded": encoded}))


def divide_plain(text: str) -> Extracted:
    """Like :func:`read_plain`, for decoded text."""
    blocks: list[Block] = []
    titles: list[tuple[int, str]] = []
    asked = False
    for start, end, level in _parts(text):
        if level is not None:
            title = " ".join(text[start:end].split())
            titles = [*(above for above in titles if above[0] < level), (level, title)]
            asked = False
            continue
        headings = tuple(title for _, title in titles)
        asks = bool(_QUESTION.match(text, start))
        answers = asks and bool(_ANSWER_LINE.search(text, start, end))
        if asked and _ANSWER.match(text, start):
            blocks.append(Block(blocks.pop().start, end, headings, records=True))
        elif answers:
            blocks.append(Block(start, end, headings, cuts=_questions(text, start, end), records=True))
        else:
            blocks.append(Block(start, end, headings, cuts=_items(text, start, end)))
        asked = asks and not answers
    return under_titles(Extracted(text, blocks))


def _parts(text: str) -> Iterator[tuple[int, int, int | None]]:
    """Start, end and level of every heading and paragraph; the level of a paragraph is None."""
    for match in _PARAGRAPH.finditer(text):
        start, end = match.span()
        if (level := _english_level(text[start : min(end, start + 202)])) is not None:
            yield start, end, level
            continue
        begun = start
        for heading in re.finditer(
            r"^[ \t\u3000]*(第[^\n]{2,60}|[序前楔尾后後附][^\n])[ \t\u3000]*$", match[0], re.MULTILINE
        ):
            title = heading[1].strip()
            if (level := _level(title, _CHINESE)) is None or _SENTENCE_END.search(title):
                continue
            if text[begun : start + heading.start()].strip():
                yield *_stripped(text, begun, start + heading.start()), None
            yield *_stripped(text, start + heading.start(), start + heading.end()), level
            begun = start + heading.end()
        if text[begun:end].strip():
            yield *_stripped(text, begun, end), None


def _english_level(paragraph: str) -> int | None:
    """The level of a paragraph that is a heading: one line, or a bare number and its title on two lines."""
    first, _, second = paragraph.partition("\n")
    if not second:
        return _level(first.strip(), _ENGLISH)
    is_title = "\n" not in second and len(second) <= 100 and not _SENTENCE_END.search(second.strip())
    return _level(first.strip(), _ENGLISH) if is_title and len(first.split()) == 2 else None


def _level(title: str, patterns: list[re.Pattern[str]]) -> int | None:
    return next((level for level, pattern in enumerate(patterns) if pattern.fullmatch(title)), None)


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def _items(text: str, start: int, end: int) -> tuple[int, ...]:
    """Offsets of the items of a list, without the first."""
    return tuple(match.start() for match in _ITEM.finditer(text, start, end) if match.start() > start)


def _questions(text: str, start: int, end: int) -> tuple[int, ...]:
    """Offsets of the questions in a run of questions and answers without empty lines, without the first."""
    lines = [start + match.end() for match in re.finditer("\n", text[start:end])]
    return tuple(line for line in lines if _QUESTION.match(text, line))
