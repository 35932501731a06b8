"""The ``Passage`` class, and functions that read passages from the database."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from indexes.errors import IndexingError
from indexes.filters import Filter
from indexes.sentences import sentences_of

_ALL = 2**63 - 1
"""The largest integer of SQLite."""


@dataclass(frozen=True)
class Passage:
    """A part of a document, with its location; scores are 0.0 if they were not computed."""

    id: int
    """Never reused, even after the passage is deleted."""
    text: str
    document: str
    """Path under ``documents/``, with ``/`` on every system; the id for an added text."""
    headings: tuple[str, ...]
    """The titles above it, the outermost first; inside a long table also the header row of the table."""
    page: int | None
    """Page of a PDF or a scan, from 1."""
    line: int
    """Line of the document text on which it starts, from 1; for plain text and Markdown the line of the file."""
    start: int
    end: int
    """``Index.text(document, given)[start:end] == text``."""
    score: float = 0.0
    """The ranking score: higher is better, comparable within one question only."""
    dense_score: float = 0.0
    """Cosine of question and passage."""
    full_text_score: float = 0.0
    """BM25 score; 0.0 if no word of the question occurs."""
    slide: int | None = None
    """Slide of a presentation, from 1."""
    sheet: str = ""
    """Sheet of a workbook."""
    also: tuple[str, ...] = ()
    """Other locations of the same text: a document and the place in it."""
    rerank_score: float | None = None
    """The score of the reranker, if one is used: higher is better."""
    given: bool = False
    """Whether it is from an added text, not from a file."""

    @property
    def place(self) -> str:
        """Location in the document for display: ``"LoRA › Rank"``, ``"page 3"``, ``"slide 2"`` or ``"line 12"``."""
        return place(self.headings, self.page, self.slide, self.sheet, self.line)


def place(headings: Sequence[str], page: int | None, slide: int | None, sheet: str, line: int) -> str:
    """The value of :attr:`Passage.place`."""
    parts = [" › ".join(headings)] if headings else []
    parts += [f"sheet {sheet}"] if sheet and sheet not in headings else []
    parts += [f"page {page}"] if page else []
    parts += [f"slide {slide}"] if slide else []
    return ", ".join(parts) or f"line {line}"


def read_passages(connection: sqlite3.Connection, ids: Sequence[int], among: Filter | None = None) -> list[Passage]:
    """The stored passages with these ids, in their order, without deleted ones.

    If a passage does not match the filter, the first passage with the same text that matches is returned instead.
    """
    shown: dict[int, Passage] = {}
    for kept, members in groups(connection, ids, among or Filter()).items():
        first = next((member for member in members if member.id == kept), members[0])
        also = [f"{member.document}, {member.place}" for member in members if member is not first]
        shown[kept] = replace(first, also=tuple(also))
    return [shown[id_] for id_ in ids if id_ in shown]


def groups(connection: sqlite3.Connection, ids: Sequence[int], among: Filter) -> dict[int, list[Passage]]:
    """For each id, the passages with the same text, itself included, from documents that match the filter."""
    condition, parameters = among.condition()
    rows = connection.execute(
        "WITH asked AS (SELECT id, coalesce(same_as, id) AS kept FROM passages "
        f"WHERE id IN ({','.join(str(int(id_)) for id_ in ids)})) "
        "SELECT asked.id, p.id, p.text, path, headings, page, line, start, end, slide, sheet, given "
        "FROM asked JOIN passages p ON (p.id = kept OR p.same_as = kept) JOIN documents d ON d.id = p.document_id "
        f"WHERE {condition} ORDER BY p.id",
        parameters,
    )
    found: dict[int, list[Passage]] = {}
    for asked, id_, text, path, headings, page, line, start, end, slide, sheet, given in rows:
        titles = tuple(json.loads(headings))
        place = {"slide": slide, "sheet": sheet, "given": bool(given)}
        found.setdefault(asked, []).append(Passage(id_, text, path, titles, page, line, start, end, **place))
    return found


def read_passage(connection: sqlite3.Connection, passage_id: int) -> Passage:
    """One stored passage; raises :class:`IndexingError` if there is none with this id."""
    found = read_passages(connection, [passage_id])
    if not found:
        raise IndexingError(f"Passage {passage_id} is not in the index (any more).")
    return found[0]


def read_neighbours(connection: sqlite3.Connection, passage_id: int, before: int, after: int) -> list[Passage]:
    """A passage with those before and after it in its document, in the order of the text."""
    if before < 0 or after < 0:
        raise IndexingError(f"the number of neighbours is {min(before, after)}, but must not be negative.")
    read_passage(connection, passage_id)
    here = "SELECT document_id, start FROM passages WHERE id = ?"
    ids = [passage_id]
    for sign, order, count in (("<", "DESC", before), (">", "ASC", after)):
        rows = connection.execute(
            f"SELECT p.id FROM passages p JOIN ({here}) h ON p.document_id = h.document_id "
            f"WHERE p.start {sign} h.start ORDER BY p.start {order} LIMIT ?",
            (passage_id, min(count, _ALL)),
        )
        near = [row[0] for row in rows]
        ids = [*reversed(near), *ids] if sign == "<" else [*ids, *near]
    return read_passages(connection, ids)


def some_sentences(connection: sqlite3.Connection, count: int = 200) -> list[str]:
    """One sentence from each of ``count`` passages, evenly spread over the index; deterministic."""
    (total,) = connection.execute("SELECT count(*) FROM passages WHERE same_as IS NULL").fetchone()
    rows = connection.execute(
        "SELECT text FROM passages WHERE id IN (SELECT id FROM "
        "(SELECT id, row_number() OVER (ORDER BY id) AS number FROM passages WHERE same_as IS NULL) "
        "WHERE number % ? = 0 LIMIT ?)",
        (max(1, total // count), count),
    )
    return [max((sentence.strip() for sentence in sentences_of(text)), key=_as_a_question) for (text,) in rows]


def _as_a_question(sentence: str) -> tuple[bool, int]:
    """Sort key that prefers sentences of 8 to 120 characters, then longer ones."""
    return 8 <= len(sentence) <= 120, len(sentence)
