"""What every room's tests share: no network, real models from the user's cache, and skips that CI does not forgive."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest

from base_models import fetch, is_fetched


@pytest.fixture(scope="session")
def absent() -> Callable[[str], NoReturn]:
    """Say that a test needs what is not here: it is skipped, or fails where LOREWRIGHT_ALL_TESTS is set, as in CI."""

    def say(reason: str) -> NoReturn:
        if os.environ.get("LOREWRIGHT_ALL_TESTS"):
            pytest.fail(f"{reason} (LOREWRIGHT_ALL_TESTS is set, so this is no reason to skip)")
        pytest.skip(reason)

    return say


@pytest.fixture(scope="session")
def real_model(absent: Callable[[str], NoReturn]) -> Callable[[str], Path]:
    """The folder of a real model of the catalogue; tests do not download, `make test` does before them."""

    def get(name: str) -> Path:
        if not is_fetched(name):
            absent(f"{name} is not in the cache; get it with: lorewright pull {name}")
        return fetch(name, progress=False)

    return get
