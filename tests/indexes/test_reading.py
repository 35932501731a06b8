"""Tests of the child process that reads documents: what it refuses, how it fails, and that it exits with its parent."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
from index_samples import pdf_of

from indexes import IndexingError
from indexes.readers import read_document
from indexes.reading import Reader, ReadFile, Request

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals as POSIX has them")


def put(folder: Path, name: str, content: str | bytes) -> Request:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Request(folder, name)


def long_page(folder: Path) -> Request:
    """A real document that takes many seconds to read."""
    return put(folder, "long.html", "<p>龙井 <b>tea</b></p>" * 1_500_000)


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def why(result: ReadFile | IndexingError) -> str:
    assert isinstance(result, IndexingError)
    return str(result)


def test_what_comes_back_is_what_the_reader_makes_of_the_file(tmp_path: Path) -> None:
    files = {
        "a.md": "# 茶\n\n- one\n- two \u2028 \U0001f600\n\n## Water\n\n八十度。\n".encode(),
        "b.pdf": pdf_of("One page.", "第二页。"),
        "c.html": b"<table><tr><th>Tea</th><th>C</th></tr><tr><td>green</td><td>80</td></tr></table>",
    }
    with Reader() as reader:
        for name, data in files.items():
            read = reader.read(*put(tmp_path, name, data)[:2])
            assert read.document == read_document(name, data)
            assert (read.size, read.sha256) == (len(data), hashlib.sha256(data).hexdigest())
            assert read.mtime_ns == (tmp_path / name).stat().st_mtime_ns


def test_documents_come_in_order_and_one_that_fails_stops_no_other(tmp_path: Path) -> None:
    requests = [put(tmp_path, f"{n}.txt", f"Text {n}.") for n in range(20)]
    requests[7] = put(tmp_path, "7.pdf", b"%PDF-1.7 broken")
    requests[9] = Request(tmp_path, "absent.txt")
    with Reader() as reader:
        results = list(reader.read_all(requests))
        assert len(children()) == 1
    assert children() == []
    assert [request for request, _ in results] == requests
    assert "is a damaged PDF" in why(results[7][1])
    assert why(results[9][1]) == "cannot be read: No such file or directory"
    texts = [result.document.text for _, result in results if isinstance(result, ReadFile) and result.document]
    assert texts == [f"Text {n}." for n in range(20) if n not in (7, 9)]


def test_the_next_document_is_read_while_the_caller_works_on_one(tmp_path: Path) -> None:
    taken: list[str] = []

    def requests() -> Iterator[Request]:
        for name in ("0.txt", "1.txt", "2.txt"):
            taken.append(name)
            yield put(tmp_path, name, "Text.")

    with Reader() as reader:
        results = reader.read_all(requests())
        assert next(results)[0].name == "0.txt"
        assert taken == ["0.txt", "1.txt"]


def test_content_that_is_known_is_not_read_again(tmp_path: Path) -> None:
    put(tmp_path, "a.txt", "Same.")
    known = hashlib.sha256(b"Same.").hexdigest()
    with Reader() as reader:
        ((_, same),) = reader.read_all([Request(tmp_path, "a.txt", known)])
        put(tmp_path, "a.txt", "Other.")
        ((_, other),) = reader.read_all([Request(tmp_path, "a.txt", known)])
    assert isinstance(same, ReadFile)
    assert isinstance(other, ReadFile)
    assert (same.sha256, same.document) == (known, None)
    assert other.document


@posix
def test_links_pipes_and_folders_are_not_read(tmp_path: Path) -> None:
    put(tmp_path, "secret.txt", "Swordfish.")
    (tmp_path / "link.txt").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "folder.txt").mkdir()
    names = ["link.txt", "pipe.txt", "folder.txt"]
    with Reader() as reader:
        results = [why(result) for _, result in reader.read_all(Request(tmp_path, name) for name in names)]
    assert results[0].startswith("cannot be read: ")
    assert results[1] == results[2] == "is not a regular file"


def test_a_file_beyond_the_limit_is_refused_without_reading_it(tmp_path: Path) -> None:
    with (tmp_path / "sparse.txt").open("wb") as file:
        file.truncate(8_000_000_000)  # twice the memory limit of the process
    with Reader() as reader, pytest.raises(IndexingError, match="is larger than"):
        reader.read(tmp_path, "sparse.txt")


def test_a_document_that_takes_too_long_is_left_out_and_the_next_is_read(tmp_path: Path) -> None:
    requests = [long_page(tmp_path), put(tmp_path, "after.txt", "Read all the same.")]
    with Reader(silent_seconds=0.2) as reader:
        slow = why(next(iter(reader.read_all(requests[:1])))[1])
    assert slow == "took more than 0.2 seconds to read; split it or convert it"
    with Reader(total_seconds=0.2) as reader:
        results = reader.read_all(requests)
        assert "took more than 0.2 seconds" in why(next(results)[1])
        reader.total_seconds = 60
        after = next(results)[1]
    assert isinstance(after, ReadFile)
    assert children() == []


@posix
def test_a_crash_costs_one_document(tmp_path: Path) -> None:
    requests = [put(tmp_path, "a.txt", "Before."), long_page(tmp_path), put(tmp_path, "b.txt", "After.")]
    with Reader() as reader:
        results = reader.read_all(requests)
        assert isinstance(next(results)[1], ReadFile)
        (child,) = children()
        child.send_signal(signal.SIGSEGV)  # the long page is being read ahead
        assert why(next(results)[1]) == "crashed the reader (signal 11); convert it to another format"
        after = next(results)[1]
    assert isinstance(after, ReadFile)
    assert after.document
    assert after.document.text == "After."


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
def test_a_document_that_eats_memory_is_left_out_and_the_next_is_read(tmp_path: Path) -> None:
    requests = [put(tmp_path, "a.md", "龙井 *tea*\n\n" * 800_000), put(tmp_path, "b.txt", "After.")]
    with Reader(memory_bytes=500_000_000) as reader:
        (_, eaten), (_, after) = reader.read_all(requests)
    assert why(eaten) == "needs more than 0.5 GB of memory to read; split it"
    assert isinstance(after, ReadFile)


def test_what_a_library_prints_does_not_disturb_the_answers(tmp_path: Path) -> None:
    request = put(tmp_path, "a.txt", "Quiet.")
    noisy = """
        import os, sys
        from indexes.readers import child_process
        quiet = child_process.read_document
        def noisy(*arguments):
            print("a library says", flush=True)
            os.write(1, b'{"error": "not the truth"}\\n')
            sys.stdin.read()
            return quiet(*arguments)
        child_process.read_document = noisy
        child_process.main()
    """
    line = json.dumps({"folder": str(request.folder), "name": "a.txt", "known_sha256": ""}) + "\n"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(noisy), "4000000000"],
        **dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.PIPE),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(line.encode())
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == {"ready": True}
    assert json.loads(process.stdout.readline())["document"]["text"] == "Quiet."
    process.communicate(timeout=60)


def start_a_parent(document: Request) -> tuple["subprocess.Popen[bytes]", psutil.Process]:
    """A program that is reading a long document, and its child."""
    program = f"""
        from pathlib import Path
        from indexes.reading import Reader, Request
        with Reader(keep_stderr=True) as reader:
            for _ in reader.read_all([Request(Path({str(document.folder)!r}), "long.html")]):
                print("finished")
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    until(lambda: bool(psutil.Process(parent.pid).children()))
    (child,) = psutil.Process(parent.pid).children()
    until(lambda: child.cpu_times().user > 1.0)  # after its start: it is reading the document
    return parent, child


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            pytest.fail("waited for a minute")
        time.sleep(0.02)


