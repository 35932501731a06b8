from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_model import TOY_FILES, LoopbackHub, serve, toy_entry

from base_models.acquire.store import unreachable
from base_models.catalogue import CATALOGUE
from base_models.catalogue_entry import Entry


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """The toy in the catalogue, an empty cache, and none of the user's own settings."""
    for name in ("LOREWRIGHT_MODELS", "LOREWRIGHT_MIRROR", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    entry = toy_entry()
    monkeypatch.setitem(CATALOGUE, "toy", entry)
    unreachable.clear()
    return entry


@pytest.fixture
def hub(toy: Entry, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub that holds the toy, and that HF_ENDPOINT points to."""
    hub = LoopbackHub(files={f"/maker/toy/resolve/main/{path}": data for path, data in TOY_FILES.items()})
    server = serve(hub)
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    yield hub
    hub.go_on.set()
    server.shutdown()
    server.server_close()
