"""Rebuilds an index in a second file, which replaces the old one when it is complete."""

from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from indexes.added_texts import GivenText, add_given, delete_given, read_given
from indexes.errors import IndexingError
from indexes.ingest import Tools, difference, prepare
from indexes.storage import BuiltWith, Storage, newest_id, read_built_with, renew, transaction
from indexes.update import UpdateProgress, UpdateReport, follow


def rebuild_index(storage: Storage, documents: Path, tools: Tools, progress: UpdateProgress) -> UpdateReport:
    """Read all documents into a new index that replaces the one in ``storage``.

    From the old index, if it is readable, added texts are copied, and vectors of the same embedder are reused. The next
    rebuild continues an interrupted one.
    """
    fresh = unfinished(storage)
    if fresh.exists() and (not fresh.is_sound() or _differs(fresh, tools.built_with)):
        fresh.erase()
    given: list[GivenText] | None = None
    with ExitStack() as stack:
        newest = 0
        # there may be no old index, or it may be unreadable (newer version) or partly unreadable (damaged)
        with suppress(IndexingError):
            given, newest, fingerprint = _salvaged(storage)
            if fingerprint == tools.built_with.fingerprint and storage.is_sound():
                tools = replace(tools, old=stack.enter_context(storage.reading()))
        with fresh.writing() as connection:
            with transaction(connection):
                renew(connection, newest)
            if given is not None:
                prepare(connection, tools, fresh.command)
                kept = {text.id for text in given}
                delete_given(connection, [text.id for text in read_given(connection) if text.id not in kept], tools)
                add_given(connection, given, tools)
        report = follow(fresh, documents, tools, progress)
    aside = storage.replace_by(fresh)
    fresh.erase()
    if aside and given is not None:  # it contains nothing that the new index lacks
        aside.unlink()
        aside = None
    return replace(report, put_aside=aside)


def unfinished(storage: Storage) -> Storage:
    """The file that an interrupted rebuild leaves, which may not exist."""
    return Storage(storage.path.with_name("rebuilding.sqlite"), f"{storage.command} --rebuild")


def _salvaged(storage: Storage) -> tuple[list[GivenText], int, str]:
    """From the old index, the added texts, the highest passage id, and the fingerprint of its embedder."""
    if storage.exists():
        with storage.writing():
            pass  # migrates a file of an older format
    with storage.reading() as connection:
        return read_given(connection), newest_id(connection), read_built_with(connection).get("fingerprint", "")


def _differs(storage: Storage, built_with: BuiltWith) -> bool:
    """Whether an interrupted rebuild cannot be continued."""
    try:
        with storage.reading() as connection:
            stored = read_built_with(connection)
    except IndexingError:  # killed before its first commit, or made by another version
        return True
    return "fingerprint" not in stored or bool(difference(stored, built_with))
