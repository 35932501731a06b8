"""Opening documents never follows links, on both kinds of systems."""

import os
from pathlib import Path

import pytest

from indexes import IndexingError
from indexes.readers.opening import open_document


@pytest.fixture(params=["step by step", "compared"])
def documents(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder behind a link, like the temporary folders of macOS, with a file beside it."""
    if request.param == "compared":
        monkeypatch.setattr(os, "supports_dir_fd", frozenset())
    (tmp_path / "real" / "documents" / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "secret").mkdir()
    (tmp_path / "real" / "secret" / "a.txt").write_text("swordfish", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    return tmp_path / "link" / "documents"


@pytest.mark.parametrize("name", ["a.txt", "sub/a.txt", "sub/deep/a.txt"])
def test_a_file_of_any_depth_is_opened(documents: Path, name: str) -> None:
    (documents / name).write_text("tea", encoding="utf-8")
    with open_document(documents, name) as file:
        assert file.read() == b"tea"


@pytest.mark.parametrize("link", ["out", "sub/out"])
def test_a_folder_that_is_a_link_is_not_followed_out(documents: Path, link: str) -> None:
    (documents / link).symlink_to(documents.parent / "secret", target_is_directory=True)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        open_document(documents, f"{link}/a.txt")


def test_a_file_that_is_a_link_is_not_followed_out(documents: Path) -> None:
    (documents / "sub" / "a.txt").symlink_to(documents.parent / "secret" / "a.txt")
    with pytest.raises(OSError, match="symbolic links"):
        open_document(documents, "sub/a.txt")


def test_what_is_not_there_and_what_is_no_file_is_said(documents: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_document(documents, "sub/a.txt")
    if os.name == "posix":
        with pytest.raises(IndexingError, match="is not a regular file"):
            open_document(documents, "sub/deep")
