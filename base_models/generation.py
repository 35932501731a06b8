"""Messages in, text out: batched for evaluation, streamed for a person who waits.

Knows nothing of prompts, passages or tools; it encodes what it is given with ``messages.encode`` and decodes.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
    TextIteratorStreamer,
)

from base_models.loaded_model import LoadedModel
from base_models.messages import Message, encode

HALF_CHARACTER = "\ufffd"
"""What the bytes of an unfinished character decode to; an answer may be cut there by max_new_tokens."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    """0 always takes the likeliest token."""
    repetition_penalty: float = 1.0
    """Divides the scores of tokens that the answer already holds; the prompt's tokens are not penalised, since a good
    answer repeats its passages."""


@dataclass(frozen=True)
class Generation:
    """One answer of the model."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    stopped: bool
    """True if the model ended its answer itself, False if it ran into max_new_tokens or was interrupted."""


def generate(
    loaded: LoadedModel,
    conversations: Sequence[Sequence[Message]],
    sampling: Sampling,
    adapter: Path | None = None,
    tools: Sequence[dict] | None = None,
    batch_size: int = 8,
    progress: Callable[[int], None] | None = None,
) -> list[Generation]:
    """Answer many conversations, in batches of like length. ``progress`` is told how many were newly finished.

    ``adapter`` None takes the one that :func:`load` was given, if any. ``tools`` are JSON schemas for the chat format.
    """
    prompts = [encode(loaded.tokenizer, messages, tools).ids for messages in conversations]
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    results: dict[int, Generation] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        completions = _generate_ids(loaded, [prompts[index] for index in batch], sampling, adapter)
        for index, ids in zip(batch, completions, strict=True):
            results[index] = _generation(loaded, len(prompts[index]), ids)
        if progress:
            progress(len(batch))
    return [results[index] for index in range(len(prompts))]


def stream(
    loaded: LoadedModel,
    messages: Sequence[Message],
    sampling: Sampling,
    adapter: Path | None = None,
    tools: Sequence[dict] | None = None,
) -> Iterator[str | Generation]:
    """Answer one conversation: yield pieces of text as they are decoded, and last the whole :class:`Generation`.

    No piece ends inside a character. Closing the iterator stops the model at its next token.
    """
    prompt = encode(loaded.tokenizer, messages, tools).ids
    streamer = TextIteratorStreamer(loaded.tokenizer, skip_prompt=True, skip_special_tokens=True)
    stop = threading.Event()
    outcome: queue.Queue[list[int] | BaseException] = queue.Queue()

    def work() -> None:
        try:
            outcome.put(_generate_ids(loaded, [prompt], sampling, adapter, streamer, stop)[0])
        except BaseException as error:  # handed to the reader below, which raises it
            outcome.put(error)
            streamer.end()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        yield from (whole for piece in streamer if (whole := piece.rstrip(HALF_CHARACTER)))
        result = outcome.get()
        if isinstance(result, BaseException):
            raise result
        yield _generation(loaded, len(prompt), result)
    finally:
        stop.set()
        worker.join()


class _Stop(StoppingCriteria):
    def __init__(self, event: threading.Event):
        self.event = event

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)


def _generate_ids(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    adapter: Path | None,
    streamer: TextIteratorStreamer | None = None,
    stop: threading.Event | None = None,
) -> list[list[int]]:
    """New token ids for each prompt, with the end token where the model wrote one; prompts are padded on the left."""
    pad = loaded.tokenizer.pad_token_id if loaded.tokenizer.pad_token_id is not None else loaded.tokenizer.eos_token_id
    length = max(map(len, prompts))
    ids = torch.tensor([[pad] * (length - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    processors = LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        processors.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty, prompt_ignore_length=length))
    choice: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    if sampling.temperature > 0:
        choice = {"do_sample": True, "temperature": sampling.temperature, "top_p": 0.9, "top_k": None}
    with loaded.using(adapter or loaded.adapter) as model, torch.inference_mode():
        output = model.generate(
            input_ids=ids.to(loaded.device),
            attention_mask=mask.to(loaded.device),
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=loaded.tokenizer.eos_token_id,
            pad_token_id=pad,
            repetition_penalty=1.0,
            logits_processor=processors,
            streamer=streamer,
            stopping_criteria=StoppingCriteriaList([_Stop(stop)]) if stop else None,
            **choice,
        )
    completions = []
    for row in output[:, length:].tolist():
        end = row.index(loaded.tokenizer.eos_token_id) + 1 if loaded.tokenizer.eos_token_id in row else len(row)
        completions.append(row[:end])
    return completions


def _generation(loaded: LoadedModel, prompt_tokens: int, ids: list[int]) -> Generation:
    text = str(loaded.tokenizer.decode(ids, skip_special_tokens=True)).rstrip(HALF_CHARACTER)
    return Generation(text.strip(), prompt_tokens, len(ids), bool(ids) and ids[-1] == loaded.tokenizer.eos_token_id)
