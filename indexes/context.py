"""Small-to-big retrieval: extends the passages found with the text around them.

Passages are small so that search finds them, but an answer often starts before the passage or ends after it.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Sequence

from indexes.language import language_of
from indexes.passages import Passage, read_neighbours, read_passages
from indexes.search_words import asked_words

BEFORE = 3
"""Number of preceding passages searched for the start of the section. Chosen."""

_TITLE_ENDS = re.compile(r"\s*[:：(（—–]\s*|\s+-\s+")


def context(
    connection: sqlite3.Connection, found: Sequence[Passage], budget: int, count: Callable[[str], int]
) -> list[Passage]:
    """The passages to show, in the order of the text, the document of the best passage first.

    Adds the sections of the passages found, from their first passage, and the adjacent passages, up to ``budget``
    tokens. ``count`` returns the number of tokens of a text. The best passage is always included.
    """
    shown: dict[int, Passage] = {}
    left = budget
    around = [near for passage in found for near in _around(connection, passage)]
    for passage in [*found, *around]:
        if passage.id in shown:
            continue
        size = count(passage.text)
        if size <= left or not shown:
            shown[passage.id] = passage
            left -= size
    ranks: dict[tuple[str, bool], int] = {}
    for rank, passage in enumerate(found):
        ranks.setdefault((passage.document, passage.given), rank)
    return sorted(shown.values(), key=lambda p: (ranks[p.document, p.given], p.start))


def openings(connection: sqlite3.Connection, question: str, found: Sequence[Passage]) -> list[Passage]:
    """The first passages of the pages and sections that a question names, from the documents of the passages found.

    A question names a page if its content words equal the words of the title, or of the part of the title before a
    colon or a bracket: "What is LoRA?" names the page "LoRA" but not "LoRA for images". If pages of several languages
    have that title, those in the language of the question are returned.
    """
    asked = set(asked_words(question))
    named = {
        (passage.document, passage.given, passage.headings[: level + 1]): passage
        for passage in found
        for level, title in enumerate(passage.headings)
        if any(set(asked_words(name)) == asked for name in (title, _TITLE_ENDS.split(title)[0]) if name)
    }
    first: dict[int, None] = {}
    for (_, _, path), passage in named.items():
        rows = connection.execute(
            "SELECT id, headings FROM passages WHERE document_id = (SELECT document_id FROM passages WHERE id = ?) "
            "ORDER BY start",
            (passage.id,),
        )
        first |= dict.fromkeys([id_ for id_, titles in rows if tuple(json.loads(titles)[: len(path)]) == path][:1])
    opened = read_passages(connection, list(first))
    same_language = [passage for passage in opened if language_of(passage.text) == language_of(question)]
    return same_language or opened


def _around(connection: sqlite3.Connection, passage: Passage) -> list[Passage]:
    """The passages before it in its section, the nearest first, then the next passage and the previous one."""
    near = read_neighbours(connection, passage.id, BEFORE, 1)
    before = [other for other in reversed(near) if other.start < passage.start]
    after = [other for other in near if other.start > passage.start]
    same_section = [other for other in before if other.headings == passage.headings]
    return [*same_section, *after, *before[:1]]
