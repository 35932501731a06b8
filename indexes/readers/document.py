"""What every reader makes of a file: one text, and the blocks in it that can become passages."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Block:
    """A paragraph, list, table or listing: ``text[start:end]`` of its document, without headings."""

    start: int
    end: int
    headings: tuple[str, ...] = ()
    """Titles above it, the outermost first."""
    page: int | None = None
    """Page of a PDF, from 1."""
    cuts: tuple[int, ...] = ()
    """Offsets in the document where a block that is too long is best divided: list items, rows, lines of code."""


@dataclass(frozen=True)
class Extracted:
    """The text of a document; every offset in this room counts characters of ``text``."""

    text: str
    blocks: list[Block]
    warning: str = ""
    """What a reader had to leave out, as a sentence without a full stop; empty when all was read."""


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

    def add_block(self, lines: list[str], headings: tuple[str, ...] = (), page: int | None = None) -> None:
        """Append a block of one or more lines; between the lines it may be divided."""
        start = self.add("\n".join(lines))
        cuts, offset = [], start
        for line in lines[:-1]:
            offset += len(line) + 1
            cuts.append(offset)
        self.blocks.append(Block(start, self.length, headings, page, tuple(cuts)))

    def extracted(self, warning: str = "") -> Extracted:
        """The whole document."""
        return Extracted("".join(self.parts), self.blocks, warning)
