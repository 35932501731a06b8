"""Read the outline of a PDF (its bookmarks): title paths, and where each starts on its page."""

import ctypes
import re
import unicodedata
from itertools import accumulate, islice

import pypdfium2 as pdfium
import pypdfium2.raw as raw

MAX_BOOKMARKS = 100_000

Start = tuple[int, tuple[str, ...], bool]
"""Index of the first line of a title path, the path, and whether that line is the title itself."""


def titles_by_page(pdf: pdfium.PdfDocument) -> dict[int, list[tuple[tuple[str, ...], float | None]]]:
    """Title paths for each page (from 0) that has bookmarks, each with its height on the page, if known."""
    found: dict[int, list[tuple[tuple[str, ...], float | None]]] = {}
    path: list[str] = []
    for bookmark in islice(pdf.get_toc(), MAX_BOOKMARKS):
        path = [*path[: bookmark.level], " ".join(bookmark.get_title().split())]
        destination = bookmark.get_dest()
        index = destination.get_index() if destination else None
        titles = tuple(title for title in path if title)
        if destination and index is not None and titles:
            found.setdefault(index, []).append((titles, _height(destination)))
    return found


def _height(destination: pdfium.PdfDest) -> float | None:
    mode, values = destination.get_view()
    if mode == raw.PDFDEST_VIEW_XYZ and len(values) > 1:
        return values[1]
    return values[0] if mode in (raw.PDFDEST_VIEW_FITH, raw.PDFDEST_VIEW_FITBH) and values else None


def title_starts(
    textpage: pdfium.PdfTextPage, text: str, titles: list[tuple[tuple[str, ...], float | None]]
) -> list[Start]:
    """The start line of each bookmark of a page: the line of the title if found, else the line at its height."""
    lines = text.splitlines()
    plain = [_plain(line) for line in lines]
    tops: list[float] = []
    starts: list[Start] = []
    at = 0
    for path, height in titles:
        title = _plain(path[-1])
        # a number such as "1.2.8" may precede the title
        same = [
            number
            for number in range(at, len(lines))
            if title and plain[number].endswith(title) and len(plain[number]) <= len(title) + 12
        ]
        if height is not None and len(same) != 1:
            tops = tops or _tops(textpage, text)
        if same and tops and height is not None:  # a header may repeat the title
            distances = {number: abs(tops[number] - height) for number in same}
            at = min(same, key=lambda number: distances[number])
        elif same:
            at = same[0]
        elif height is not None:
            at = next((number for number in range(at, len(lines)) if tops[number] <= height + 1), len(lines))
        starts.append((at, path, bool(same)))
        at += bool(same)
    return starts


def _plain(line: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", line)).casefold()


def _tops(textpage: pdfium.PdfTextPage, text: str) -> list[float]:
    """The height of each line, that of its first character."""
    # "-\n" is one character in pdfium's text, U+FFFE; an emoji is two
    pieces = text.splitlines(keepends=True)
    lengths = [len(piece.encode("utf-16-le")) // 2 - piece.endswith("-\n") for piece in pieces]
    tops = []
    for offset in accumulate([0, *lengths[:-1]]):
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        character = raw.FPDFText_GetCharIndexFromTextIndex(textpage, offset)
        known = raw.FPDFText_GetCharBox(textpage, character, left, right, bottom, top)
        tops.append(top.value if known else float("inf"))
    return tops
