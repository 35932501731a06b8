"""Databases are read by those who may not write, and what they read is one state or an error."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

Start = Callable[..., "subprocess.Popen[str]"]

READ_TWICE = """
import sys
from pathlib import Path
from domain import reading_database
with reading_database(Path(sys.argv[1])) as connection:
    connection.execute("BEGIN")
    print(*connection.execute("SELECT count(*) FROM t").fetchone(), flush=True)
    input()
    connection.execute("SELECT count(*) FROM t").fetchone()
    print(*connection.execute("SELECT count(*) FROM t").fetchone(), flush=True)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database in write-ahead mode of two rows, which nobody uses: there is nothing beside it."""
    path = tmp_path / "folder" / "t.sqlite"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (1), (2)")
        connection.commit()
    assert list(path.parent.iterdir()) == [path]
    return path


@contextmanager
def not_to_be_written(folder: Path) -> Iterator[None]:
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


def started(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline()


def add(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO t VALUES (3)")
        connection.commit()


def test_a_database_in_a_folder_that_may_not_be_written_is_read(file: Path, without_rights: Start) -> None:
    with not_to_be_written(file.parent):
        said, errors = without_rights(READ_TWICE, file).communicate("\n", timeout=60)
    assert said == "2\n2\n", errors


def test_what_is_read_while_its_owner_begins_to_write_is_an_error(file: Path, without_rights: Start) -> None:
    with not_to_be_written(file.parent):
        process = without_rights(READ_TWICE, file)
        assert started(process) == "2\n"
    add(file)
    _, errors = process.communicate("\n", timeout=60)
    assert errors.endswith("OperationalError: another user wrote to it while it was read\n")


def test_while_its_owner_has_it_open_one_state_is_read(file: Path, without_rights: Start) -> None:
    with closing(sqlite3.connect(file)) as owner:
        owner.execute("SELECT count(*) FROM t").fetchone()
        with not_to_be_written(file.parent):
            process = without_rights(READ_TWICE, file)
            assert started(process) == "2\n"
            add(file)
            said, errors = process.communicate("\n", timeout=60)
    assert said == "2\n", errors
