"""Models without known hashes: pinned by the first download, checked ever after."""

import hashlib
import json
from pathlib import Path

import pytest
from toy_model import LoopbackHub, serve

from base_models import ModelError, Sampling, fetch, fingerprint, generate, load
from base_models.acquire.fetch import is_fetched
from base_models.acquire.store import unreachable
from base_models.catalogue import CATALOGUE
from base_models.catalogue_entry import Entry, Hub

COMMIT = "8b7d33596d18c5e83e2da052d05ca4db02e60620"
API = "/api/models/maker/new/revision/main?blobs=true"


def listing(files: dict[str, bytes]) -> bytes:
    """As the hub tells of a repository: of large files the SHA-256, of small ones git's hash."""
    siblings = []
    for name, data in files.items():
        one: dict[str, object] = {"rfilename": name, "size": len(data)}
        if name.endswith((".safetensors", "tokenizer.json")):
            one["lfs"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        one["blobId"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        siblings.append(one)
    return json.dumps({"sha": COMMIT, "siblings": siblings}).encode()


@pytest.fixture
def files(tiny_folder: Path, tmp_path: Path) -> dict[str, bytes]:
    """A chat model in two shards, and what else lies in a repository."""
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(tiny_folder).save_pretrained(tmp_path / "sharded", max_shard_size="500KB")
    made = {file.name: file.read_bytes() for file in tiny_folder.iterdir() if "safetensors" not in file.name}
    made |= {file.name: file.read_bytes() for file in (tmp_path / "sharded").iterdir()}
    assert sum(name.endswith(".safetensors") for name in made) > 1
    return made | {"README.md": b"# New", "onnx/model.onnx_data": b"x" * 99, "onnx/config.json": b"{}"}


@pytest.fixture
def hub(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    for name in ("LOREWRIGHT_MODELS", "LOREWRIGHT_MIRROR", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path / "cache"))
    entry = Entry(
        name="new-model",
        kind="chat",
        summary="A new one.",
        licence="Apache-2.0",
        parameters=3_000_000,
        context_length=2048,
        files=(),
        sources=(Hub("maker/new"),),
    )
    monkeypatch.setitem(CATALOGUE, "new-model", entry)
    unreachable.clear()
    served = {f"/maker/new/resolve/{COMMIT}/{name}": data for name, data in files.items()}
    hub = LoopbackHub(files=served | {API: listing(files)})
    server = serve(hub)
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    yield hub
    server.shutdown()
    server.server_close()


def test_the_first_download_pins_and_the_model_answers(
    hub: LoopbackHub, files: dict[str, bytes], tmp_path: Path
) -> None:
    assert not is_fetched("new-model")
    folder = fetch("new-model")
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        name for name in files if name != "README.md" and "/" not in name
    )
    note = json.loads((tmp_path / "cache" / "pins" / "new-model.json").read_text(encoding="utf-8"))
    assert (note["repo"], note["revision"]) == ("maker/new", COMMIT)
    assert {one["name"]: one["sha256"] for one in note["files"]} == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()
    }
    asked = [[{"role": "user", "content": "tea?"}]]
    assert generate(load("new-model", dtype="float32"), asked, Sampling(max_new_tokens=3))[0].completion_tokens
    hub.asked.clear()
    assert is_fetched("new-model")
    assert fetch("new-model") == folder
    assert len(fingerprint("new-model")) == 64
    assert hub.asked == [], "what is pinned is not asked for again"


def test_other_bytes_than_the_pinned_ones_are_refused(hub: LoopbackHub, tmp_path: Path) -> None:
    import shutil

    shutil.rmtree(fetch("new-model"))
    shutil.rmtree(tmp_path / "cache" / "files")
    weights = next(path for path in hub.files if path.endswith(".safetensors"))
    hub.files[weights] = hub.files[weights][:-1] + b"x"
    hub.files[API] = b"the list is not read again"
    with pytest.raises(ModelError, match=r".* had the wrong size or SHA-256"):
        fetch("new-model")


def test_a_small_file_with_another_hash_than_the_hub_tells_is_refused(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.files[f"/maker/new/resolve/{COMMIT}/config.json"] = b'{"other": 1}'
    with pytest.raises(ModelError, match=r"hub: the hash of config\.json does not match"):
        fetch("new-model")
    assert not (tmp_path / "cache" / "pins").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "hub: HF_HUB_OFFLINE is set"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, r"hub: http://127\.0\.0\.1:9 cannot be reached"),
    ],
)
def test_without_a_hub_it_is_said_what_to_do(
    change: dict[str, str], reason: str, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    for call in (fetch, fingerprint):
        with pytest.raises(ModelError, match=f"{reason}.*HF_ENDPOINT to a mirror.*LOREWRIGHT_MODELS"):
            call("new-model")
    assert not is_fetched("new-model")


def test_a_repository_without_safetensors_is_refused(hub: LoopbackHub, files: dict[str, bytes]) -> None:
    hub.files[API] = listing({name: data for name, data in files.items() if "safetensors" not in name})
    with pytest.raises(ModelError, match="hub: it has no safetensors files"):
        fetch("new-model")


def test_a_folder_of_the_user_pins_too(
    hub: LoopbackHub, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine" / "new-model"
    for name, data in files.items():
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_bytes(data)
    monkeypatch.setenv("LOREWRIGHT_MODELS", str(tmp_path / "mine"))
    folder = fetch("new-model")
    assert hub.asked == []
    assert (folder / "config.json").read_bytes() == files["config.json"]
    assert not (folder / "onnx").exists()
