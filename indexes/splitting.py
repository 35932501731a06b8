"""Splits documents into passages: by structure first, then by sentence, measured in the embedder's tokens.

A passage never crosses a heading, a page, a slide or a sheet. A section that is too long is split between blocks, a
block that is too long between its items or lines, and those between sentences. Only a sentence that is too long by
itself is cut, at a comma if possible. The parts are then packed greedily, and a small remainder is balanced with its
neighbour. Records (rows with column names, questions with answers) are not packed: each is a passage of its own, so
that search finds it and its line by itself.
"""

import bisect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from indexes.readers import Block, Extracted
from indexes.sentences import sentence_ends

SPLITTER_VERSION = 8
"""Bump when :func:`split` or a reader produces different passages for the same file; older indexes must be rebuilt."""

Span = tuple[int, int]
Atom = tuple[int, int, int]
"""Start, end and number of tokens of an indivisible part."""
TokenOffsets = Callable[[str], list[Span]]
"""Returns the character spans of an embedder's tokens: ``Embedder.token_offsets``."""

TOKENIZED_AT_ONCE = 20_000
"""Maximum number of characters per tokenizer call."""

_CLAUSE_END = re.compile(r"[，、；：]+|[,;:]\s+")
_SPACE = re.compile(r"\s+")
_LINE_END = re.compile(r"\n")


@dataclass(frozen=True)
class Piece:
    """A passage before it is stored: ``text[start:end]`` of a document, with its location."""

    start: int
    end: int
    headings: tuple[str, ...]
    """The title path; inside a table whose rows do not repeat the column names, also the header row."""
    page: int | None
    slide: int | None
    sheet: str
    embedded: str
    """The embedded text: the title path, then the passage."""


def split(document: Extracted, token_offsets: TokenOffsets, passage_tokens: int, max_tokens: int) -> list[Piece]:
    """Split a document into passages of at most ``passage_tokens`` tokens, in the order of the text.

    Each passage with its title path also fits into the embedder's ``max_tokens``, so that nothing is truncated
    silently. A title path longer than half of ``max_tokens`` is embedded without its outer part.
    """
    pieces: list[Piece] = []
    alone = len(token_offsets("低")) - 1  # tokens that start any text: SentencePiece adds one before Chinese
    for (headings, page, slide, sheet), section in groupby(document.blocks, key=_place):
        blocks = list(section)
        titles = {header: headings + ((header,) if header else ()) for header in {"", *(b.header for b in blocks)}}
        embedded = {header: _embedded_title(path, token_offsets, max_tokens) for header, path in titles.items()}
        limit = max(1, min(passage_tokens, max_tokens - max(size for _, size in embedded.values()) - 1))
        packed = max(1, limit - alone)
        atoms = [atom for block in blocks for atom in _Cutter(document.text, block, token_offsets, packed).atoms()]
        starts = [block.start for block in blocks]
        for together in _apart(atoms, sorted({border for block in blocks for border in _borders(block)})):
            spans = (
                part
                for start, end in _packed(together, packed)
                for part in _measured(document.text, start, end, token_offsets, limit)
            )
            for start, end in spans:
                block = blocks[bisect.bisect_right(starts, start) - 1]
                header = block.header if start > block.start else ""
                title, text = embedded[header][0], document.text[start:end]
                whole = f"{title}\n{text}" if title else text
                pieces.append(Piece(start, end, titles[header], page, slide, sheet, whole))
    return pieces


