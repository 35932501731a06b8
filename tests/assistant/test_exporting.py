"""A domain is copied whole, also by who may only read it."""

import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from domain import create_domain

EXPORT = """
import sys
from pathlib import Path
from assistant.exporting import export_domain
from domain import Domain
export_domain(Domain.open(sys.argv[1]), Path(sys.argv[2]), lambda *told: None)
"""


@pytest.mark.parametrize("read_only", ["a document", "everything"])
def test_a_domain_is_copied_by_who_may_not_write_to_it(
    tmp_path: Path, without_rights: Callable[..., "subprocess.Popen[str]"], read_only: str
) -> None:
    domain, copy = create_domain(tmp_path / "tea"), tmp_path / "copy"
    (domain.documents / "a.txt").write_text("Green tea.", encoding="utf-8")
    for database in (domain.index / "passages.sqlite", domain.conversations):
        database.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE t AS SELECT 7 AS x")
            connection.commit()
    places = [domain.path, *domain.path.rglob("*")] if read_only == "everything" else [domain.documents / "a.txt"]
    modes = {place: place.stat().st_mode for place in places}
    for place, mode in modes.items():
        place.chmod(mode & 0o555)
    try:
        _, errors = without_rights(EXPORT, domain.path, copy).communicate(timeout=120)
    finally:
        for place, mode in modes.items():
            place.chmod(mode)
    assert errors == ""
    assert (copy / "documents" / "a.txt").read_text(encoding="utf-8") == "Green tea."
    for name in ("index/passages.sqlite", "conversations.sqlite"):
        with closing(sqlite3.connect(copy / name)) as connection:
            assert connection.execute("SELECT x FROM t").fetchone() == (7,)
            connection.execute("UPDATE t SET x = 8")  # the copy is a domain of its own
