"""Indexes a folder of awkward files once: each file is found, or refused with the expected sentence.

``pytest -s tests/indexes/test_awkward_files.py`` prints one line per file.
"""

from collections.abc import Iterator
from pathlib import Path

import awkward_documents
import awkward_files
import pytest
from awkward_files import Awkward, make
from index_samples import check_tables, make_domain

from base_models.embedding import Embedder
from indexes import Index
from indexes.update import UpdateReport

FILES = [*awkward_files.files(), *awkward_documents.files()]


@pytest.fixture(scope="module")
def indexed(minilm: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Index, UpdateReport]]:
    domain = make_domain(tmp_path_factory.mktemp("awkward") / "domain", {})
    for file in FILES:
        make(file, domain.documents)
    with Index.open(domain, minilm) as index:
        yield index, index.update()


def shown(name: str) -> str:
    return name.encode(errors="replace").decode()


@pytest.mark.parametrize("file", FILES, ids=lambda file: ascii(file.name)[1:40])
def test_what_a_user_sees_of(file: Awkward, indexed: tuple[Index, UpdateReport]) -> None:
    index, report = indexed
    name = shown(file.name)
    refused, warning = dict(report.failed).get(name, ""), dict(report.warnings).get(name, "")
    with index._storage.reading() as connection:
        counting = "SELECT count(*) FROM passages JOIN documents d ON d.id = document_id WHERE path = ?"
        (passages,) = connection.execute(counting, (name,)).fetchone()
    came = (
        f"refused: it {refused}" if refused else f"read, {passages} passages" if name in report.added else "passed over"
    )
    print(f"{name[:40]!r}: {came}{f'; it {warning}' if warning else ''}")
    assert refused == file.refused
    assert warning == file.warning
    assert (name in report.added) == bool(file.question or file.warning)
    assert (passages > 0) == bool(file.question)
    if file.question:
        (first,) = index.search(file.question, k=1, mode="full_text")
        assert (first.document, first.place) == (name, file.place)
        assert first.full_text_score > 0


def test_nothing_else_is_in_the_report_and_nothing_was_written_beside_the_index(
    indexed: tuple[Index, UpdateReport],
) -> None:
    index, report = indexed
    assert len(FILES) >= 60
    named = {shown(file.name) for file in FILES}
    assert {*report.added, *dict(report.failed), *dict(report.warnings)} <= named
    assert report.duplicates == []
    assert [path.name for path in index.domain.path.parent.rglob("evil*")] == ["evil.docx"]
    assert not Path("/evil").exists()
    check_tables(index)


@pytest.mark.slow
def test_a_second_update_reads_no_file_that_was_stored(indexed: tuple[Index, UpdateReport]) -> None:
    index, first = indexed
    again = index.update()
    assert again.unchanged == first.added
    assert (again.failed, again.warnings) == (first.failed, first.warnings)
