"""A causal chat model on a CPU in OpenVINO: the graph of ``openvino_export.py``, with continuous batching.

One thread computes for all callers. It prefills a prompt in chunks, after the longest cached prefix, and decodes one
token of each running answer between two chunks; then the request joins the batch as a new row. A batch has one adapter;
a request with another adapter waits until the batch is empty.

Why not OpenVINO GenAI's pipeline: version 2026.4 reuses the prefix cache of one adapter for another, ignores the
adapter of a request that is added while others run, and applies the repetition penalty to the tokens of the prompt.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from base_models.adapter_manifest import check_adapter
from base_models.constraints import Constraint
from base_models.engines.openvino_graph import Graph, Matrices, State
from base_models.engines.openvino_lora import lora_matrices
from base_models.engines.sampling import Sampling, Token, choose, with_log_probabilities
from base_models.probe_check import check_shift, probe_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_ROWS = 8
"""Answers that are decoded together; further requests wait. Chosen."""
CHUNK = 512
"""Tokens of a prompt that are prefilled in one call. Chosen."""
CACHED_PREFIXES = 4
"""Conversations whose keys and values are cached: 24 KB per token of the 0.5B model. Chosen."""
CACHED_ADAPTERS = 8
"""Adapters whose matrices stay in memory. Chosen."""
RUNS_IN = {"dtype": "float32", "packed": "int8", "device": "cpu"}
"""For the probe of adapters, see ``probe.runs_in``."""


@dataclass
class _Request:
    prompt: list[int]
    matrices: Matrices
    sampling: Sampling
    end: int
    constraint: Constraint | None = None
    answer: list[int] = field(default_factory=list)
    tokens: "SimpleQueue[Token | BaseException | None]" = field(default_factory=SimpleQueue)
    """The answer, token by token, for the caller's thread; None marks its end."""
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.sampling.seed)

    def add_token(self, logits: np.ndarray) -> int | None:
        """Choose the next token and pass it to the caller; None at the end of the answer."""
        if self.cancelled:
            self.tokens.put(None)
            return None
        allowed = self.constraint.allowed(len(logits)) if self.constraint else None
        token = choose(logits, self.answer, self.sampling, allowed, self.random)
        self.answer.append(token)
        if self.constraint:
            self.constraint.add(token)
        count = self.sampling.log_probabilities
        self.tokens.put(Token(token) if count is None else with_log_probabilities(token, logits, count))
        if token == self.end or len(self.answer) >= self.sampling.max_new_tokens:
            self.tokens.put(None)
            return None
        return token


