"""Files and folders are whole or absent, whatever happens to the writer; a real process is killed with SIGKILL."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from domain import whole_file, whole_folder, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed(code: str, path: Path) -> None:
    """Run code in a process of its own that ends itself with SIGKILL; ``path`` is its variable."""
    preamble = (
        "import os, shutil, signal, sys; from pathlib import Path; from domain import *\n"
        "path = Path(sys.argv[1])\n"
        "def die(): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run([sys.executable, "-c", preamble + code, str(path)], capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL, result.stderr


def test_a_file_is_replaced(tmp_path: Path) -> None:
    write_text(tmp_path / "sub" / "a.txt", "old\n茶\n")
    write_text(tmp_path / "sub" / "a.txt", "new\n🍵\n")
    assert (tmp_path / "sub" / "a.txt").read_bytes() == "new\n🍵\n".encode()
    assert names(tmp_path / "sub") == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_error_while_writing_a_file_leaves_the_old_one(tmp_path: Path, error: type[BaseException]) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(error), whole_file(tmp_path / "a.txt") as partial:  # noqa: PT012
        partial.write_text("half", encoding="utf-8")
        raise error
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_text_that_cannot_be_encoded_leaves_the_old_one(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "new \ud800")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_writer_that_wrote_nothing_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"


def test_a_killed_writer_of_a_file_leaves_the_old_one_and_the_next_write_clears_up(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    killed("with whole_file(path) as partial:\n    partial.write_text('half'); die()", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"
    assert len(names(tmp_path)) == 2, "the killed process could not clear up; else this test shows nothing"
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_replaces_an_older_one_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with whole_folder(tmp_path / "run") as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / f"{content}.txt").write_text(content, encoding="utf-8")
    assert names(tmp_path) == ["run"]
    assert names(tmp_path / "run" / "deep") == ["new.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_filling_a_folder_leaves_the_old_one(tmp_path: Path, error: type[BaseException]) -> None:
    with whole_folder(tmp_path / "run") as folder:
        (folder / "a").write_text("old", encoding="utf-8")
    with pytest.raises(error), whole_folder(tmp_path / "run") as folder:  # noqa: PT012
        (folder / "b").write_text("half", encoding="utf-8")
        raise error
    assert names(tmp_path) == ["run"]
    assert names(tmp_path / "run") == ["a"]


def test_a_killed_writer_of_a_folder_leaves_the_old_one_and_the_next_write_clears_up(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "run") as folder:
        (folder / "a").write_text("old", encoding="utf-8")
    killed("with whole_folder(path) as folder:\n    (folder / 'b').write_text('half'); die()", tmp_path / "run")
    assert names(tmp_path / "run") == ["a"]
    assert len(names(tmp_path)) == 2
    with whole_folder(tmp_path / "run") as folder:
        (folder / "c").write_text("new", encoding="utf-8")
    assert names(tmp_path) == ["run"]
    assert names(tmp_path / "run") == ["c"]


REPLACE = """
for number in range(5):
    with whole_folder(path) as folder:
        for file in "abc":
            (folder / file).write_text(str(number))
    if not number:  # from the second time on, calls are counted
        left = [{calls}]
        def counted(call):
            def run(*arguments, **keywords):
                call(*arguments, **keywords)
                left[0] -= 1
                if not left[0]:
                    die()
            return run
        os.unlink, os.replace = counted(os.unlink), counted(os.replace)
"""


@pytest.mark.parametrize("calls", range(1, 7))
def test_a_writer_killed_while_it_replaces_a_folder_never_leaves_half_of_one(tmp_path: Path, calls: int) -> None:
    """Killed after each rename and each deletion in turn: the folder is the old or the new, or put back by the next."""
    killed(REPLACE.format(calls=calls), tmp_path / "run")
    if (tmp_path / "run").exists():
        assert names(tmp_path / "run") == ["a", "b", "c"]
        assert len({file.read_text(encoding="utf-8") for file in (tmp_path / "run").iterdir()}) == 1
    with pytest.raises(ValueError, match="stop"), whole_folder(tmp_path / "run"):
        raise ValueError("stop")
    assert names(tmp_path) == ["run"]
    assert names(tmp_path / "run") == ["a", "b", "c"]


def test_a_leftover_of_another_name_is_left_alone(tmp_path: Path) -> None:
    """`lora` and `lora.v2` stand side by side; the unfinished write of one is no business of the other."""
    for name in ("lora.v2.1-2.partial", "lora.notes.partial", "lora.1-2.partial.txt"):
        (tmp_path / name).write_text("mine", encoding="utf-8")
    write_text(tmp_path / "lora", "new")
    assert names(tmp_path) == ["lora", "lora.1-2.partial.txt", "lora.notes.partial", "lora.v2.1-2.partial"]


def test_what_another_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        living = tmp_path / f"a.txt.{other.pid}-1.partial"
        living.write_text("half", encoding="utf-8")
        write_text(tmp_path / "a.txt", "new")
        assert living.exists()
        other.communicate(b"\n")
    write_text(tmp_path / "a.txt", "newer")
    assert names(tmp_path) == ["a.txt"]
