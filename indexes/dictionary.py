"""A domain's custom dictionary: terms that full-text search does not split."""

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache

from indexes.language import CJK
from indexes.text_normalisation import WORD, as_one_word, normalised

_LATIN_INSIDE = re.compile(rf"[^\W{CJK}]")


class Dictionary:
    """Custom terms, one per line: ``低秩适应``, ``gradient checkpointing``, ``C++``.

    A ``#`` at the beginning of a line or after white space starts a comment.
    """

    def __init__(self, lines: str) -> None:
        entries = [re.sub(r"(?:^|\s)#.*", "", line) for line in lines.splitlines()]
        self.entries = frozenset(" ".join(normalised(entry).split()) for entry in entries if WORD.search(entry))
        self._lengths: dict[str, list[int]] = {}
        """Maps a first character to the lengths of the entries that start with it, longest first."""
        for length, first in sorted({(len(entry), entry[0]) for entry in self.entries}, reverse=True):
            self._lengths.setdefault(first, []).append(length)

    def __bool__(self) -> bool:
        return bool(self.entries)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the entries; empty if there are none."""
        return hashlib.sha256("\n".join(sorted(self.entries)).encode()).hexdigest() if self.entries else ""

    def terms_of(self, text: str) -> list[str]:
        """The entries found in a text, in order, as words of letters and digits; the longest match wins."""
        return [as_one_word(entry) for _, entry in self._found(" ".join(normalised(text).split()))]

    def _found(self, text: str) -> Iterator[tuple[int, str]]:
        position = 0
        while position < len(text):
            for length in self._lengths.get(text[position], ()):
                end = position + length
                if text[position:end] in self.entries and _is_whole(text, position, end):
                    yield position, text[position:end]
                    position = end
                    break
            else:
                position += 1


@lru_cache(maxsize=4)
def dictionary_of(lines: str) -> Dictionary:
    """The parsed dictionary, cached because it may be long."""
    return Dictionary(lines)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether the match is not part of a longer Latin word: "rank" does not match in "ranking"."""
    return not (
        (start and _LATIN_INSIDE.match(text, start - 1) and _LATIN_INSIDE.match(text, start))
        or (end < len(text) and _LATIN_INSIDE.match(text, end - 1) and _LATIN_INSIDE.match(text, end))
    )