@posix
def test_when_the_parent_is_killed_the_child_ends_in_the_middle_of_its_document(tmp_path: Path) -> None:
    parent, child = start_a_parent(long_page(tmp_path))
    parent.kill()
    assert b"finished" not in parent.communicate()[0]
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@posix
def test_ctrl_c_ends_both_and_only_the_parent_speaks(tmp_path: Path) -> None:
    parent, child = start_a_parent(long_page(tmp_path))
    os.killpg(parent.pid, signal.SIGINT)
    output, errors = parent.communicate(timeout=60)
    assert b"finished" not in output
    assert errors.count(b"Traceback") == 1
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.slow
def test_a_scan_shows_life_page_by_page(tmp_path: Path, absent: Callable[[str], NoReturn]) -> None:
    from indexes.readers.images.ocr import find_engine

    if not find_engine():
        absent("no OCR engine is installed")
    told = []
    request = put(tmp_path, "scan.pdf", pdf_of("Text.", *[""] * 6))
    with Reader(lambda *progress: told.append(progress)) as reader:
        reader.read(*request[:2])
    assert told
    assert all(request.name == "scan.pdf" and page <= pages == 7 for request, page, pages in told)


def test_reading_loads_neither_torch_nor_faiss() -> None:
    heavy = "{'torch', 'faiss', 'transformers'}"
    program = f"import sys, indexes.readers.child_process; sys.exit(bool({heavy} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0
