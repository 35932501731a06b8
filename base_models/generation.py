"""Messages in, text out: in batches, or streamed.

Knows nothing of prompts, passages or tools, nor of how an engine computes; it encodes messages with ``messages.encode``
and decodes the tokens of the answer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from base_models.engines import Engine, Sampling
from base_models.errors import ModelError
from base_models.messages import Message, encode

THOUGHTS = ("<think>", "</think>")
"""Between these a thinking model writes what it does not say; it is decoded, but neither shown nor returned."""
HALF_CHARACTER = "\ufffd"
"""What the bytes of an unfinished character decode to; an answer may be cut there by max_new_tokens."""


@dataclass(frozen=True)
class Generation:
    """One answer of the model."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    stopped: bool
    """True if the model ended its answer itself, False if it ran into max_new_tokens or was interrupted."""


def generate(
    engine: Engine,
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
    prompts = [_prompt(engine, messages, tools) for messages in conversations]
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    results: dict[int, Generation] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        answers = engine.generate_ids([prompts[index] for index in batch], sampling, adapter)
        for index, ids in zip(batch, answers, strict=True):
            results[index] = _generation(engine, prompts[index], ids)
        if progress:
            progress(len(batch))
    return [results[index] for index in range(len(prompts))]


def stream(
    engine: Engine,
    messages: Sequence[Message],
    sampling: Sampling,
    adapter: Path | None = None,
    tools: Sequence[dict] | None = None,
) -> Iterator[str | Generation]:
    """Answer one conversation: yield pieces of text as they are decoded, and last the whole :class:`Generation`.

    No piece ends inside a character. Closing the iterator stops the model at its next token.
    """
    prompt = _prompt(engine, messages, tools)
    ids: list[int] = []
    shown = ""
    with closing(cast(Any, engine.stream_ids(prompt, sampling, adapter))) as tokens:
        for token in tokens:
            ids.append(token)
            text = _spoken(engine, prompt, ids)
            if len(text) > len(shown):
                yield text[len(shown) :]
                shown = text
    yield _generation(engine, prompt, ids)


def _prompt(engine: Engine, messages: Sequence[Message], tools: Sequence[dict] | None) -> list[int]:
    """The ids of a prompt; refused where the model cannot read it and write one token more."""
    ids = encode(engine.tokenizer, messages, tools).ids
    if len(ids) >= engine.context_length:
        raise ModelError(
            f"the prompt has {len(ids):,} tokens, and {engine.name} reads at most {engine.context_length:,}; "
            "shorten it, or take a model that reads more."
        )
    return ids


def _generation(engine: Engine, prompt: list[int], ids: list[int]) -> Generation:
    ended = bool(ids) and ids[-1] == engine.tokenizer.eos_token_id
    return Generation(_spoken(engine, prompt, ids).strip(), len(prompt), len(ids), ended)


def _spoken(engine: Engine, prompt: list[int], ids: list[int]) -> str:
    """The text of an answer so far, without thoughts and without half a character at its end."""
    begins, ends = THOUGHTS
    text = _decoded(engine, ids).rstrip(HALF_CHARACTER)
    said = text.lstrip()
    # the templates of models that always think end the prompt with the beginning of a thought
    if said.startswith(begins) or _decoded(engine, prompt[-3:]).rstrip().endswith(begins):
        return text.partition(ends)[2].lstrip()
    return "" if begins.startswith(said) else text


def _decoded(engine: Engine, ids: list[int]) -> str:
    return str(engine.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
