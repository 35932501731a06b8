"""Files outside the documents folder are never read, and documents without read permission stay in the index."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from index_samples import make_domain, put
from index_worker import embedder

from domain import Domain
from indexes import Index


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    return make_domain(
        tmp_path / "tea", {"a.txt": "Tea on top.", "sub/z.txt": "Tea inside.", "sub/deep/y.txt": "Deep."}
    )


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "z.txt").write_text("A swordfish outside.", encoding="utf-8")
    return folder


def test_a_folder_replaced_by_a_link_after_it_was_listed_is_not_read(domain: Domain, outside: Path) -> None:
    sub = domain.documents / "sub"

    def swap(_done: int, _total: int, _document: str) -> None:
        if not sub.is_symlink():
            sub.rename(domain.path / "away")
            sub.symlink_to(outside, target_is_directory=True)

    for number in range(5):  # so that some are read ahead and others after the swap
        put(domain, f"a{number}.txt", f"Text {number}.")
    index = Index.open(domain, embedder())
    report = index.update(progress=swap)
    assert "sub/z.txt" not in report.added
    assert all("swordfish" not in passage.text for passage in index.search("swordfish", 10, "full_text"))


def test_a_moved_file_is_not_looked_for_behind_a_link(
    domain: Domain, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is replaced between listing and reading: a file outside must not count as the moved file."""
    from indexes.scanning import Found, scan

    put(domain, "known.txt", "A swordfish outside.")
    index = Index.open(domain, embedder())
    index.update()
    (domain.documents / "known.txt").unlink()
    put(domain, "sub/z.txt", "A swordfish at home!")  # same length as the file outside

    def scan_and_swap(documents: Path) -> Found:
        found = scan(documents)
        (documents / "sub").rename(domain.path / "away")
        (documents / "sub").symlink_to(outside, target_is_directory=True)
        return found

    monkeypatch.setattr("indexes.update.scan", scan_and_swap)
    put(domain, "sub/new.txt", "A swordfish at home!")
    (outside / "new.txt").write_text("A swordfish outside.", encoding="utf-8")
    assert index.update().moved == []
    assert index.search("swordfish", 10, "full_text") == []


UPDATE = """
import sys
from index_worker import embedder
from indexes import Index
index = Index.open(sys.argv[1], embedder())
report = index.update()
print(report.deleted, report.failed, index.documents())
"""


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_a_folder_that_may_not_be_entered_keeps_its_documents(
    domain: Domain, without_rights: Callable[..., "subprocess.Popen[str]"], mode: int
) -> None:
    index = Index.open(domain, embedder())
    index.update()
    (domain.documents / "sub").chmod(mode)
    try:
        said, errors = without_rights(UPDATE, domain.path).communicate(timeout=120)
    finally:
        (domain.documents / "sub").chmod(0o755)
    assert said.startswith("[] [('sub"), errors
    assert said.endswith("['a.txt', 'sub/deep/y.txt', 'sub/z.txt']\n")
    assert "Permission denied" in said
    (domain.documents / "sub" / "z.txt").unlink()  # now its deletion is visible, so it is removed from the index
    assert index.update().deleted == ["sub/z.txt"]


SEARCH = """
import sys
from index_worker import embedder
from indexes import Index
index = Index.open(sys.argv[1], embedder())
print([passage.text for mode in ("full_text", "dense") for passage in index.search("tea", 9, mode)])
"""
KILLED_AFTER_A_COMMIT = """
import os, sys
import indexes.writing
from index_worker import embedder
from indexes import GivenText, Index
indexes.writing.Writer.erase_traces = lambda self: os.kill(os.getpid(), 9)
Index.open(sys.argv[1], embedder()).add([GivenText("note", "Tea of a note.")])
"""


@pytest.mark.parametrize("killed", [False, True])
def test_an_index_that_may_not_be_written_is_searched(
    domain: Domain, without_rights: Callable[..., "subprocess.Popen[str]"], killed: bool
) -> None:
    """Also if a killed process left a write-ahead log with its last changes."""
    Index.open(domain, embedder()).update()
    if killed:
        without_rights(KILLED_AFTER_A_COMMIT, domain.path).communicate(timeout=120)
        assert (domain.index / "passages.sqlite-wal").stat().st_size
    domain.index.chmod(0o555)
    try:
        said, errors = without_rights(SEARCH, domain.path).communicate(timeout=120)
    finally:
        domain.index.chmod(0o755)
    assert said.count("Tea inside.") == 2, errors
    assert said.count("Tea of a note.") == 2 * killed
