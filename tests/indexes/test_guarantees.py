"""The guarantees of the index: no data loss, and no deleted content returns, after kills, damage or full disks."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from index_samples import TEA, check_tables, make_domain, put

from base_models.embedding import Embedder
from domain import Domain
from indexes import Index, IndexingError
from indexes.migrations import FORMATS
from indexes.writer_lock import only_writer

UPDATE = """
import sys
import indexes.update
from indexes import Index
indexes.update.GROUP_PASSAGES = 4
Index.open(sys.argv[1]).update(progress=lambda done, total, document: print(done, document, flush=True))
"""


@pytest.fixture
def tea(tmp_path: Path) -> Domain:
    return make_domain(tmp_path / "tea", TEA, embedder="all-minilm-l6-v2")


@pytest.fixture
def index(tea: Domain, minilm: Embedder) -> Index:
    index = Index.open(tea, minilm)
    index.update()
    return index


def found(index: Index, question: str = "green tea water 龙井") -> list[tuple[str, str]]:
    return [(passage.document, passage.text) for passage in index.search(question, k=10)]


def check_whole(index: Index) -> None:
    """The tables are consistent with each other and with the folder."""
    check_tables(index)
    for document in index.documents():
        assert index.text(document) == (index.domain.documents / document).read_text(encoding="utf-8")


# ---- the vector cache ----


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "one bit", "garbage", "another index's", "older"])
def test_a_damaged_vector_cache_is_made_again_in_silence(
    index: Index, tea: Domain, minilm: Embedder, tmp_path: Path, damage: str
) -> None:
    cache = tea.index / "vectors.faiss"
    content = cache.read_bytes()
    if damage == "another index's":
        other = make_domain(tmp_path / "other", {"x.md": "Another index."})
        Index.open(other, minilm).update()
        cache.write_bytes((other.index / "vectors.faiss").read_bytes())
    elif damage == "older":
        put(tea, "new.md", "Jasmine green tea is scented with flowers.")
        (tea.documents / "en/black.md").unlink()
        index.update()
        cache.write_bytes(content)
    elif damage == "missing":
        cache.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        cache.write_bytes({"empty": b"", "cut": content[:-100], "one bit": flipped, "garbage": b"IxM2" * 9999}[damage])
    expected = found(index)
    fresh = Index.open(tea, minilm)
    assert found(fresh) == expected
    mended = cache.read_bytes()
    assert found(Index.open(tea, minilm)) == expected
    assert cache.read_bytes() == mended  # written once, not by every search
    if damage not in ("older", "another index's"):
        assert mended == content


def test_the_cache_file_is_an_ordinary_faiss_index(index: Index, tea: Domain) -> None:
    import faiss

    assert faiss.read_index(str(tea.index / "vectors.faiss")).ntotal == 6


def test_a_search_never_sees_vectors_of_a_deleted_document(index: Index, tea: Domain, minilm: Embedder) -> None:
    reader = Index.open(tea, minilm)
    assert ("en/black.md", "Pour boiling water, 95 degrees or hotter, over black tea.") in found(reader, "black tea")
    (tea.documents / "en/black.md").unlink()
    index.update()
    assert all(document != "en/black.md" for document, _ in found(reader, "black tea"))


def test_an_update_with_nothing_to_do_mends_a_missing_cache(index: Index, tea: Domain, minilm: Embedder) -> None:
    content = (tea.index / "vectors.faiss").read_bytes()
    (tea.index / "vectors.faiss").unlink()
    Index.open(tea, minilm).update()
    assert (tea.index / "vectors.faiss").read_bytes() == content


def test_a_cache_that_cannot_be_written_stops_nobody(index: Index, tea: Domain, minilm: Embedder) -> None:
    expected = found(index)
    (tea.index / "vectors.faiss").unlink()
    (tea.index / "vectors.faiss").mkdir()
    fresh = Index.open(tea, minilm)
    assert fresh.update().unchanged == sorted(TEA)
    assert found(fresh) == expected


# ---- killed processes ----


def _kill_during_update(tea: Domain, chance: random.Random) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", UPDATE, str(tea.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert process.stdout
    for _ in range(chance.randint(4, 12)):
        if not process.stdout.readline():
            break
    time.sleep(chance.random() * 0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_at_any_moment_nothing_finished_is_lost(
    tea: Domain, minilm: Embedder, kills: int, rounds_of: Callable[[int], int]
) -> None:
    chance = random.Random(kills)
    for kill in range(rounds_of(kills)):
        for number in range(8):
            put(tea, f"{number}.md", f"# Note {number}\n\nWritten before kill {kill}.\n", age=9000 - kill)
        _kill_during_update(tea, chance)
        index = Index.open(tea, minilm)
        if (tea.index / "passages.sqlite").exists():
            with index._storage.reading() as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                stored = connection.execute("SELECT path FROM documents ORDER BY path").fetchall()
        else:
            stored = []
        report = index.update()
        assert set(report.unchanged) <= {path for (path,) in stored}
        check_whole(index)
        assert index.documents() == sorted([*TEA, *(f"{number}.md" for number in range(8))])
        assert found(index, f"Written before kill {kill}")[0][1] == f"Written before kill {kill}."


def test_a_full_disk_is_said_and_what_was_finished_stays(tea: Domain, minilm: Embedder) -> None:
    for number in range(40):
        put(tea, f"{number:02}.md", f"# Note {number}\n\nWords of note {number}. {'x' * 30_000}\n")
    script = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script + UPDATE, str(tea.path)], capture_output=True, text=True, check=False
    )
    assert process.returncode != 0
    assert "free some space" in process.stderr.splitlines()[-1]
    index = Index.open(tea, minilm)
    kept = index.documents()
    assert 0 < len(kept) < 44
    report = index.update()
    assert report.unchanged == kept
    check_whole(index)


# ---- concurrency ----


def test_readers_are_not_blocked_and_see_one_state(index: Index, tea: Domain, minilm: Embedder) -> None:
    """The two documents are always updated together; a search must never mix passages of two versions."""
    stop = threading.Event()
    seen: list[set[str]] = []
    failures: list[BaseException] = []

    def ask() -> None:
        reader = Index.open(tea, minilm)
        try:
            while not stop.is_set():
                seen.append({text for document, text in found(reader, "state of the kettle") if document == "state.md"})
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for version in range(8):
        put(
            tea,
            "state.md",
            f"# A\n\nState {version} of the kettle.\n\n# B\n\nState {version} of the pot.\n",
            age=100 - version,
        )
        index.update()
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    allowed = [set()] + [{f"State {v} of the kettle.", f"State {v} of the pot."} for v in range(8)]
    assert all(state in allowed for state in seen)
    assert len({frozenset(state) for state in seen}) > 1


def test_a_second_writer_waits_then_says_who_is_writing(
    index: Index, tea: Domain, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = (
        "import sys, time\nfrom pathlib import Path\nfrom indexes.writer_lock import only_writer\n"
        "with only_writer(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", hold, str(tea.index / "writer.lock")], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    monkeypatch.setattr("indexes.writer_lock.WAIT_SECONDS", 0.2)
    try:
        with pytest.raises(IndexingError, match=rf"is being written by process {process.pid}; wait"):
            Index.open(tea, minilm).update()
        assert found(index)  # and reads continue
    finally:
        process.kill()
        process.wait()
    assert Index.open(tea, minilm).update().unchanged == sorted(TEA)


def test_a_writer_of_the_same_process_is_kept_out_too(tea: Domain) -> None:
    lock = tea.index / "writer.lock"
    with only_writer(lock), pytest.raises(IndexingError, match=str(os.getpid())), only_writer(lock, wait=0.1):
        pass


# ---- damage, formats and rebuilding ----


def test_a_damaged_index_says_so_and_a_rebuild_mends_it(index: Index, tea: Domain, minilm: Embedder) -> None:
    expected = found(index)
    file = tea.index / "passages.sqlite"
    for content in (b"not a database at all" * 500, file.read_bytes()[:5000], b""):
        file.write_bytes(content)
        damaged = Index.open(tea, minilm)
        with pytest.raises(IndexingError, match=r"--rebuild|lorewright index"):
            damaged.search("tea")
        assert damaged.update(rebuild=True).passages == 6
        assert found(damaged) == expected
        check_whole(damaged)


def test_an_index_of_a_newer_version_is_left_alone(index: Index, tea: Domain, minilm: Embedder) -> None:
    with sqlite3.connect(tea.index / "passages.sqlite") as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(
        IndexingError, match=rf"built by a newer Lorewright \(format 7, this one supports {len(FORMATS)}\)"
    ):
        Index.open(tea, minilm).search("tea")
    with pytest.raises(IndexingError, match="built by a newer Lorewright"):
        Index.open(tea, minilm).update()


def test_a_rebuild_replaces_an_index_of_a_newer_version(index: Index, tea: Domain, minilm: Embedder) -> None:
    expected = found(index)
    with sqlite3.connect(tea.index / "passages.sqlite") as connection:
        connection.execute("PRAGMA user_version = 7")
    assert Index.open(tea, minilm).update(rebuild=True).passages == 6
    assert found(Index.open(tea, minilm)) == expected


def test_a_rebuild_killed_before_its_first_commit_does_not_stand_in_the_way(index: Index, tea: Domain) -> None:
    expected = found(index)
    (tea.index / "rebuilding.sqlite").touch()
    assert index.update(rebuild=True).passages == 6
    assert found(index) == expected


def test_a_rebuild_changes_the_embedder_and_readers_do_not_notice(
    index: Index, tea: Domain, minilm: Embedder, e5: Embedder
) -> None:
    old = Index.open(tea, minilm)
    with old._storage.reading() as snapshot:
        report = Index.open(tea, e5).update(rebuild=True)
        assert snapshot.execute("SELECT count(*) FROM passages").fetchone() == (6,)  # the complete old state
    assert report.passages == 6
    assert found(Index.open(tea, e5))[0][0]
    with pytest.raises(IndexingError, match="built with the embedder multilingual-e5-small"):
        old.search("tea")
    assert sorted(path.name for path in tea.index.iterdir() if path.suffix == ".sqlite") == ["passages.sqlite"]


def test_an_interrupted_rebuild_leaves_the_old_index_and_goes_on_later(
    index: Index, tea: Domain, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.update.GROUP_PASSAGES", 1)
    expected = found(index)

    def stop(done: int, total: int, _document: str) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.update(rebuild=True, progress=stop)
    assert found(index) == expected
    report = index.update(rebuild=True)
    assert report.unchanged
    assert report.added
    assert len(report.added) + len(report.unchanged) == 4
    assert found(index) == expected


# ---- deletion ----

SECRET_VECTORS = "SELECT vector FROM vectors JOIN passages ON id = passage_id WHERE text LIKE '%swordfish%'"


def test_deleted_text_is_gone_from_the_disk(index: Index, tea: Domain) -> None:
    put(tea, "secret.md", "# Zanzibar\n\nThe password is swordfish. 口令是剑鱼。" + " Filler words here." * 300)
    index.update()

    def traces(*words: str) -> list[str]:
        content = b"".join(path.read_bytes() for path in tea.index.iterdir())
        return [word for word in words if word.encode() in content]

    vectors = [
        row[0]
        for row in _rows(
            tea, "SELECT vector FROM vectors JOIN passages ON id = passage_id WHERE text LIKE '%swordfish%'"
        )
    ]
    assert traces("swordfish", "剑鱼", "Zanzibar") == ["swordfish", "剑鱼", "Zanzibar"]
    (tea.documents / "secret.md").unlink()
    index.update()
    assert traces("swordfish", "zanzibar", "Zanzibar", "剑鱼", "令是") == []
    content = b"".join(path.read_bytes() for path in tea.index.iterdir())
    assert vectors
    assert all(vector not in content for vector in vectors)


def test_an_id_is_never_used_again_not_even_after_a_rebuild(index: Index, tea: Domain, minilm: Embedder) -> None:
    given = {passage.id for passage in index.search("tea water 龙井", k=10)}
    newest = max(given)
    (tea.documents / index.passage(newest).document).unlink()
    index.update()
    put(tea, "other.md", "Something else entirely.")
    index.update()
    assert index.search("Something else entirely", k=1)[0].id not in given
    with pytest.raises(IndexingError, match=f"Passage {newest} is not in the index"):
        index.passage(newest)
    index.update(rebuild=True)
    again = {passage.id for passage in index.search("tea water 龙井 something", k=10)}
    assert again
    assert again.isdisjoint(given)


def test_a_rebuild_left_over_by_a_crash_does_not_bring_old_vectors_back(
    index: Index, tea: Domain, minilm: Embedder
) -> None:
    """Killed after the new content was copied, before the second file was removed."""
    index.update(rebuild=True)
    with sqlite3.connect(tea.index / "passages.sqlite") as source:
        left_over = sqlite3.connect(tea.index / "rebuilding.sqlite")
        source.backup(left_over)
        left_over.close()
    put(tea, "jasmine.md", "Jasmine tea is scented with flowers.")
    index.update()
    found(index)
    put(tea, "jasmine.md", "Oolong tea is half oxidised.", age=30)
    index.update(rebuild=True)
    for reader in (index, Index.open(tea, minilm)):
        assert found(reader, "half oxidised")[0] == ("jasmine.md", "Oolong tea is half oxidised.")
        assert all("scented" not in text for _, text in found(reader, "scented with flowers"))


def _rows(domain: Domain, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(domain.index / "passages.sqlite")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()
