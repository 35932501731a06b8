"""An embedding model in sentence-transformers: the reference, on every device.

The encoder runs in the fastest dtype of this processor (bfloat16 or float32); pooling and normalisation always run in
float32.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from base_models.local_files import sentence_transformers_model


class SentenceTransformersEncoder:
    """See :class:`base_models.encoder_selection.Encoder`."""

    def __init__(self, folder: Path, device: str, dtype: str = "auto") -> None:
        from sentence_transformers import SentenceTransformer

        self.model = sentence_transformers_model(SentenceTransformer, folder, device, dtype).eval()
        self.model[0].register_forward_hook(_tokens_in_float32)
        self.prompts = {name: prompt or "" for name, prompt in self.model.prompts.items()}
        self.most_tokens: int = self.model.max_seq_length or self.model.tokenizer.model_max_length

    def encode(self, texts: list[str], prompt: str) -> np.ndarray:
        """Vectors of a batch of texts, each after the prompt, float32 [len(texts), width], of length 1."""
        return self.model.encode(
            texts, prompt=prompt, batch_size=len(texts), show_progress_bar=False, normalize_embeddings=True
        )

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, special ones included."""
        return len(self.model.tokenizer(text)["input_ids"])

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """The character span of each token, without special tokens."""
        encoded = self.model.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        return encoded["offset_mapping"]


def _tokens_in_float32(_module: Any, _inputs: Any, features: dict[str, Any]) -> dict[str, Any]:
    """Forward hook of the encoder: pool and normalise in float32, whatever the dtype of the encoder."""
    features["token_embeddings"] = features["token_embeddings"].to(torch.float32)
    return features
