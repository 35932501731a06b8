"""Models in OpenVINO for the tests of the engines."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from base_models.engines.openvino import OpenVinoModel


@pytest.fixture(scope="session", autouse=True)
def openvino_is_here(absent: Callable[[str], None]) -> None:
    if importlib.util.find_spec("openvino") is None:
        absent('OpenVINO is not installed: pip install "lorewright[openvino]"')


@pytest.fixture(scope="session")
def tiny_exported(tiny_folder: Path) -> "OpenVinoModel":
    """The model of ``tiny_folder`` in OpenVINO."""
    from base_models import load_openvino

    return load_openvino(tiny_folder)


@pytest.fixture
def fast(tiny_exported: "OpenVinoModel") -> "Iterator[OpenVinoModel]":
    """The same; each test gets it without kept prefixes and adapters."""
    yield tiny_exported
    tiny_exported._prefixes.clear()
    tiny_exported._adapters.clear()
