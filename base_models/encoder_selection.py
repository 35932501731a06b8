"""Select the engine for an embedding model on this machine.

The model is exported for OpenVINO, compared with sentence-transformers in float32, and timed against
sentence-transformers in its fastest dtype. OpenVINO is selected if its vectors are as close to float32 as
:data:`LEAST_COSINE` and it is not clearly slower.
"""

import importlib.util
import time
from pathlib import Path
from typing import Protocol

import numpy as np

from base_models.engines.choices import (
    Choice,
    export_folder,
    export_lock,
    known_choice,
    print_step,
    read_facts,
    remove_older_exports,
    store_choice,
)
from base_models.engines.openvino_encoder import OpenVinoEncoder, export_encoder
from base_models.errors import ModelError
from domain import whole_folder


class Encoder(Protocol):
    """An embedding model in memory. One thread at a time."""

    prompts: dict[str, str]
    most_tokens: int
    """The most tokens of a text that are read, special ones included."""

    def encode(self, texts: list[str], prompt: str) -> np.ndarray:
        """Vectors of a batch of texts, each after the prompt, float32 [len(texts), width], of length 1."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, special ones included."""
        ...

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """The character span of each token, without special tokens."""
        ...


LEAST_COSINE = 0.9999
"""Between the vectors of a text in OpenVINO and in float32. Chosen."""
MOST_SECONDS = 1.2
"""Largest time of OpenVINO, which starts without torch, relative to sentence-transformers. Chosen."""
SENTENCE = "The documents say: 文件里写着，水温八十度。"
ROUNDS = 3
"""Alternating; the fastest counts, so that other load on the machine has little influence. Chosen."""
TIMED_TEXTS = [f"{number}. " + SENTENCE * length for length in (1, 4, 12, 24) for number in range(2)]
"""From a sentence to a whole passage, in English and Chinese."""


def load_fastest_encoder(name_or_path: str | Path, folder: Path, device: str = "auto") -> Encoder:
    """Load the embedding model in ``folder`` in the faster engine; both are compared the first time."""
    if choose_encoder(name_or_path, folder, device).engine == "openvino":
        return OpenVinoEncoder(folder, export_folder(name_or_path))
    from base_models.engines.sentence_transformers import SentenceTransformersEncoder

    return SentenceTransformersEncoder(folder, device)


def choose_encoder(name_or_path: str | Path, folder: Path, device: str = "auto") -> Choice:
    """The engine for an embedding model on this machine, with the reason."""
    if importlib.util.find_spec("openvino") is None:
        return Choice("transformers", 'OpenVINO is not installed (pip install "lorewright[openvino]")', {})
    if device not in ("auto", "cpu"):
        return Choice("transformers", f"device {device} was requested", {})
    known = known_choice(name_or_path)
    if known and (known.engine == "transformers" or read_facts(export_folder(name_or_path)) is not None):
        return known
    from base_models.hardware import choose_device

    if (present := choose_device(device)) != "cpu":
        return Choice("transformers", f"this machine has a GPU ({present})", {})
    try:
        choice = _time_both(name_or_path, folder)
    except OSError as error:  # not stored, since it may succeed later
        return Choice("transformers", f"the export could not be written to the cache: {error}", {})
    return store_choice(name_or_path, choice)


def _time_both(name_or_path: str | Path, folder: Path) -> Choice:
    """Export the model, compare the vectors of both engines, and time them."""
    from base_models.engines.sentence_transformers import SentenceTransformersEncoder

    print_step(name_or_path, "comparing sentence-transformers and OpenVINO")
    reference = SentenceTransformersEncoder(folder, "cpu", "float32")
    target = export_folder(name_or_path)
    with export_lock(target):
        try:
            with whole_folder(target) as partial:
                export_encoder(reference.model, partial)
            remove_older_exports(target)
        except (ModelError, RuntimeError, ValueError, TypeError, AttributeError) as error:  # what tracing can raise
            return Choice("transformers", f"the export failed: {str(error).strip().splitlines()[0][:200]}", {})
    exported = OpenVinoEncoder(folder, target)
    expected, vectors = (encoder.encode(TIMED_TEXTS, "") for encoder in (reference, exported))
    same_tokens = all(exported.token_offsets(text) == reference.token_offsets(text) for text in TIMED_TEXTS)
    cosine = float((vectors * expected).sum(1).min())
    if not same_tokens or cosine < LEAST_COSINE:
        difference = f"cosine {cosine:.5f}" if same_tokens else "different tokens"
        return Choice("transformers", f"the exported model differs from float32 ({difference})", {})
    del reference
    known = SentenceTransformersEncoder(folder, "cpu")
    rounds = [(_seconds(known), _seconds(exported)) for _ in range(ROUNDS)]
    seconds = {"transformers": min(one for one, _ in rounds), "openvino": min(other for _, other in rounds)}
    ratio = seconds["openvino"] / seconds["transformers"]
    reason = f"embedding with OpenVINO takes {ratio:.2f} of the time of sentence-transformers (cosine {cosine:.5f})"
    if 1 < ratio <= MOST_SECONDS:
        reason += ", but it starts without torch"
    return Choice("openvino" if ratio <= MOST_SECONDS else "transformers", reason, seconds)


def _seconds(encoder: Encoder) -> float:
    """Seconds for the timed texts."""
    start = time.perf_counter()
    encoder.encode(TIMED_TEXTS, "")
    return round(time.perf_counter() - start, 3)
