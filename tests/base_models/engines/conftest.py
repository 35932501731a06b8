"""Models in OpenVINO for the tests of the engines."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from base_models.engines.openvino import OpenVinoModel


@pytest.fixture(scope="session", autouse=True)
def _all_need_openvino(openvino_is_here: None) -> None: ...


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