def _measured(text: str, start: int, end: int, token_offsets: TokenOffsets, limit: int) -> Iterator[Span]:
    """Split a passage further if its own text exceeds the limit: a cut inside a word changes its tokens."""
    offsets = token_offsets(text[start:end])
    if len(offsets) <= limit or end - start < 2:
        yield start, end
        return
    cut = start + max(1, offsets[limit if len(offsets) > 2 * limit else len(offsets) // 2][0])
    cut = _last_space(text, start, cut) or cut
    for first, last in ((start, cut), (cut, end)):
        stripped = text[first:last].strip()
        if stripped:
            first += text[first:last].index(stripped)
            yield from _measured(text, first, first + len(stripped), token_offsets, limit)


def _borders(block: Block) -> tuple[int, ...]:
    """Positions that no passage crosses: the borders of rows with column names, and of questions with answers."""
    return (block.start, *block.cuts, block.end) if block.records else ()


def _apart(atoms: list[Atom], borders: list[int]) -> Iterator[list[Atom]]:
    """The atoms, grouped between the borders."""
    for _, together in groupby(atoms, key=lambda atom: bisect.bisect_right(borders, atom[0])):
        yield list(together)


def _place(block: Block) -> tuple[tuple[str, ...], int | None, int | None, str]:
    return block.headings, block.page, block.slide, block.sheet


def _embedded_title(headings: tuple[str, ...], token_offsets: TokenOffsets, max_tokens: int) -> tuple[str, int]:
    """The title path, shortened to its inner end if too long, and its number of tokens."""
    title = " > ".join(headings)
    tokens = token_offsets(title) if title else []
    if len(tokens) > max_tokens // 2:
        tokens = tokens[-(max_tokens // 2) :]
        title = title[tokens[0][0] :]
    return title, len(tokens)


def _token_starts(text: str, start: int, end: int, token_offsets: TokenOffsets) -> list[int]:
    """The positions where the tokens of ``text[start:end]`` start.

    Excludes the leading space that some tokenizers include in a word. Long text is tokenized in parts to limit memory.
    """
    starts: list[int] = []
    while start < end:
        stop = min(end, start + TOKENIZED_AT_ONCE)
        if stop < end and (space := _last_space(text, start, stop)):
            stop = space
        for first, last in token_offsets(text[start:stop]):
            while first + 1 < last and text[start + first].isspace():
                first += 1
            starts.append(start + first)
        start = stop
    return sorted(starts)


def _last_space(text: str, start: int, stop: int) -> int:
    """A position between words in the second half before ``stop``; 0 if there is none."""
    return max(text.rfind(mark, (start + stop) // 2, stop) for mark in (" ", "\n", "。")) + 1


class _Cutter:
    """Divides one block into atoms, indivisible parts within the token limit."""

    def __init__(self, text: str, block: Block, token_offsets: TokenOffsets, limit: int) -> None:
        self.text = text
        self.block = block
        self.limit = limit
        self.tokens = _token_starts(text, block.start, block.end, token_offsets)

    def count(self, start: int, end: int) -> int:
        """Number of tokens that start in ``text[start:end]``."""
        return bisect.bisect_left(self.tokens, end) - bisect.bisect_left(self.tokens, start)

    def atoms(self) -> Iterator[Atom]:
        """The atoms in order, without white space at the ends."""
        for start, end in self.divided(self.block.start, self.block.end, 0):
            stripped = self.text[start:end].strip()
            if stripped:
                start += self.text[start:end].index(stripped)
                yield start, start + len(stripped), self.count(start, start + len(stripped))

    def divided(self, start: int, end: int, level: int) -> Iterator[Span]:
        """``start:end`` itself if it is short enough and not records, otherwise its parts, split ever finer."""
        apart = level == 0 and self.block.records
        if self.count(start, end) <= self.limit and not apart:
            yield start, end
            return
        places = (self.items, self.lines, self.sentences, self.clauses, self.words, self.any_token)[level]
        borders = [start, *(place for place in places(start, end) if start < place < end), end]
        for first, last in pairwise(borders):
            yield from [(first, last)] if level == 5 else self.divided(first, last, level + 1)

    def items(self, start: int, end: int) -> Iterator[int]:
        yield from self.block.cuts

    def lines(self, start: int, end: int) -> Iterator[int]:
        """Line ends of records, where each line is a field; elsewhere a line may be wrapped text."""
        if self.block.records:
            yield from (match.end() for match in _LINE_END.finditer(self.text, start, end))

    def sentences(self, start: int, end: int) -> Iterator[int]:
        yield from sentence_ends(self.text, start, end)

    def clauses(self, start: int, end: int) -> Iterator[int]:
        yield from (match.end() for match in _CLAUSE_END.finditer(self.text, start, end))

    def words(self, start: int, end: int) -> Iterator[int]:
        yield from (match.end() for match in _SPACE.finditer(self.text, start, end))

    def any_token(self, start: int, end: int) -> Iterator[int]:
        first = bisect.bisect_left(self.tokens, start)
        yield from self.tokens[first : bisect.bisect_left(self.tokens, end) : self.limit]


def _packed(atoms: list[Atom], limit: int) -> Iterator[Span]:
    """Pack adjacent atoms up to the limit; a last group of under a quarter takes atoms from the previous one."""
    groups: list[list[Atom]] = []
    size = 0
    for atom in atoms:
        if groups and size + atom[2] <= limit:
            groups[-1].append(atom)
            size += atom[2]
        else:
            groups.append([atom])
            size = atom[2]
    if len(groups) > 1 and 4 * size < limit:
        while len(groups[-2]) > 1 and size + groups[-2][-1][2] <= sum(atom[2] for atom in groups[-2][:-1]):
            size += groups[-2][-1][2]
            groups[-1].insert(0, groups[-2].pop())
    for group in groups:
        yield group[0][0], group[-1][1]
