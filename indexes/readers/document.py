"""What every reader makes of a file: one text, and the blocks in it that can become passages."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Progress = Callable[[int, int], None]
"""Told the page that is at work, from 1, and the number of pages, by readers that may take long."""


def no_progress(page: int, pages: int) -> None:
    """For who does not ask."""


@dataclass(frozen=True)
class Block:
    """A paragraph, list, table or listing: ``text[start:end]`` of its document, without headings."""

    start: int
    end: int
    headings: tuple[str, ...] = ()
    """Titles above it, the outermost first."""
    page: int | None = None
    """Page of a PDF or a scan, from 1."""
    slide: int | None = None
    """Slide of a presentation, from 1."""
    sheet: str = ""
    """Name of the sheet of a workbook; empty where there is none."""
    cuts: tuple[int, ...] = ()
    """Offsets in the document where a block that is too long is best divided: list items, rows, lines of code."""
    header: str = ""
    """Of a table whose rows do not name their columns themselves: the header row, for passages that begin below it."""


@dataclass(frozen=True)
class Extracted:
    """The text of a document; every offset in this room counts characters of ``text``."""

    text: str
    blocks: list[Block]
    warning: str = ""
    """What a reader had to leave out, as a sentence without a full stop; empty when all was read."""
    format: str = ""
    """What the content was read as: ``"pdf"``, ``"markdown"``; set by ``read_document``."""
    needs_ocr: bool = False
    """Pages or pictures were left out because no OCR engine is installed: worth reading again when one is."""


@dataclass
class TextBuilder:
    """Collects text and blocks for formats whose text is not simply the file's own."""

    parts: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    length: int = 0

    def add(self, text: str) -> int:
        """Append a line or paragraph that is no block of its own, such as a heading; return where it starts."""
        if self.parts:
            self.parts.append("\n\n")
            self.length += 2
        start = self.length
        self.parts.append(text)
        self.length += len(text)
        return start

    def add_block(self, lines: list[str], headings: tuple[str, ...] = (), **place: Any) -> None:
        """Append a block of one or more lines, between which it may be divided; ``place`` is ``page=``, ``slide=``..."""
        start = self.add("\n".join(lines))
        cuts, offset = [], start
        for line in lines[:-1]:
            offset += len(line) + 1
            cuts.append(offset)
        self.blocks.append(Block(start, self.length, headings, cuts=tuple(cuts), **place))

    def extracted(self, warning: str = "", needs_ocr: bool = False) -> Extracted:
        """The whole document."""
        return Extracted("".join(self.parts), self.blocks, warning, needs_ocr=needs_ocr)
