"""`lorewright index` follows the folder exactly: new, changed, moved, deleted, unreadable and forbidden files."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from index_samples import TEA, make_domain, pdf_of, put

from base_models.embedding import Embedder
from domain import Domain, set_setting
from indexes import Filter, Index, IndexingError, UpdateReport
from indexes.scanning import Found, scan


class Counting:
    """The real embedder; it records the texts that it embeds."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self.embedded: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.embedder, name)

    def encode_passages(self, texts: list[str], progress: object = None) -> object:
        self.embedded += texts
        return self.embedder.encode_passages(texts, progress)  # type: ignore[arg-type]


@pytest.fixture
def tea(tmp_path: Path) -> Domain:
    return make_domain(tmp_path / "tea", TEA)


def summary(report: UpdateReport) -> tuple[list[str], list[str], list[str], list[str]]:
    return report.added, report.changed, report.deleted, report.unchanged


def texts(index: Index) -> set[str]:
    """All texts that dense or full-text search finds."""
    found = index.search("tea water 龙井 普洱 茶 degrees", k=100) + index.search("anything", k=100, mode="dense")
    return {passage.text for passage in found}


def test_first_update_reads_everything(tea: Domain, minilm: Embedder) -> None:
    with Index.open(tea, minilm) as index:
        report = index.update()
        assert summary(report) == (sorted(TEA), [], [], [])
        assert report.passages == 6
        assert index.documents() == sorted(TEA)
        assert index.text("en/green.md") == TEA["en/green.md"]


def test_new_changed_and_deleted_files_are_followed(tea: Domain, minilm: Embedder) -> None:
    index = Index.open(tea, minilm)
    index.update()
    put(tea, "en/white.md", "# White tea\n\nWhite tea is barely processed.\n")
    put(tea, "en/green.md", TEA["en/green.md"].replace("80", "75"), age=30)
    (tea.documents / "zh/puer.md").unlink()
    report = index.update()
    assert summary(report) == (["en/white.md"], ["en/green.md"], ["zh/puer.md"], ["en/black.md", "zh/longjing.md"])
    found = texts(index)
    assert "Use water of 75 degrees. Boiling water makes it bitter." in found
    assert not any("80 degrees" in text or "普洱" in text for text in found)
    with pytest.raises(IndexingError, match=r"zh/puer\.md is not in the index"):
        index.text("zh/puer.md")


def test_only_what_changed_inside_a_document_is_embedded_again(tea: Domain, minilm: Embedder) -> None:
    counting = Counting(minilm)
    index = Index.open(tea, counting)  # type: ignore[arg-type]
    index.update()
    assert len(counting.embedded) == 6
    put(tea, "zh/longjing.md", TEA["zh/longjing.md"].replace("杭州", "浙江省杭州市"), age=30)
    index.update()
    assert counting.embedded[6:] == ["龙井 > 产地\n龙井产于浙江浙江省杭州市西湖一带。"]


def test_a_touched_or_moved_tree_is_not_embedded_again(tea: Domain, minilm: Embedder, tmp_path: Path) -> None:
    counting = Counting(minilm)
    Index.open(tea, counting).update()  # type: ignore[arg-type]
    moved = Domain.open(shutil.copytree(tea.path, tmp_path / "copy"))
    for document in moved.documents.rglob("*.md"):
        os.utime(document)
    report = Index.open(moved, counting).update()  # type: ignore[arg-type]
    assert report.unchanged == sorted(TEA)
    assert len(counting.embedded) == 6


