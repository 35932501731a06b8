"""Synchronises an index with the documents folder: adds new files, re-reads changed ones, removes deleted ones.

A file with unchanged size and time is not opened. A file with the same SHA-256 is not parsed, even under another name.
A passage whose text has a vector is not embedded again. Documents are embedded in groups for speed, then stored one
transaction each. An interrupted update keeps the stored documents and most vectors of the others, and the next update
continues from there.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from indexes.errors import IndexingError, UnopenedError
from indexes.ingest import Divided, Tools, divide, embed_and_store, prepare
from indexes.readers.images.ocr import find_engine
from indexes.readers.opening import open_document
from indexes.readers.text.source_code import NAMES
from indexes.reading import Reader, ReadFile, Request
from indexes.scanning import Found, scan
from indexes.storage import Storage, transaction
from indexes.writing import Record, Writer

UpdateProgress = Callable[[int, int, str], None]
"""Callback with bytes of documents done, total bytes, and the current document."""

GROUP_PASSAGES = 128
"""Minimum number of passages embedded together; vectors beyond ``ingest.SLICE`` are saved before they are stored."""

SETTLED_NS = 2_000_000_000
"""A file changed this shortly before it was read might change again within one tick of the file system's clock."""


@dataclass(frozen=True)
class UpdateReport:
    """The result of an update, as paths under ``documents/``."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    """Documents with a new path: the old one and the new one."""
    deleted: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Documents that were not indexed, each with the reason; the next update tries them again."""
    warnings: list[tuple[str, str]] = field(default_factory=list)
    """Indexed documents of which a part could not be read, such as scanned pages."""
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    """Indexed documents that have the same content as another one."""
    passages: int = 0
    """Passages in the whole index after the update."""
    repeated: int = 0
    """Number of these with the same text as another one; such passages are kept once."""
    search: str = ""
    """Description of the vector search if it is approximate."""
    put_aside: Path | None = None
    """Path of a damaged index that a rebuild replaced but could not read added texts from."""


@dataclass(frozen=True)
class _Known:
    """A stored document."""

    id: int
    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str
    needs_ocr: bool


def follow(storage: Storage, documents: Path, tools: Tools, progress: UpdateProgress) -> UpdateReport:
    """Synchronise the index with the files in ``documents``."""
    if not documents.is_dir():
        raise IndexingError(f"{documents} does not exist; create the folder and put your documents into it.")
    found = scan(documents)
    with storage.writing() as connection:
        return _Update(connection, documents, tools, progress).run(found, storage.command)