class OpenVinoModel:
    """A causal chat model in memory. Its methods may be called from several threads."""

    engine = "openvino"

    def __init__(
        self,
        name: str,
        fingerprint: str,
        folder: Path,
        tokenizer: "PreTrainedTokenizerBase",
        chat_format: str,
        context_length: int,
    ) -> None:
        self.name, self.fingerprint, self.tokenizer, self.chat_format = name, fingerprint, tokenizer, chat_format
        self.context_length = context_length
        self.adapter: Path | None = None
        self._graph = Graph(folder)
        self._prefill, self._decode = self._graph.session(), self._graph.session()
        self._computing = threading.RLock()
        self._adapters: OrderedDict[tuple[Path, int], Matrices] = OrderedDict()
        self._prefixes: deque[tuple[Matrices, list[int], State]] = deque(maxlen=CACHED_PREFIXES)
        self._queue = threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._worker: threading.Thread | None = None
        self._rows: list[_Request] = []
        self._next: list[int] = []
        """The last token of each row, which is not in the graph's state yet."""
        self._mask = np.zeros((0, 0), np.int64)
        self._state_rows: list[int] = []
        """The row of the state of ``_decode`` for each row."""

    def generate_ids(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, adapter: Path | None = None
    ) -> list[list[int]]:
        """The answer to each prompt, with the end token if the model generated it. An interrupt cancels them."""
        requests = [self._submit(prompt, sampling, adapter) for prompt in prompts]
        try:
            return [[token.id for token in _answer(request)] for request in requests]
        finally:
            for request in requests:
                request.cancelled = True

    def stream_ids(self, prompt: Sequence[int], sampling: Sampling, adapter: Path | None = None) -> Iterator[Token]:
        """One answer, token by token; closing the iterator ends it at the next token."""
        request = self._submit(prompt, sampling, adapter)
        try:
            yield from _answer(request)
        finally:
            request.cancelled = True

    def next_logits(self, ids: Sequence[int], adapter: Path | None = None) -> np.ndarray:
        """Logits [vocabulary] of the token after ``ids``."""
        return self._logits_after(ids, self._matrices(adapter or self.adapter))

    def _logits_after(self, ids: Sequence[int], matrices: Matrices) -> np.ndarray:
        with self._computing:
            self._prefill.set_lora(matrices)
            self._prefill.set_state([])
            return self._prefill_tokens(ids, 0)

    def _matrices(self, adapter: Path | None) -> Matrices:
        """LoRA matrices of an adapter; it is checked when it is read."""
        if adapter is None:
            return self._graph.no_lora
        weights = adapter / "adapter_model.safetensors"
        key = (weights, weights.stat().st_mtime_ns if weights.exists() else 0)
        if known := self._adapters.get(key):
            return known
        with self._computing:
            manifest = check_adapter(adapter, self.fingerprint, self.chat_format)
            matrices = self._graph.no_lora | lora_matrices(adapter, self._graph.no_lora)
            if facts := manifest.get("probe"):
                ids = probe_ids(self.tokenizer)
                base, tuned = self._logits_after(ids, self._graph.no_lora), self._logits_after(ids, matrices)
                check_shift(adapter.name, facts, RUNS_IN, base, tuned)
            known = self._adapters.setdefault(key, matrices)  # of two threads the first wins: a batch has one object
            if len(self._adapters) > CACHED_ADAPTERS:
                self._adapters.popitem(last=False)
            return known

    def _submit(self, prompt: Sequence[int], sampling: Sampling, adapter: Path | None) -> _Request:
        end = self.tokenizer.eos_token_id
        constraint = Constraint(self.tokenizer, sampling.grammar) if sampling.grammar else None
        request = _Request(list(prompt), self._matrices(adapter or self.adapter), sampling, end, constraint)
        with self._queue:
            self._waiting.append(request)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="openvino")
                self._worker.start()
        return request

    def _work(self) -> None:
        """Compute until no request is left.

        Not a daemon thread: ending it inside OpenVINO aborts the process. So it ends itself with the program.
        """
        while True:
            with self._queue:
                request = self._joining()
                ending = not threading.main_thread().is_alive()
                if ending or (request is None and not self._rows):
                    for left in [*self._rows, *self._waiting, *([request] if request else [])]:
                        left.tokens.put(None)
                    self._rows, self._next, self._worker = [], [], None
                    return
            try:
                with self._computing:
                    if request:
                        self._join(request)
                    self._step()
            except BaseException as error:  # raised again in the threads of the callers
                for failed in [*self._rows, *([request] if request and request not in self._rows else [])]:
                    failed.tokens.put(error)
                self._rows, self._next = [], []

    def _joining(self) -> _Request | None:
        """The next request that can join the batch, if any."""
        while self._waiting and self._waiting[0].cancelled:
            self._waiting.popleft().tokens.put(None)
        if not self._waiting or len(self._rows) >= MAX_ROWS:
            return None
        if self._rows and self._rows[0].matrices is not self._waiting[0].matrices:
            return None
        return self._waiting.popleft()

    def _join(self, request: _Request) -> None:
        """Prefill a prompt and add it to the batch as a row."""
        known, state = self._cached_prefix(request)
        self._prefill.set_lora(request.matrices)
        self._prefill.set_state(state)
        logits = np.zeros(0)
        for start in range(known, len(request.prompt), CHUNK):
            if request.cancelled:
                break
            if start > known:
                self._step()
            logits = self._prefill_tokens(request.prompt[start : start + CHUNK], start)
        token = request.add_token(logits)
        if token is None:
            return
        state = self._prefill.state()
        mask = np.ones((1, len(request.prompt)), np.int64)
        if self._rows:
            size = max(mask.shape[1], self._mask.shape[1])
            pairs = zip(self._decode.state(self._state_rows), state, strict=True)
            state = [np.concatenate([_left_padded(old, size), _left_padded(new, size)]) for old, new in pairs]
            mask = np.concatenate([_left_padded_mask(self._mask, size), _left_padded_mask(mask, size)])
        self._decode.set_state(state)
        self._rows, self._next = [*self._rows, request], [*self._next, token]
        self._mask, self._state_rows = mask, list(range(len(self._rows)))

    def _step(self) -> None:
        """Decode one more token of each row."""
        if not self._rows:
            return
        self._mask = np.concatenate([self._mask, np.ones((len(self._rows), 1), np.int64)], axis=1)
        self._decode.set_lora(self._rows[0].matrices)
        logits = self._decode.logits(np.array(self._next)[:, None], self._mask, self._state_rows)
        tokens = [request.add_token(row) for request, row in zip(self._rows, logits, strict=True)]
        remaining = [row for row, token in enumerate(tokens) if token is not None]
        for row in set(range(len(tokens))) - set(remaining):
            state = self._decode.state([row])
            self._cache_prefix(self._rows[row], [array[:, :, self._mask[row] == 1] for array in state])
        self._rows, self._state_rows = [self._rows[row] for row in remaining], remaining
        self._next, self._mask = [token for token in tokens if token is not None], self._mask[remaining]

    def _prefill_tokens(self, ids: Sequence[int], past: int) -> np.ndarray:
        """Prefill further tokens of the current prompt; returns the logits [vocabulary] after them."""
        return self._prefill.logits(np.array([ids]), np.ones((1, past + len(ids))), [0])[0]

    def _cached_prefix(self, request: _Request) -> tuple[int, State]:
        """The length of the longest cached prefix of a prompt, and its keys and values."""
        longest, found = 0, []
        for matrices, ids, state in self._prefixes:
            common = min(_common(ids, request.prompt), len(request.prompt) - 1)
            if matrices is request.matrices and common > longest:
                longest, found = common, state
        return longest, [array[:, :, :longest] for array in found]

    def _cache_prefix(self, request: _Request, state: State) -> None:
        """Cache the keys and values of a conversation; they replace those of its earlier turns."""
        ids = (request.prompt + request.answer)[: state[0].shape[2]]
        others = [prefix for prefix in self._prefixes if _common(prefix[1], ids) < len(prefix[1])]
        self._prefixes = deque([*others, (request.matrices, ids, state)], CACHED_PREFIXES)


def _answer(request: _Request) -> Iterator[Token]:
    while (token := request.tokens.get()) is not None:
        if isinstance(token, BaseException):
            raise token
        yield token


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common prefix."""
    differing = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _left_padded(rows: np.ndarray, size: int) -> np.ndarray:
    return np.pad(rows, ((0, 0), (0, 0), (size - rows.shape[2], 0), (0, 0)))


def _left_padded_mask(mask: np.ndarray, size: int) -> np.ndarray:
    return np.pad(mask, ((0, 0), (size - mask.shape[1], 0)))
