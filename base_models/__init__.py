"""Base models: which there are, where their files come from, how they are loaded, how messages become ids and back.

Every other room loads models through here. Nothing here knows of documents, prompts or training.
The names that need torch are imported at their first use, so that ``fingerprint`` and the catalogue stay cheap.
"""

import logging
import os
from typing import TYPE_CHECKING

from base_models.adapters import check_adapter, read_manifest, seal_adapter
from base_models.catalogue import CATALOGUE, find
from base_models.catalogue_entry import Entry
from base_models.errors import ModelError
from base_models.fetch import cache_folder, cached_models, fetch, fingerprint, is_fetched
from base_models.reader import reader_of
from base_models.sources import hub_is_reachable

if TYPE_CHECKING:
    from base_models.classifier import (
        Classified,
        Classifier,
        encode_labelled,
        load_classifier,
        load_encoder,
        most_tokens,
        poolers,
    )
    from base_models.embedding import Embedder, load_embedder
    from base_models.engines import Engine
    from base_models.engines.choices import Choice, known_choice
    from base_models.engines.encoder_selection import choose_encoder
    from base_models.engines.sampling import Sampling
    from base_models.engines.selection import choose_engine, faster_engine, load_openvino
    from base_models.forecast import activation_bytes, config_of
    from base_models.generation import Generation, generate, stream
    from base_models.hardware import gpu_memory
    from base_models.loaded_model import LoadedModel, bare
    from base_models.loading import load, load_tokenizer
    from base_models.merge import merge_adapter
    from base_models.messages import Encoded, Message, encode, examples_of
    from base_models.packing import can_share, packed
    from base_models.probe import looking, probe_facts, probe_logits
    from base_models.reranking import Reranker, load_reranker

# Read when torch is loaded: its idle threads would keep the cores that compiled_products.py needs for its own.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# bitsandbytes, which peft loads, recommends a package to everybody who loads a model; nothing here needs it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

_LAZY = {
    "Classified": "classifier",
    "Classifier": "classifier",
    "encode_labelled": "classifier",
    "load_classifier": "classifier",
    "load_encoder": "classifier",
    "most_tokens": "classifier",
    "poolers": "classifier",
    "Embedder": "embedding",
    "Reranker": "reranking",
    "load_reranker": "reranking",
    "load_embedder": "embedding",
    "Generation": "generation",
    "Choice": "engines.choices",
    "Engine": "engines",
    "Sampling": "engines.sampling",
    "choose_encoder": "engines.encoder_selection",
    "choose_engine": "engines.selection",
    "faster_engine": "engines.selection",
    "known_choice": "engines.choices",
    "load_openvino": "engines.selection",
    "generate": "generation",
    "stream": "generation",
    "LoadedModel": "loaded_model",
    "bare": "loaded_model",
    "activation_bytes": "forecast",
    "config_of": "forecast",
    "gpu_memory": "hardware",
    "load": "loading",
    "load_tokenizer": "loading",
    "looking": "probe",
    "merge_adapter": "merge",
    "probe_facts": "probe",
    "probe_logits": "probe",
    "can_share": "packing",
    "packed": "packing",
    "Encoded": "messages",
    "Message": "messages",
    "encode": "messages",
    "examples_of": "messages",
}

__all__ = [
    "CATALOGUE",
    "Choice",
    "Classified",
    "Classifier",
    "Embedder",
    "Encoded",
    "Engine",
    "Entry",
    "Generation",
    "LoadedModel",
    "Message",
    "ModelError",
    "Reranker",
    "Sampling",
    "activation_bytes",
    "bare",
    "cache_folder",
    "cached_models",
    "can_share",
    "check_adapter",
    "choose_encoder",
    "choose_engine",
    "config_of",
    "encode",
    "encode_labelled",
    "examples_of",
    "faster_engine",
    "fetch",
    "find",
    "fingerprint",
    "generate",
    "gpu_memory",
    "hub_is_reachable",
    "is_fetched",
    "known_choice",
    "load",
    "load_classifier",
    "load_embedder",
    "load_encoder",
    "load_openvino",
    "load_reranker",
    "load_tokenizer",
    "looking",
    "merge_adapter",
    "most_tokens",
    "packed",
    "poolers",
    "probe_facts",
    "probe_logits",
    "read_manifest",
    "reader_of",
    "seal_adapter",
    "stream",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"base_models.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
