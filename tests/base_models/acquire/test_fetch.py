"""Fetching from folder, hub and mirror: what the user gets, and what is left when it goes wrong."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from toy_model import TOY_FILES, LoopbackHub, serve, toy_entry, wait_for

from base_models import ModelError, fetch, find, fingerprint
from base_models.acquire.fetch import cached_models, is_fetched
from base_models.acquire.sources import hub_is_reachable
from base_models.catalogue import CATALOGUE
from base_models.catalogue_entry import Entry

WEIGHTS = "/maker/toy/resolve/main/model.safetensors"
FETCH_THE_TOY = """
import sys; sys.path.insert(0, {tests!r})
from toy_model import toy_entry
from base_models.catalogue import CATALOGUE
from base_models import fetch
CATALOGUE["toy"] = toy_entry()
print(fetch("toy"))
"""


def stored(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "files").iterdir())


def assert_is_the_toy(folder: Path) -> None:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == TOY_FILES


def fetch_in_a_process() -> subprocess.Popen[str]:
    code = FETCH_THE_TOY.format(tests=str(Path(__file__).parents[1]))
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )


def test_a_model_comes_from_the_hub_once(toy: Entry, hub: LoopbackHub, tmp_path: Path) -> None:
    assert not is_fetched("toy")
    folder = fetch("toy", progress=False)
    assert_is_the_toy(folder)
    assert is_fetched("toy")
    assert stored(tmp_path) == sorted(file.sha256 for file in toy.files)
    assert cached_models() == [("toy", folder, sum(map(len, TOY_FILES.values())))]
    asked = len(hub.asked)
    assert fetch("toy", progress=False) == folder
    assert len(hub.asked) == asked == 3


def test_progress_is_shown_with_bytes(hub: LoopbackHub, capsys: pytest.CaptureFixture[str]) -> None:
    fetch("toy")
    shown = capsys.readouterr()
    assert "download toy" in shown.err
    assert "700.0/700.0 kB" in shown.err
    assert shown.out == ""


def test_a_cut_connection_is_continued_where_it_broke(hub: LoopbackHub) -> None:
    hub.cut_after = [10**6, 300_000, 100_000]  # config.json whole, then the weights break off twice
    assert_is_the_toy(fetch("toy", progress=False))
    assert [asked for path, asked in hub.asked if path == WEIGHTS] == [None, "bytes=300000-", "bytes=400000-"]


def test_a_server_that_ignores_range_is_read_from_the_beginning(hub: LoopbackHub) -> None:
    hub.cut_after, hub.ignores_range = [10**6, 300_000], True
    assert_is_the_toy(fetch("toy", progress=False))


def test_a_bad_older_part_is_thrown_away(toy: Entry, hub: LoopbackHub, tmp_path: Path) -> None:
    files = tmp_path / "cache" / "files"
    files.mkdir(parents=True)
    (files / f"{toy.files[1].sha256}.part").write_bytes(b"x" * 1000)
    assert_is_the_toy(fetch("toy", progress=False))
    assert [asked for path, asked in hub.asked if path == WEIGHTS] == ["bytes=1000-", None]


def test_an_answer_longer_than_the_file_is_not_read_to_its_end(toy: Entry, hub: LoopbackHub, tmp_path: Path) -> None:
    hub.files[WEIGHTS] += bytes(10**6)
    hub.wait_after = 800_000  # the rest is never sent
    with pytest.raises(ModelError, match=r"model.safetensors had the wrong size or SHA-256"):
        fetch("toy", progress=False)
    assert stored(tmp_path) == [toy.files[0].sha256]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_fetch_leaves_whole_files_and_goes_on(
    sent: signal.Signals, toy: Entry, hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.wait_after = 400_000
    process = fetch_in_a_process()
    part = tmp_path / "cache" / "files" / f"{toy.files[1].sha256}.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 300_000)
    process.send_signal(sent)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert stored(tmp_path) == sorted([toy.files[0].sha256, part.name])
    assert cached_models() == []

    hub.wait_after, here = None, part.stat().st_size
    assert_is_the_toy(fetch("toy", progress=False))
    assert hub.asked[-2] == (WEIGHTS, f"bytes={here}-")
    assert stored(tmp_path) == sorted(file.sha256 for file in toy.files)


def test_two_processes_share_one_download(hub: LoopbackHub) -> None:
    hub.wait_after = 0
    first = fetch_in_a_process()
    wait_for(lambda: len(hub.asked) == 1)
    second = fetch_in_a_process()
    waiting = second.stderr.readline()  # it said so, so it has met the lock
    hub.go_on.set()
    outputs = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert "Another process is downloading toy" in waiting
    assert (first.returncode, second.returncode) == (0, 0)
    assert outputs[0] == outputs[1]
    assert len(hub.asked) == 3
    assert_is_the_toy(Path(outputs[0].strip()))


def test_wrong_bytes_are_deleted_never_used_and_the_mirror_is_asked(
    toy: Entry, hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    right = hub.files[WEIGHTS]
    hub.files[WEIGHTS] = b"y" + right[1:]
    with pytest.raises(ModelError, match=r"model.safetensors had the wrong size or SHA-256 and was deleted"):
        fetch("toy", progress=False)
    assert stored(tmp_path) == [toy.files[0].sha256]
    assert "model.safetensors: the file from 127.0.0.1" in caplog.text

    hub.files["/models/maker/toy/resolve/master/model.safetensors"] = right
    hub.files["/models/maker/toy/resolve/master/1_Pooling/config.json"] = TOY_FILES["1_Pooling/config.json"]
    monkeypatch.setenv("LOREWRIGHT_MIRROR", hub.address + "/models/{repo}/resolve/master/{file}")
    assert_is_the_toy(fetch("toy", progress=False))


def test_when_nobody_has_it_the_message_says_what_was_tried_and_how_to_supply_it(toy: Entry, hub: LoopbackHub) -> None:
    hub.files.clear()
    with pytest.raises(ModelError) as failure:
        fetch("toy", progress=False)
    file = toy.files[0]
    assert str(failure.value) == (
        f"toy: the file config.json (13 bytes, SHA-256 {file.sha256}) could not be downloaded. Tried: "
        f"local folder: LOREWRIGHT_MODELS is not set; hub: 127.0.0.1:{hub.port} answered 404 for config.json; "
        "mirror: LOREWRIGHT_MIRROR is not set. To supply it by hand, put the file into a folder, "
        "set LOREWRIGHT_MODELS to that folder and run the command again."
    )


def test_an_unreachable_hub_fails_at_once_and_is_not_asked_again(
    hub: LoopbackHub, toy: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = LoopbackHub(files=hub.files)
    serve_and_close = serve(gone)
    serve_and_close.shutdown()
    serve_and_close.server_close()
    monkeypatch.setenv("HF_ENDPOINT", gone.address)
    with pytest.raises(ModelError, match=rf"hub: 127.0.0.1:{gone.port} cannot be reached"):
        fetch("toy", progress=False)
    back = serve(gone)
    with pytest.raises(ModelError, match="cannot be reached"):
        fetch("toy", progress=False)
    back.shutdown()
    back.server_close()
    assert gone.asked == []


def test_offline_asks_no_hub(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="hub: HF_HUB_OFFLINE is set"):
        fetch("toy", progress=False)
    assert hub.asked == []


def test_offline_means_the_hub_so_a_mirror_of_the_intranet_still_delivers(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LOREWRIGHT_MIRROR", hub.address + "/{repo}/resolve/{revision}/{file}")
    assert_is_the_toy(fetch("toy", progress=False))


def test_a_mirror_address_without_a_place_for_the_file_is_explained(
    toy: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOREWRIGHT_MIRROR", "http://127.0.0.1:9/models")
    with pytest.raises(ModelError, match=r"LOREWRIGHT_MIRROR is 'http://127.0.0.1:9/models'; .*\{file\}"):
        fetch("toy", progress=False)


def test_files_supplied_by_hand_are_checked_and_used(
    toy: Entry, hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand = tmp_path / "我的模型"
    for path, data in TOY_FILES.items():
        (by_hand / "toy" / path).parent.mkdir(parents=True, exist_ok=True)
        (by_hand / "toy" / path).write_bytes(data)
    monkeypatch.setenv("LOREWRIGHT_MODELS", str(by_hand))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (by_hand / "toy" / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"local folder: .*model.safetensors has the wrong size or SHA-256"):
        fetch("toy", progress=False)
    (by_hand / "model.safetensors").write_bytes(TOY_FILES["model.safetensors"])
    assert_is_the_toy(fetch("toy", progress=False))
    assert hub.asked == []


def test_a_stored_file_that_went_bad_is_fetched_again(toy: Entry, hub: LoopbackHub, tmp_path: Path) -> None:
    shutil.rmtree(fetch("toy", progress=False))
    (tmp_path / "cache" / "files" / toy.files[1].sha256).write_bytes(b"z" * toy.files[1].size)
    assert_is_the_toy(fetch("toy", progress=False))
    assert len(hub.asked) == 4


def test_a_full_disk_is_said_with_what_is_needed(
    toy: Entry, hub: LoopbackHub, tmp_path: Path, absent: Callable[[str], NoReturn]
) -> None:
    if not Path("/dev/full").exists():
        absent("this needs the always full device /dev/full (Linux)")
    files = tmp_path / "cache" / "files"
    files.mkdir(parents=True)
    (files / f"{toy.files[1].sha256}.part").symlink_to("/dev/full")
    with pytest.raises(ModelError, match=r"The disk of .*cache is too full: toy needs about .* LOREWRIGHT_CACHE"):
        fetch("toy", progress=False)
    (files / f"{toy.files[1].sha256}.part").unlink()
    assert_is_the_toy(fetch("toy", progress=False))


def test_too_little_room_is_said_before_the_download(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOGUE, "toy", replace(toy_entry(), parameters=10**18))
    with pytest.raises(ModelError, match=r"toy needs about 2000000000\.0 GB"):
        fetch("toy", progress=False)
    assert hub.asked == []


def test_a_cache_that_cannot_be_written_is_said(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path / "a file" / "cache"))
    with pytest.raises(ModelError, match=r"toy could not be downloaded: .*set LOREWRIGHT_CACHE"):
        fetch("toy", progress=False)


def test_what_a_killed_conversion_left_is_removed(toy: Entry, hub: LoopbackHub, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "models" / f"toy-{fingerprint('toy')[:12]}.4711.partial"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    folder = fetch("toy", progress=False)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_chatglm_says_what_is_missing_and_what_to_use() -> None:
    with pytest.raises(ModelError, match=r"cannot be downloaded by name.* give that folder instead"):
        fetch("chatglm-6b")


def test_the_fingerprint_of_a_catalogue_model_needs_no_files(toy: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    prints = {name: fingerprint(name) for name, entry in CATALOGUE.items() if entry.files}
    assert len(set(prints.values())) == len(prints) > 5
    assert all(len(value) == 64 for value in prints.values())
    changed = replace(toy.files[1], sha256="0" * 64)
    monkeypatch.setitem(CATALOGUE, "toy", replace(toy, files=(toy.files[0], changed, toy.files[2])))
    assert fingerprint("toy") != prints["toy"]


def test_the_fingerprint_of_a_folder_follows_its_content(toy: Entry, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / ".git").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    first = fingerprint(folder)
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("not a part of the model")
    (tmp_path / "copy" / ".git" / "x.json").write_text("{}")
    assert fingerprint(tmp_path / "copy") == fingerprint(str(folder)) == first
    (folder / "config.json").write_text("[]")
    os.utime(folder / "config.json", (1, 1))
    second = fingerprint(folder)
    assert second != first
    (folder / "model.safetensors").write_bytes(b"changed")
    assert fingerprint(folder) not in (first, second)


def test_a_folder_is_not_read_again_while_nothing_changed(toy: Entry, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    weights = folder / "model.safetensors"
    weights.write_bytes(b"weights")
    os.utime(weights, (1, 1))
    first = fingerprint(folder)
    weights.write_bytes(b"WEIGHTS")
    os.utime(weights, (1, 1))  # same size, same time: only reading could tell
    assert fingerprint(folder) == first


def test_a_folder_without_weights_and_an_unknown_name_are_explained(toy: Entry, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        fingerprint(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has neither \.safetensors nor \.bin weights"):
        fingerprint(tmp_path)
    with pytest.raises(ModelError, match=r"no model 'tay'.*'toy'"):
        fingerprint("tay")
    assert find("toy") is toy


def test_whether_the_hub_may_be_asked_and_answers(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub_is_reachable()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not hub_is_reachable()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert not hub_is_reachable()
