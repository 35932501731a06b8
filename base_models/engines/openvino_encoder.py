"""An embedding model of sentence-transformers on a CPU in OpenVINO: texts in, vectors out.

:func:`export_encoder` writes the encoder's graph, ``input_ids [b, n], attention_mask [b, n] -> hidden [b, n, width]``,
and ``export.json`` with the settings of sentence-transformers (pooling, prompts, length), so that neither it nor torch
is imported afterwards.

Not supported: models with modules other than transformer, pooling (mean, first or last token) and normalisation.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from base_models.engines.choices import read_facts, write_facts
from base_models.engines.openvino_package import compiled, import_openvino, trace
from base_models.errors import ModelError

POOLINGS = ("mean", "cls", "lasttoken")
UNLIMITED = 1_000_000
"""Tokens; replaces the huge number of tokenizers without a limit."""
PADDED_TO = 8
"""Lengths of batches are multiples of this, so that fewer shapes are compiled. Chosen."""


class OpenVinoEncoder:
    """An exported embedding model in memory. One thread at a time."""

    def __init__(self, source: Path, exported: Path) -> None:
        from tokenizers import Tokenizer

        facts = read_facts(exported)
        if facts is None:
            raise ModelError(f"{exported} is an incomplete export of an embedding model; delete it to export it again.")
        self.prompts: dict[str, str] = facts["prompts"]
        self.most_tokens: int = facts["most_tokens"]
        self._pooling, self._padding = facts["pooling"], facts["padding_id"]
        self._tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._request = compiled(exported).create_infer_request()

    def encode(self, texts: Sequence[str], prompt: str) -> np.ndarray:
        """Vectors of a batch of texts, each after the prompt, float32 [len(texts), width], of length 1."""
        self._tokenizer.enable_truncation(self.most_tokens)
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch([prompt + text for text in texts])]
        length = -(-max(map(len, ids)) // PADDED_TO) * PADDED_TO
        padded = np.full((len(ids), length), self._padding, np.int64)
        mask = np.zeros((len(ids), length), np.int64)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        self._request.infer({"input_ids": padded, "attention_mask": mask})
        hidden = self._request.get_output_tensor().data
        if self._pooling == "mean":
            vectors = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        else:
            at = mask.sum(1) - 1 if self._pooling == "lasttoken" else np.zeros(len(ids), np.int64)
            vectors = hidden[np.arange(len(ids)), at]
        return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype(np.float32)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, special ones included."""
        self._tokenizer.no_truncation()
        return len(self._tokenizer.encode(text).ids)

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """The character span of each token, without special tokens."""
        self._tokenizer.no_truncation()
        return self._tokenizer.encode(text, add_special_tokens=False).offsets


def export_encoder(model: Any, target: Path) -> None:
    """Write a ``SentenceTransformer`` in float32 to the folder ``target``.

    Raises :class:`ModelError` if its modules are not supported.
    """
    import torch

    ov = import_openvino()
    kinds = [type(module).__name__ for module in model]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ModelError(f"embedding models with the modules {', '.join(kinds)} are not supported by OpenVINO here.")
    pooling = model[1].pooling_mode
    if pooling not in POOLINGS or not model[1].include_prompt:
        raise ModelError(f"embedding models with {pooling} pooling are not supported by OpenVINO here.")
    encoder, tokenizer = model[0].auto_model, model.tokenizer

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    example = (torch.ones(2, 5, dtype=torch.long), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]))
    graph = trace(Hidden(), example)
    for port, name in zip(graph.inputs, ("input_ids", "attention_mask"), strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_partial_shape(ov.PartialShape([-1, -1]))
    graph.validate_nodes_and_infer_types()
    ov.save_model(graph, target / "openvino_model.xml", compress_to_fp16=True)
    facts = {
        "prompts": model.prompts,
        "most_tokens": min(model.max_seq_length or tokenizer.model_max_length, UNLIMITED),
        "pooling": pooling,
        "padding_id": tokenizer.pad_token_id,
    }
    write_facts(target, facts)
