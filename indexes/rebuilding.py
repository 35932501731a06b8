"""A new index beside the present one, which answers until the new one is whole and takes its place."""

from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from indexes.errors import IndexingError
from indexes.given import add_given, read_given
from indexes.ingest import Tools, difference, prepare
from indexes.storage import BuiltWith, Storage, read_built_with, renew, transaction
from indexes.update import Progress, UpdateReport, follow


def rebuild_index(storage: Storage, documents: Path, tools: Tools, progress: Progress) -> UpdateReport:
    """Read all documents anew into an index that replaces the one in ``storage``.

    Of the old index, where it can still be read, texts that a program gave are taken over, and vectors of what was
    embedded before by the same embedder. An interrupted rebuild is gone on with by the next one.
    """
    fresh = Storage(storage.path.with_name("rebuilding.sqlite"), f"{storage.command} --rebuild")
    if fresh.exists() and (not fresh.is_sound() or _differs(fresh, tools.built_with)):
        fresh.erase()
    with fresh.writing() as connection, transaction(connection):
        renew(connection)
    with ExitStack() as stack:
        given = []
        with suppress(IndexingError):  # of a newer version's index nothing is known: all is made from the documents
            if storage.exists() and storage.is_sound():
                old = stack.enter_context(storage.reading(old=True))
                given = read_given(old)
                if read_built_with(old).get("fingerprint") == tools.built_with.fingerprint:
                    tools = replace(tools, old=old)
        if given:
            with fresh.writing() as connection:
                prepare(connection, tools, fresh.command)
                add_given(connection, given, tools)
        report = follow(fresh, documents, tools, progress)
    storage.replace_by(fresh)
    fresh.erase()
    return report


def _differs(storage: Storage, built_with: BuiltWith) -> bool:
    """Whether a rebuild that was interrupted cannot be gone on with."""
    try:
        with storage.reading() as connection:
            stored = read_built_with(connection)
    except IndexingError:  # killed before its first commit, or made by another version
        return True
    return "fingerprint" not in stored or bool(difference(stored, built_with))
