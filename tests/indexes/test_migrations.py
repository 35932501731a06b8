"""Migrates a file of format 1, as released, to the current format without loss of data that can be kept."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from index_samples import TEA, check_tables, make_domain

from base_models.embedding import Embedder
from indexes import Index, IndexingError
from indexes.migrations import _FORMAT_1, FORMATS
from indexes.storage import newest_id, save_built_with


@pytest.fixture
def old(tmp_path: Path, minilm: Embedder) -> Index:
    """An index of format 1 with one document of two passages; the numbers mark its stored vectors and ids."""
    domain = make_domain(tmp_path / "tea", TEA, embedder="all-minilm-l6-v2")
    domain.index.mkdir()
    connection = sqlite3.connect(domain.index / "passages.sqlite")
    for statement in _FORMAT_1.split(";"):
        connection.execute(statement)
    built = {"embedder": minilm.name, "fingerprint": minilm.fingerprint, "splitter": 2, "segmenter": 1}
    save_built_with(connection, built | {"passage_tokens": 300, "generation": 3, "identity": "a" * 32})
    connection.execute("INSERT INTO meta VALUES ('refusal', '{}')")
    connection.execute("INSERT INTO documents VALUES (4, 'en/green.md', 1, 2, 'hash', 'a warning', 'whole text')")
    for number, (headings, text) in enumerate(
        [('["Green tea"]', "Green tea is not oxidised."), ('["Green tea", "Water"]', "Other words.")]
    ):
        vector = np.full(384, 0.25 + number, np.float32).tobytes()
        row = (1000 + number, 4, 5, 9, 1, None, headings, text, vector)
        connection.execute("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("INSERT INTO passages SELECT 2000, 4, 1, 1, 1, 1, '[]', '', x'00'")
    connection.execute("DELETE FROM passages WHERE id = 2000")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    return Index.open(domain, minilm)


def test_reading_says_which_command_brings_it_up_to_date(old: Index) -> None:
    with pytest.raises(IndexingError, match=r"has the older format 1; migrate it with: .* --rebuild"):
        old.search("tea")


def test_everything_is_taken_over_and_a_rebuild_asked_for(old: Index) -> None:
    with pytest.raises(IndexingError, match=r"was built by another version of Lorewright.* --rebuild"):
        old.update()
    with old._storage.reading() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(FORMATS),)
        row = connection.execute("SELECT id, path, warning, text, given, mtime_ns FROM documents").fetchall()
        assert row == [(4, "en/green.md", "a warning", "whole text", 0, -1)]
        rows = connection.execute("SELECT id, start, end, headings, text FROM passages ORDER BY id").fetchall()
        assert rows[0] == (1000, 5, 9, '["Green tea"]', "Green tea is not oxidised.")
        assert [row[0] for row in connection.execute("SELECT passage_id FROM vectors ORDER BY 1")] == [1000, 1001]
        assert newest_id(connection) >= 2000  # the id of a deleted passage is not reused
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert old.meta("refusal") == {}


def test_a_rebuild_embeds_nothing_that_the_old_file_has_a_vector_of(old: Index, minilm: Embedder) -> None:
    report = old.update(rebuild=True)
    assert report.passages == 6
    kept = old.search("Green tea is not oxidised", k=1, mode="full_text")[0]
    with old._storage.reading() as connection:
        (vector,) = connection.execute("SELECT vector FROM vectors WHERE passage_id = ?", (kept.id,)).fetchone()
    assert vector == np.full(384, 0.25, np.float32).tobytes()
    check_tables(old)
    assert old.update().unchanged == sorted(TEA)
