"""The reference engine: ``model.generate`` of transformers, for every model, device, quantisation and adapter."""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.generation.streamers import BaseStreamer

from base_models.constraints import Constraint
from base_models.engines.sampling import Sampling, Token, with_log_probabilities

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Model(Protocol):
    """What this engine needs of a :class:`base_models.loaded_model.LoadedModel`."""

    tokenizer: "PreTrainedTokenizerBase"
    adapter: Path | None

    @property
    def device(self) -> torch.device: ...

    def using(self, adapter: Path | None) -> AbstractContextManager[Any]:
        """The model with that adapter active (None: the base model), for one thread at a time."""
        ...


def generate_ids(
    loaded: Model,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    adapter: Path | None = None,
    streamer: BaseStreamer | None = None,
    stop: threading.Event | None = None,
) -> list[list[int]]:
    """The answers to a batch of left-padded prompts, with the end token if the model generated it."""
    tokenizer = loaded.tokenizer
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    length = max(map(len, prompts))
    ids = torch.tensor([[pad] * (length - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    processors = LogitsProcessorList()
    if isinstance(streamer, _Tokens) and streamer.log_probabilities is not None:
        processors.append(streamer.keep_logits)
    if sampling.repetition_penalty != 1.0:
        processors.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty, prompt_ignore_length=length))
    if sampling.grammar:
        processors.append(_WithinGrammar([Constraint(tokenizer, sampling.grammar) for _ in prompts], length))
    choice: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    if sampling.temperature > 0:
        choice = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": None}
    with loaded.using(adapter or loaded.adapter) as model, torch.inference_mode(), _seeded(sampling, loaded.device):
        output = model.generate(
            input_ids=ids.to(loaded.device),
            attention_mask=mask.to(loaded.device),
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=pad,
            repetition_penalty=1.0,
            logits_processor=processors,
            streamer=streamer,
            stopping_criteria=StoppingCriteriaList([_Stop(stop)]) if stop else None,
            **choice,
        )
    answers = []
    for row in output[:, length:].tolist():
        end = row.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in row else len(row)
        answers.append(row[:end])
    return answers


def stream_ids(
    loaded: Model, prompt: Sequence[int], sampling: Sampling, adapter: Path | None = None
) -> Iterator[Token]:
    """One answer, token by token; closing the iterator stops the model at its next token."""
    tokens = _Tokens(sampling.log_probabilities)
    stop = threading.Event()

    def work() -> None:
        try:
            generate_ids(loaded, [prompt], sampling, adapter, tokens, stop)
        except BaseException as error:  # raised again in the caller's thread
            tokens.queue.put(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        while (token := tokens.queue.get()) is not None:
            if isinstance(token, BaseException):
                raise token
            yield token
    finally:
        stop.set()
        worker.join()


@contextmanager
def _seeded(sampling: Sampling, device: torch.device) -> Iterator[None]:
    """torch's random state is that of the seed inside, and outside what it was."""
    if sampling.seed is None:
        yield
        return
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(sampling.seed)
        yield


class _Tokens(BaseStreamer):
    """Passes tokens to another thread; ``generate`` puts the prompt first."""

    def __init__(self, log_probabilities: int | None) -> None:
        self.queue: queue.SimpleQueue[Token | BaseException | None] = queue.SimpleQueue()
        self.log_probabilities = log_probabilities
        self.prompt_seen = False

    def keep_logits(self, _ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """A logits processor that changes nothing: the next token is chosen from these logits."""
        self.logits = scores[0].float().cpu().numpy().copy()
        return scores

    def put(self, value: torch.Tensor) -> None:
        if self.prompt_seen:
            token, count = int(value), self.log_probabilities
            self.queue.put(Token(token) if count is None else with_log_probabilities(token, self.logits, count))
        self.prompt_seen = True

    def end(self) -> None:
        self.queue.put(None)


class _WithinGrammar(LogitsProcessor):
    """Only the tokens that the grammar allows next, for each row of a batch."""

    def __init__(self, constraints: Sequence[Constraint], prompt_length: int):
        self.constraints, self.prompt_length = constraints, prompt_length

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        for row, constraint in enumerate(self.constraints):
            if input_ids.shape[1] > self.prompt_length:
                constraint.add(int(input_ids[row, -1]))
            allowed = torch.from_numpy(constraint.allowed(scores.shape[-1])).to(scores.device)
            scores[row] = scores[row].masked_fill(~allowed, -torch.inf)
        return scores


class _Stop(StoppingCriteria):
    def __init__(self, event: threading.Event):
        self.event = event

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)