def test_a_change_within_the_clocks_tick_and_of_equal_size_is_seen(tea: Domain, minilm: Embedder) -> None:
    index = Index.open(tea, minilm)
    document = put(tea, "note.txt", "The kettle is red.", age=0)
    status = document.stat()
    index.update()
    document.write_text("The kettle is tan.")
    os.utime(document, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert index.update().changed == ["note.txt"]


def test_second_update_loads_no_model(tea: Domain, minilm: Embedder) -> None:
    set_setting(tea.settings_file, "embedder", "all-minilm-l6-v2")
    Index.open(tea.path).update()
    script = (
        "import sys\n"
        "from indexes import Index\n"
        f"report = Index.open({str(tea.path)!r}).update()\n"
        "print(len(report.unchanged))\n"
        "print(*[name for name in ('torch', 'transformers', 'sentence_transformers', 'faiss') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stdout.splitlines() == ["4", ""]


def test_missing_and_empty_folders_are_clear_errors(tmp_path: Path, minilm: Embedder) -> None:
    domain = make_domain(tmp_path / "d", {})
    with pytest.raises(IndexingError, match=r"documents contains no documents; put files into it"):
        Index.open(domain, minilm).update()
    domain.documents.rmdir()
    with pytest.raises(IndexingError, match=r"documents does not exist"):
        Index.open(domain, minilm).update()


def test_an_emptied_folder_empties_the_index(tea: Domain, minilm: Embedder) -> None:
    index = Index.open(tea, minilm)
    index.update()
    shutil.rmtree(tea.documents)
    tea.documents.mkdir()
    report = index.update()
    assert report.deleted == sorted(TEA)
    assert report.passages == 0
    assert index.search("green tea") == []


def test_what_cannot_be_read_is_named_skipped_and_tried_again(tea: Domain, minilm: Embedder) -> None:
    index = Index.open(tea, minilm)
    put(tea, "broken.pdf", b"%PDF-1.4 broken")
    put(tea, "program.txt", b"\x7fELF\0\0\0\0")
    put(tea, "letter.docx", b"7z\xbc\xaf\x27\x1c")
    put(tea, "zh/broken.xlsx", b"PK\x03\x04 broken")
    report = index.update()
    assert len(report.added) == 4
    assert [document for document, _ in report.failed] == ["broken.pdf", "letter.docx", "program.txt", "zh/broken.xlsx"]
    reasons = dict(report.failed)
    assert reasons["letter.docx"].startswith("is an archive (7z); unpack it")
    assert "damaged" in reasons["broken.pdf"]
    assert index.update().failed == report.failed
    put(tea, "broken.pdf", pdf_of("Now it is whole."), age=30)
    assert index.update().added == ["broken.pdf"]


def test_a_document_that_became_unreadable_no_longer_answers(tea: Domain, minilm: Embedder) -> None:
    index = Index.open(tea, minilm)
    index.update()
    put(tea, "en/green.md", b"\0\0\0", age=30)
    report = index.update()
    assert report.failed == [("en/green.md", "contains binary data, not text; remove it, or save it as text")]
    assert not any("80 degrees" in text for text in texts(index))


def test_pages_that_are_scans_are_reported_at_every_update(tea: Domain, minilm: Embedder) -> None:
    put(tea, "mixed.pdf", pdf_of("A page with text.", ""))
    index = Index.open(tea, minilm)
    warnings = index.update().warnings
    assert [path for path, _ in warnings] == ["mixed.pdf"]
    assert warnings[0][1].startswith("has no readable text on page 2 (a scan")
    assert index.update().warnings == warnings


def test_hidden_files_and_what_pages_bring_along_are_no_documents(tea: Domain, minilm: Embedder) -> None:
    for name in (".DS_Store", ".git/config", "~$letter.docx", "app.min.JS", "style.css", "Thumbs.db"):
        put(tea, name, b"x")
    report = Index.open(tea, minilm).update()
    assert report.failed == []
    assert report.added == sorted(TEA)


def test_links_that_lead_out_are_refused(tea: Domain, minilm: Embedder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "password.txt").write_text("The password is swordfish.")
    (tea.documents / "file.txt").symlink_to(secret / "password.txt")
    (tea.documents / "folder").symlink_to(secret, target_is_directory=True)
    (tea.documents / "dotted.txt").symlink_to("../../secret/password.txt")
    (tea.documents / "alias.md").symlink_to("en/green.md")  # inside the folder: read once, under its own name
    index = Index.open(tea, minilm)
    report = index.update()
    assert [document for document, _ in report.failed] == ["dotted.txt", "file.txt", "folder"]
    assert all("is a link to a file outside the documents folder" in reason for _, reason in report.failed)
    assert report.added == sorted(TEA)
    assert not any("swordfish" in text for text in texts(index))


def test_pipes_and_names_that_are_no_text_do_not_stop_an_update(
    tea: Domain, minilm: Embedder, absent: Callable[[str], NoReturn]
) -> None:
    if os.name == "nt":
        absent("pipes and names of bytes are POSIX")
    os.mkfifo(tea.documents / "pipe.txt")
    named = True
    try:
        Path(os.fsdecode(os.fsencode(tea.documents) + b"/\xff\xfe.txt")).write_text("x")
    except OSError:  # macOS file systems accept only UTF-8
        named = False
    report = Index.open(tea, minilm).update()
    assert ("pipe.txt", "is not a regular file") in report.failed
    assert len(report.failed) == 1 + named
    assert len(report.added) == 4


def test_a_subfolder_that_cannot_be_listed_keeps_its_documents(
    tea: Domain, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.open(tea, minilm)
    index.update()
    listed = os.scandir

    def scandir(path: str) -> object:  # root may list every folder, so raise the error here
        if Path(path).name == "zh":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = index.update()
    assert report.failed == [("zh", "cannot be listed: Permission denied")]
    assert report.deleted == []
    assert report.unchanged == sorted(TEA)


def test_a_documents_folder_that_cannot_be_listed_changes_nothing(
    tea: Domain, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.open(tea, minilm)
    index.update()

    def scandir(path: str) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(IndexingError, match="documents cannot be listed: Permission denied; the index was not changed"):
        index.update()
    assert index.documents() == sorted(TEA)


def test_links_that_lead_in_a_circle_are_named(tea: Domain, minilm: Embedder) -> None:
    (tea.documents / "a.md").symlink_to("b.md")
    (tea.documents / "b.md").symlink_to("a.md")
    report = Index.open(tea, minilm).update()
    assert [name for name, _ in report.failed] == ["a.md", "b.md"]
    assert report.added == sorted(TEA)


def test_a_file_that_goes_before_it_is_read_is_named(
    tea: Domain, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan_and_lose(documents: Path) -> Found:
        found = scan(documents)
        (documents / "en/green.md").unlink()
        return found

    monkeypatch.setattr("indexes.update.scan", scan_and_lose)
    report = Index.open(tea, minilm).update()
    assert report.failed == [("en/green.md", "cannot be read: No such file or directory")]
    assert len(report.added) == 3


def test_files_that_swap_size_and_time_and_all_are_told_apart(tea: Domain, minilm: Embedder) -> None:
    one, other = put(tea, "a.txt", "Alice keeps the tea."), put(tea, "b.txt", "Bobby keeps the tea.")
    for path in (one, other):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    index = Index.open(tea, minilm)
    index.update()
    one.rename(tea.documents / "c.txt")
    other.rename(one)
    (tea.documents / "c.txt").rename(other)
    index.update()
    assert index.text("b.txt") == "Alice keeps the tea."
    assert index.search("Alice", k=1)[0].document == "b.txt"


def test_what_was_embedded_is_not_embedded_again_wherever_it_goes(tea: Domain, minilm: Embedder) -> None:
    counting = Counting(minilm)
    index = Index.open(tea, counting)  # type: ignore[arg-type]
    index.update()
    counting.embedded.clear()
    folder = tea.documents
    (folder / "en/green.md").rename(folder / "en/green.markdown")
    (folder / "zh/puer.md").replace(folder / "zh/longjing.md")
    (folder / "en/black.md").rename(folder / "first.md")
    with (folder / "first.md").open("a", encoding="utf-8") as file:
        file.write("\n## Milk\n\nBlack tea bears milk.\n")
    report = index.update()
    assert report.passages == 5
    assert len(counting.embedded) == 1
    assert report.changed == ["zh/longjing.md"]


def test_a_file_whose_new_name_tells_another_type_is_read_again(tea: Domain, minilm: Embedder) -> None:
    makefile, notes = put(tea, "Makefile", "all:\n\techo tea\n"), put(tea, "plan", "all: drink more tea\n")
    index = Index.open(tea, minilm)
    index.update()
    makefile.rename(tea.documents / "notes")
    notes.rename(tea.documents / "Dockerfile")
    (tea.documents / "en/green.md").rename(tea.documents / "en/new.md")
    assert index.update().moved == [("en/green.md", "en/new.md")]
    code = index.search("tea", k=10, mode="full_text", among=Filter(types=("code",)))
    assert [passage.document for passage in code] == ["Dockerfile"]


@pytest.mark.parametrize("seconds", [1e10, -1e10])
def test_a_file_from_another_age_stops_nobody(tea: Domain, minilm: Embedder, seconds: float) -> None:
    os.utime(tea.documents / "en/green.md", (seconds, seconds))
    index = Index.open(tea, minilm)
    assert index.update().added == sorted(TEA)
    assert index.update().unchanged == sorted(TEA)


def test_a_known_file_that_cannot_be_opened_keeps_what_was_read_of_it(
    tea: Domain, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.open(tea, minilm)
    index.update()
    put(tea, "en/green.md", "Another text.", age=30)

    def scan_and_lose(documents: Path) -> Found:
        found = scan(documents)
        (documents / "en/green.md").rename(documents / "en/.away")
        return found

    with monkeypatch.context() as patched:
        patched.setattr("indexes.update.scan", scan_and_lose)
        (failed,) = index.update().failed
    assert failed[1] == "cannot be read: No such file or directory; the version read before is kept"
    assert index.search("Green tea is not oxidised", k=1)[0].document == "en/green.md"
    assert index.update().deleted == ["en/green.md"]


def test_a_file_over_the_limit_is_not_opened(tea: Domain, minilm: Embedder) -> None:
    with put(tea, "huge.txt", "x").open("r+b") as file:
        file.truncate(200_000_001)
    assert Index.open(tea, minilm).update().failed == [("huge.txt", "is larger than 200 MB; split it")]


def test_progress_counts_bytes_up_to_the_end(tea: Domain, minilm: Embedder) -> None:
    seen: list[tuple[int, int, str]] = []
    Index.open(tea, minilm).update(progress=lambda *told: seen.append(told))
    total = sum(document.stat().st_size for document in tea.documents.rglob("*.md"))
    done = [entry[0] for entry in seen]
    assert done == sorted(done)
    assert {entry[1] for entry in seen} == {total}
    assert done[-1] == total
    assert {entry[2] for entry in seen} == set(TEA)


def test_an_interrupted_update_keeps_what_was_finished(
    tea: Domain, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.update.GROUP_PASSAGES", 4)
    for number in range(6):
        put(tea, f"more/{number}.md", "".join(f"# Title {part}\n\nNote {part} of {number}.\n\n" for part in range(4)))
    index = Index.open(tea, minilm)

    def stop(done: int, total: int, _document: str) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.update(progress=stop)
    kept = index.documents()
    assert 0 < len(kept) < 10
    assert index.search("note", k=1)
    report = index.update()
    assert report.unchanged == kept
    assert len(report.added) == 10 - len(kept)


@pytest.mark.parametrize("edits", [20, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_random_edits_never_leave_a_deleted_passage(
    tea: Domain, minilm: Embedder, edits: int, rounds_of: Callable[[int], int]
) -> None:
    chance = random.Random(7)
    index = Index.open(tea, minilm)
    contents = dict(TEA)
    for step in range(rounds_of(edits)):
        name = chance.choice(["a.md", "b.txt", "c/d.md", "c/e.html", *TEA])
        if name in contents and chance.random() < 0.4:
            del contents[name]
            (tea.documents / name).unlink()
        else:
            contents[name] = f"Unique{step} words about 龙井 tea in step {step}."
            put(tea, name, contents[name], age=5000 - step)
        if step % 5 == 4:
            index.update()
            for mode in ("hybrid", "dense", "full_text"):
                found = index.search("unique words about 龙井 tea water", k=100, mode=mode)
                assert {passage.document for passage in found} <= set(contents)
                made = {text for text in contents.values() if text.startswith("Unique")}
                assert {passage.text for passage in found if passage.text.startswith("Unique")} == made
