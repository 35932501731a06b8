"""Two real embedders, loaded once: MiniLM where speed matters, e5 where Chinese does."""

import pytest

from base_models import Embedder, load_embedder


@pytest.fixture(scope="session")
def minilm() -> Embedder:
    return load_embedder("all-minilm-l6-v2")


@pytest.fixture(scope="session")
def e5() -> Embedder:
    return load_embedder("multilingual-e5-small")
