"""Fixtures: two real embedders, loaded once. MiniLM is for speed, e5 for Chinese."""

from collections.abc import Callable
from pathlib import Path

import pytest

from base_models import load_embedder
from base_models.embedding import Embedder


@pytest.fixture(scope="session")
def minilm(real_model: Callable[[str], Path]) -> Embedder:
    real_model("all-minilm-l6-v2")
    return load_embedder("all-minilm-l6-v2")


@pytest.fixture(scope="session")
def e5(real_model: Callable[[str], Path]) -> Embedder:
    real_model("multilingual-e5-small")
    return load_embedder("multilingual-e5-small")