class _Update:
    """One pass over the folder with one connection."""

    def __init__(self, connection: sqlite3.Connection, documents: Path, tools: Tools, progress: UpdateProgress) -> None:
        self.connection = connection
        self.documents = documents
        self.tools = tools
        self.progress = progress
        self.writer = Writer(connection, tools.dictionary)
        self.report = UpdateReport()
        self.known = {
            path: _Known(*row)
            for path, *row in connection.execute(
                "SELECT path, id, size, mtime_ns, ctime_ns, sha256, needs_ocr FROM documents WHERE given = 0"
            )
        }
        self.moved: set[str] = set()
        self.done_bytes = self.total_bytes = 0

    def run(self, found: Found, command: str) -> UpdateReport:
        stored = self.connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone()
        if not stored and not found.files and not found.failed:
            self.erase()
            raise IndexingError(f"{self.documents} contains no documents; put files into it (txt, md, pdf, docx...).")
        prepare(self.connection, self.tools, command)
        self.report.failed.extend(found.failed)
        gone = self.gone(found)
        self.follow_moves(found, gone)
        to_read = {path: status for path, status in sorted(found.files.items()) if not self.is_unchanged(path, status)}
        self.forget(found, gone, self.tools.forgotten if to_read else None)
        self.read(to_read)
        self.erase()
        return self.finished()

    def erase(self) -> None:
        """Erase the remains of deleted documents from the database file."""
        self.writer.erase_unstored()
        self.writer.erase_traces()

    def finished(self) -> UpdateReport:
        warnings = "SELECT path, warning FROM documents WHERE warning != '' AND given = 0 ORDER BY path"
        self.report.warnings.extend(self.connection.execute(warnings).fetchall())
        self.report.duplicates.extend(
            self.connection.execute(
                "SELECT path, first FROM documents JOIN (SELECT sha256, min(path) AS first FROM documents "
                "WHERE size > 0 AND given = 0 GROUP BY sha256) USING (sha256) "
                "WHERE path != first AND given = 0 ORDER BY path"
            ).fetchall()
        )
        for paths in (self.report.added, self.report.changed, self.report.unchanged, self.report.failed):
            paths.sort()
        passages, repeated = self.connection.execute("SELECT count(*), count(same_as) FROM passages").fetchone()
        return replace(self.report, passages=passages, repeated=repeated)

    def gone(self, found: Found) -> list[str]:
        """Stored documents that no longer exist; those in folders that could not be listed are kept."""
        gone = []
        for path in sorted(set(self.known) - set(found.files)):
            if any(f"{path}/".startswith(f"{place}/") for place in found.unlisted):
                self.report.unchanged.append(path)
            else:
                gone.append(path)
        return gone

    def follow_moves(self, found: Found, gone: list[str]) -> None:
        """Update the paths of moved documents; their content is not read again."""
        by_size: dict[int, list[str]] = {}
        for path in gone:
            by_size.setdefault(self.known[path].size, []).append(path)
        for path, status in sorted(found.files.items()):
            candidates = by_size.get(status.st_size, [])
            if path in self.known or not any(_kind(old) == _kind(path) for old in candidates):
                continue
            sha256, mtime_ns = self.look_at(path, status)
            same = [old for old in candidates if self.known[old].sha256 == sha256 and _kind(old) == _kind(path)]
            if same:
                old = same[0]
                candidates.remove(old)
                gone.remove(old)
                ctime_ns, modified_ns = bounded(status.st_ctime_ns), bounded(status.st_mtime_ns)
                self.known[path] = replace(self.known.pop(old), mtime_ns=mtime_ns, ctime_ns=ctime_ns)
                with transaction(self.connection):
                    sql = "UPDATE documents SET path = ?, mtime_ns = ?, ctime_ns = ?, modified_ns = ? WHERE id = ?"
                    self.connection.execute(sql, (path, mtime_ns, ctime_ns, modified_ns, self.known[path].id))
                    self.writer.next_generation()
                self.report.moved.append((old, path))
                self.moved.add(path)

    def forget(self, found: Found, gone: list[str], vectors: dict[bytes, bytes] | None) -> None:
        refused = {path for path, _ in found.failed}
        for path in gone:
            with transaction(self.connection):
                self.writer.forget(self.known[path].id, vectors)
            if path not in refused:
                self.report.deleted.append(path)

    def read(self, to_read: dict[str, os.stat_result]) -> None:
        """Read, embed and store new and changed files."""
        self.total_bytes = sum(status.st_size for status in to_read.values())
        asked_ns: dict[str, int] = {}

        def requests() -> Iterator[Request]:
            for path in to_read:
                asked_ns[path] = time.time_ns()
                yield Request(self.documents, path)

        def tell(request: Request, page: int, pages: int) -> None:
            size = to_read[request.name].st_size
            self.progress(self.done_bytes + size * (page - 1) // pages, self.total_bytes, request.name)

        group: list[Divided] = []
        with Reader(tell) as reader:
            for request, result in reader.read_all(requests()):
                path = request.name
                self.progress(self.done_bytes, self.total_bytes, path)
                try:
                    group.append(self.divided(path, result, to_read[path], asked_ns[path]))
                except IndexingError as error:
                    self.fail(path, error)
                    self.done_bytes += to_read[path].st_size
                if sum(len(waiting.pieces) for waiting in group) >= GROUP_PASSAGES:
                    self.store(group, to_read)
                    group = []
        self.store(group, to_read)
        if to_read:
            self.progress(self.total_bytes, self.total_bytes, list(to_read)[-1])

    def divided(self, path: str, result: ReadFile | IndexingError, status: os.stat_result, asked_ns: int) -> Divided:
        if isinstance(result, IndexingError):
            raise result
        assert result.document
        times = settled(result.mtime_ns, asked_ns), bounded(status.st_ctime_ns), bounded(result.mtime_ns)
        record = Record(path, False, result.size, *times, result.sha256)
        return divide(record, result.document, self.tools)

    def is_unchanged(self, path: str, status: os.stat_result) -> bool:
        """Whether the stored content of a file is current. Hashes the file only if its times changed, not its size."""
        known = self.known.get(path)
        if known is None or (known.needs_ocr and find_engine()):
            return False
        listed = (status.st_size, bounded(status.st_mtime_ns), bounded(status.st_ctime_ns))
        if (known.size, known.mtime_ns, known.ctime_ns) != listed:
            if known.size != status.st_size:
                return False
            sha256, mtime_ns = self.look_at(path, status)
            if sha256 != known.sha256:
                return False
            with transaction(self.connection):
                sql = "UPDATE documents SET mtime_ns = ?, ctime_ns = ?, modified_ns = ? WHERE id = ?"
                self.connection.execute(sql, (mtime_ns, listed[2], listed[1], known.id))
        if path not in self.moved:
            self.report.unchanged.append(path)
        return True

    def look_at(self, path: str, status: os.stat_result) -> tuple[str, int]:
        """The SHA-256 of a file, empty if it cannot be read, and the modification time to store with it."""
        mtime_ns = settled(status.st_mtime_ns)
        try:
            with open_document(self.documents, path) as file:
                return hashlib.file_digest(file, "sha256").hexdigest(), mtime_ns
        except (OSError, IndexingError):
            return "", mtime_ns  # the next read reports the reason

    def fail(self, path: str, error: IndexingError) -> None:
        """Skip a document; its stored version is removed, unless the file could not be opened."""
        if path in self.known and isinstance(error, UnopenedError):
            self.report.failed.append((path, f"{error}; the version read before is kept"))
            return
        self.report.failed.append((path, str(error)))
        if path in self.known:
            with transaction(self.connection):
                self.writer.forget(self.known[path].id)

    def store(self, group: list[Divided], listed: dict[str, os.stat_result]) -> None:
        """Embed and store some documents; progress counts the listed bytes."""
        if not group:
            return
        size = sum(listed[divided.record.path].st_size for divided in group)
        last = group[-1].record.path

        def advance(share: float) -> None:
            self.progress(self.done_bytes + int(size * share), self.total_bytes, last)

        embed_and_store(self.connection, group, self.tools, advance)
        self.done_bytes += size
        for divided in group:
            path = divided.record.path
            (self.report.changed if path in self.known else self.report.added).append(path)


def settled(mtime_ns: int, looked_ns: int | None = None) -> int:
    """The file time to store; -1, which matches no file, if the file may change again within the same time stamp."""
    return bounded(mtime_ns) if (looked_ns or time.time_ns()) - mtime_ns > SETTLED_NS else -1


def bounded(ns: int) -> int:
    """Clamp a file time to what SQLite can store: until the year 2262."""
    return max(-(2**63), min(ns, 2**63 - 1))


def _kind(path: str) -> str:
    """The part of the name that selects the reader (``file_format.py``): a file whose kind changes is read again."""
    name = PurePosixPath(path).name.lower()
    return name if name in NAMES else PurePosixPath(name).suffix
