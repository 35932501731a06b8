"""Run the graph of ``openvino_export.py``: arrays to logits, with its state and LoRA inputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from base_models.engines.openvino_package import compiled, import_openvino

Matrices = dict[str, np.ndarray]
"""LoRA matrices, float32, by the names of the graph's inputs."""
State = list[np.ndarray]
"""Keys and values: one array [rows, heads, tokens, width] for each state of the graph."""


class Graph:
    """A compiled graph; its weights are in memory once for all its sessions."""

    def __init__(self, folder: Path) -> None:
        self._compiled = compiled(folder, KV_CACHE_PRECISION="f32")  # so that a cached prefix is exact
        self.no_lora: Matrices = {
            port.any_name: np.zeros([1 if size.is_dynamic else size.get_length() for size in port.partial_shape], "f4")
            for port in self._compiled.inputs
            if port.any_name.endswith((".lora_A", ".lora_B"))
        }
        """Zero matrices of rank 1, for the base model."""

    def session(self) -> "Session":
        """A new state over the same weights."""
        return Session(self._compiled.create_infer_request())


class Session:
    """One state of the graph. One thread at a time."""

    def __init__(self, request: Any) -> None:
        self._request, self._tensor = request, import_openvino().Tensor
        self._lora: Matrices = {}

    def set_lora(self, matrices: Matrices) -> None:
        """Switch to an adapter without copying its matrices."""
        if matrices is not self._lora:
            for name, array in matrices.items():
                self._request.set_tensor(name, self._tensor(array, shared_memory=True))
            self._lora = matrices  # the tensors share its memory

    def logits(self, ids: np.ndarray, mask: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        """Logits [rows, vocabulary] after the last of the new tokens ``ids`` [rows, new].

        ``mask`` [rows, earlier + new] is 0 where a row is padded. ``rows`` are the rows of the state that continue.
        """
        inputs = {"input_ids": ids, "attention_mask": mask, "output_positions": np.array([ids.shape[1] - 1])}
        for name, array in inputs.items():
            self._request.set_tensor(name, self._tensor(np.ascontiguousarray(array, np.int64)))
        self._request.set_tensor("beam_idx", self._tensor(np.array(rows, np.int32)))
        self._request.infer()
        return self._request.get_tensor("logits").data[:, 0].copy()

    def state(self, rows: Sequence[int] = (0,)) -> State:
        """A copy of the keys and values of the given rows."""
        return [state.state.data[list(rows)] for state in self._request.query_state()]

    def set_state(self, arrays: State) -> None:
        """Set the keys and values; an empty list resets the state."""
        self._request.reset_state()
        for state, array in zip(self._request.query_state(), arrays, strict=bool(arrays)):
            state.state = self._tensor(np.ascontiguousarray(array))
