"""The workspace: text files written whole, and every way out of the folder refused."""

import os
import unicodedata
from pathlib import Path

import pytest

from assistant.tools.workspace import MAX_FILES, MAX_TEXT, checked_name, workspace_tools
from domain import Domain, create_domain


@pytest.fixture
def own_domain(tmp_path) -> Domain:
    return create_domain(tmp_path / "own")


@pytest.fixture
def files(own_domain):
    return workspace_tools(own_domain)


def test_files_are_written_listed_and_read(files, own_domain):
    list_files, read_file, write_file = files
    assert list_files.invoke({}) == "There are no files yet."
    assert not own_domain.workspace.exists(), "looking creates nothing"
    assert write_file.invoke({"name": "计划/第一步.md", "text": "泡茶\n"}) == "Wrote 3 characters to 计划/第一步.md."
    assert write_file.invoke({"name": "a.txt", "text": "one"}) == "Wrote 3 characters to a.txt."
    assert write_file.invoke({"name": "a.txt", "text": "two"}) == "Wrote 3 characters to a.txt."
    assert list_files.invoke({}) == "a.txt (3 bytes)\n计划/第一步.md (7 bytes)"
    assert read_file.invoke({"name": "计划/第一步.md"}) == "计划/第一步.md, part 1 of 1.\n泡茶"
    assert (own_domain.workspace / "a.txt").read_text(encoding="utf-8") == "two"
    assert "There is no file b.txt; the files are: a.txt, 计划/第一步.md." in read_file.invoke({"name": "b.txt"})


@pytest.mark.parametrize(
    "name",
    [
        "../domain.toml", "a/../../domain.toml", "..", ".", "", "a//b", "a/", "/etc/passwd", "//host/share",
        "C:\\x.txt", "C:x.txt", "c:/x.txt", "a\\..\\..\\x", "\\\\host\\share", "a\0.txt", "a\n.txt", "a\u202etxt.exe",
        "\u200b", "．．/domain.toml", "a／..／..／x", "‥/domain.toml", "..\u2215x", "CON", "nul.txt", "a/COM1",
        "lpt9.md",
        ".hidden", "a/.git/config", "x.", "x ", "a*b", "a?b", "a|b", 'a"b', "<a>", "a:stream", "x.partial", "\ud800",
        "aux",
        "长" * 100, "a/" * 10 + "b", "ＮＵＬ", "COM¹",
    ],
)  # fmt: skip
def test_names_that_are_refused(files, own_domain, name):
    before = sorted(own_domain.path.parent.rglob("*"))
    settings = own_domain.settings_file.read_bytes()
    for tool, more in ((files[1], {}), (files[2], {"text": "owned"})):
        said = tool.invoke({"name": tool.name, "args": {"name": name, **more}, "id": "1", "type": "tool_call"})
        if name == "..\u2215x":  # a division slash is one odd character, not a way out; but it looks like one
            assert "starts or ends with a dot" in said.content
        assert said.status == "error", name
        assert "Traceback" not in said.content
    assert sorted(own_domain.path.parent.rglob("*")) == before
    assert own_domain.settings_file.read_bytes() == settings


def test_a_name_of_121_characters_and_a_text_too_long(files):
    assert "Wrong argument name" in files[2].invoke({"name": "x" * 121, "text": ""})
    assert "Wrong argument text" in files[2].invoke({"name": "x", "text": "x" * (MAX_TEXT + 1)})
    assert "not valid" in files[2].invoke({"name": "x", "text": "a\0b"})


def test_one_name_in_two_unicode_forms_is_one_file(files, own_domain):
    for form in ("NFC", "NFD"):
        files[2].invoke({"name": unicodedata.normalize(form, "café.md"), "text": form})
    assert [path.name for path in own_domain.workspace.iterdir()] == [checked_name("café.md")]


def test_links_lead_nowhere(files, own_domain, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("xyzzy", encoding="utf-8")
    outside = tmp_path / "outside"
    outside.mkdir()
    own_domain.workspace.mkdir()
    (own_domain.workspace / "link.txt").symlink_to(secret)
    (own_domain.workspace / "folder").symlink_to(outside)
    (own_domain.workspace / "loop").symlink_to(own_domain.workspace / "loop")
    list_files, read_file, write_file = files
    assert list_files.invoke({}) == "There are no files yet."
    for name in ("link.txt", "folder/x.txt", "loop", "loop/x"):
        assert "xyzzy" not in read_file.invoke({"name": name})
        assert "Wrote" not in write_file.invoke({"name": name, "text": "owned"})
    assert secret.read_text(encoding="utf-8") == "xyzzy"
    assert list(outside.iterdir()) == []


def test_pipes_binary_files_and_folders_are_sentences(files, own_domain):
    own_domain.workspace.mkdir()
    os.mkfifo(own_domain.workspace / "pipe")
    (own_domain.workspace / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    (own_domain.workspace / "folder").mkdir()
    (own_domain.workspace / "large.txt").write_bytes(b"x" * 300_000)
    _, read_file, write_file = files
    assert "is not a regular file" in read_file.invoke({"name": "pipe"})
    assert "not a UTF-8 text" in read_file.invoke({"name": "picture.png"})
    assert "larger than" in read_file.invoke({"name": "large.txt"})
    assert "is not a regular file" in read_file.invoke({"name": "folder"})
    assert "is a folder or a link" in write_file.invoke({"name": "folder", "text": ""})
    assert "which is a file" in write_file.invoke({"name": "large.txt/x", "text": ""})


def test_the_number_of_files_is_bounded(files, own_domain):
    own_domain.workspace.mkdir()
    for number in range(MAX_FILES):
        (own_domain.workspace / f"{number}.txt").touch()
    assert f"has {MAX_FILES} files already" in files[2].invoke({"name": "more.txt", "text": ""})
    assert "Wrote" in files[2].invoke({"name": "7.txt", "text": "again"})
    assert not Path(own_domain.workspace / "more.txt").exists()
