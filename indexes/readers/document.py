"""What every reader returns: one text, and the blocks in it that can become passages."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise, zip_longest
from typing import Any

from indexes.errors import IndexingError
from indexes.readers.limits import MAX_CHARACTERS

TOO_MUCH_TEXT = f"contains more than {MAX_CHARACTERS // 1_000_000} million characters of text; split it"

PageProgress = Callable[[int, int], None]
"""Called with the current page, from 1, and the number of pages, by readers that may take long."""

_HALVES = re.compile("[\ud800-\udfff]")


def no_progress(page: int, pages: int) -> None:
    """Ignore the progress."""


@dataclass(frozen=True)
class Block:
    """A paragraph, list, table or listing: ``text[start:end]`` of its document, without headings."""

    start: int
    end: int
    headings: tuple[str, ...] = ()
    """Headings above it, the outermost first."""
    page: int | None = None
    """Page of a PDF or a scan, from 1."""
    slide: int | None = None
    """Slide of a presentation, from 1."""
    sheet: str = ""
    """Sheet of a workbook; empty for other formats."""
    cuts: tuple[int, ...] = ()
    """Offsets in the document where a block that is too long is best split: list items, rows, lines of code."""
    header: str = ""
    """Header row of a table whose rows do not repeat the column names, for passages that start below it."""
    records: bool = False
    """Each item makes sense alone: a row with its column names, a question with its answer, an object of a list.
    ``cuts`` are then exactly the starts of the second and later records. A record that is too long is split between
    lines."""


@dataclass(frozen=True)
class Extracted:
    """The text of a document; every offset in this package counts characters of ``text``."""

    text: str
    blocks: list[Block]
    warning: str = ""
    """What the reader left out, as a sentence without a full stop; empty when everything was read."""
    format: str = ""
    """The detected format, such as ``"pdf"`` or ``"markdown"``; set by ``read_document``."""
    needs_ocr: bool = False
    """Pages or pictures were left out because no OCR engine is installed: read the file again when one is."""


@dataclass
class TextBuilder:
    """Collects text and blocks for formats whose text is not simply the file's content."""

    parts: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    titles: list[Block] = field(default_factory=list)
    length: int = 0

    def add(self, text: str) -> int:
        """Append a line or paragraph that is not a block, such as a book's title; return its start offset."""
        text = storable(text)
        if self.parts:
            self.parts.append("\n\n")
            self.length += 2
        start = self.length
        self.parts.append(text)
        self.length += len(text)
        if self.length > MAX_CHARACTERS:
            raise IndexingError(TOO_MUCH_TEXT)
        return start

    def add_title(self, *path: str, **place: Any) -> None:
        """Append a heading, the last of ``path``; the others are the headings above it. ``place`` is ``slide=``..."""
        start = self.add(path[-1])
        self.titles.append(Block(start, self.length, path, **place))

    def add_block(self, items: list[str], headings: tuple[str, ...] = (), **others: Any) -> None:
        """Append a block of one or more items, each of one or more lines, unless all are empty.

        ``others`` are ``page=``, ``slide=``, ``records=``...
        """
        items = [storable(item) for item in items]
        if not any(map(str.strip, items)):
            return
        start = self.add("\n".join(items))
        cuts, offset = [], start
        for item in items[:-1]:
            offset += len(item) + 1
            cuts.append(offset)
        self.blocks.append(Block(start, self.length, headings, cuts=tuple(cuts), **others))

    def add_document(self, document: "Extracted", headings: tuple[str, ...]) -> None:
        """Append the blocks of another document under these headings."""
        for block in document.blocks:
            borders = [block.start, *block.cuts, block.end]
            items = [document.text[start:end].rstrip("\n") for start, end in pairwise(borders)]
            place = {name: getattr(block, name) for name in ("page", "slide", "sheet", "header", "records")}
            self.add_block(items, headings + block.headings, **place)

    def extracted(self, warning: str = "", needs_ocr: bool = False) -> Extracted:
        """Return the collected document."""
        blocks = with_lone_titles(self.blocks, self.titles)
        return Extracted("".join(self.parts), blocks, warning, needs_ocr=needs_ocr)


def with_lone_titles(blocks: list[Block], titles: list[Block]) -> list[Block]:
    """Add each title that has no text below it as a block, so that search finds it.

    The ``headings`` of a title are the headings above it and, last, the title itself.
    """
    starts = {title.start for title in titles}
    rows = sorted([*blocks, *titles], key=lambda row: row.start)
    kept: list[Block] = []
    for row, following in zip_longest(rows, rows[1:]):
        if row.start not in starts:
            kept.append(row)
            continue
        above = following.headings[: -1 if following.start in starts else None] if following else ()
        if above[: len(row.headings)] != row.headings:
            kept.append(replace(row, headings=row.headings[:-1]))
    return kept


def storable(text: str) -> str:
    """Remove what UTF-8 and SQLite cannot store: surrogates are joined or replaced, NUL is removed."""
    if _HALVES.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "")
