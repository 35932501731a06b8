"""Base models: the catalogue, their files, loading, generating, embedding.

Every other room loads models through here; what is needed more rarely is imported from its own module, for example
``from base_models.messages import encode``. Nothing here knows of documents, prompts or training. torch is imported at
the first use of a function that needs it, so that ``fingerprint`` and the catalogue stay cheap.
"""

import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING

from base_models.acquire.fetch import fetch, fingerprint
from base_models.catalogue import CATALOGUE, find
from base_models.catalogue_entry import Entry
from base_models.embedding import load_embedder
from base_models.engine_selection import load_openvino
from base_models.engines.sampling import Sampling
from base_models.errors import ModelError
from base_models.generation import generate, stream
from base_models.reranking import load_reranker

if TYPE_CHECKING:
    from base_models.classifier import load_classifier
    from base_models.loading import load
    from base_models.merge import merge_adapter

# Read when torch is loaded: its idle threads would keep the cores busy that kernels/compiled_loops.py needs.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# bitsandbytes, which peft loads, recommends a package to everybody who loads a model; nothing here needs it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

__all__ = [
    "CATALOGUE",
    "Entry",
    "ModelError",
    "Sampling",
    "fetch",
    "find",
    "fingerprint",
    "generate",
    "load",
    "load_classifier",
    "load_embedder",
    "load_openvino",
    "load_reranker",
    "merge_adapter",
    "stream",
]


def __getattr__(name: str) -> object:
    """The functions of ``__all__`` that need torch, which is imported now."""
    if name in __all__:
        for module in map(import_module, ("base_models.loading", "base_models.classifier", "base_models.merge")):
            if name in vars(module):
                return vars(module)[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
