"""A new index beside the present one, which answers until the new one is whole and takes its place."""

from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from indexes.errors import IndexingError
from indexes.given import GivenText, add_given, delete_given, read_given
from indexes.ingest import Tools, difference, prepare
from indexes.storage import BuiltWith, Storage, newest_id, read_built_with, renew, transaction
from indexes.update import UpdateProgress, UpdateReport, follow


def rebuild_index(storage: Storage, documents: Path, tools: Tools, progress: UpdateProgress) -> UpdateReport:
    """Read all documents anew into an index that replaces the one in ``storage``.

    Of the old index, where it can still be read, texts that a program gave are taken over, and vectors of what was
    embedded before by the same embedder. An interrupted rebuild is gone on with by the next one.
    """
    fresh = unfinished(storage)
    if fresh.exists() and (not fresh.is_sound() or _differs(fresh, tools.built_with)):
        fresh.erase()
    given: list[GivenText] | None = None
    with ExitStack() as stack:
        newest = 0
        # there may be no old index; of a newer version's nothing is known, of a damaged one perhaps not all
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
    if aside and given is not None:  # nothing is lost with it
        aside.unlink()
        aside = None
    return replace(report, put_aside=aside)


def unfinished(storage: Storage) -> Storage:
    """What a rebuild that was interrupted left, if there is one."""
    return Storage(storage.path.with_name("rebuilding.sqlite"), f"{storage.command} --rebuild")


def _salvaged(storage: Storage) -> tuple[list[GivenText], int, str]:
    """Of the old index the given texts, the highest id of a passage, and the fingerprint of its embedder."""
    if storage.exists():
        with storage.writing():
            pass  # brings a file of an older format up to date
    with storage.reading() as connection:
        return read_given(connection), newest_id(connection), read_built_with(connection).get("fingerprint", "")


def _differs(storage: Storage, built_with: BuiltWith) -> bool:
    """Whether a rebuild that was interrupted cannot be gone on with."""
    try:
        with storage.reading() as connection:
            stored = read_built_with(connection)
    except IndexingError:  # killed before its first commit, or made by another version
        return True
    return "fingerprint" not in stored or bool(difference(stored, built_with))
