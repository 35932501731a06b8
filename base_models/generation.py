"""Messages in, text out: in batches, or streamed.

Knows nothing of prompts, passages or tools, nor of how an engine computes: it encodes messages with ``messages.encode``
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
"""The tags around a model's thoughts; these are decoded, but neither streamed nor returned."""
REPLACEMENT_CHARACTER = "\ufffd"
"""The replacement character: the bytes of an incomplete character decode to it, where max_new_tokens cuts one."""


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
    """Answer many conversations, in batches of similar length.

    ``adapter`` None uses the adapter given to :func:`load`, if any. ``tools`` are JSON schemas for the chat format.
    ``progress`` is called with the number of newly finished answers.
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
    """Answer one conversation: yield text as it is decoded, and the whole :class:`Generation` last.

    No yielded text ends inside a character. Closing the iterator stops the model at its next token.
    """
    prompt = _prompt(engine, messages, tools)
    ids: list[int] = []
    shown = ""
    with closing(cast(Any, engine.stream_ids(prompt, sampling, adapter))) as tokens:
        for token in tokens:
            ids.append(token)
            text = _visible_text(engine, prompt, ids)
            if len(text) > len(shown):
                yield text[len(shown) :]
                shown = text
    yield _generation(engine, prompt, ids)


def _prompt(engine: Engine, messages: Sequence[Message], tools: Sequence[dict] | None) -> list[int]:
    """The ids of a prompt; raises :class:`ModelError` if it leaves no room for an answer."""
    ids = encode(engine.tokenizer, messages, tools).ids
    if len(ids) >= engine.context_length:
        raise ModelError(
            f"the prompt has {len(ids):,} tokens, but the context of {engine.name} is {engine.context_length:,}; "
            "shorten the prompt, or use a model with a longer context."
        )
    return ids


def _generation(engine: Engine, prompt: list[int], ids: list[int]) -> Generation:
    ended = bool(ids) and ids[-1] == engine.tokenizer.eos_token_id
    return Generation(_visible_text(engine, prompt, ids).strip(), len(prompt), len(ids), ended)


def _visible_text(engine: Engine, prompt: list[int], ids: list[int]) -> str:
    """The text of an answer so far, without thoughts and without an incomplete character at its end."""
    opening, closing_tag = THOUGHTS
    text = _decoded(engine, ids).rstrip(REPLACEMENT_CHARACTER)
    stripped = text.lstrip()
    # templates of models that always think end the prompt with the opening tag
    if stripped.startswith(opening) or _decoded(engine, prompt[-3:]).rstrip().endswith(opening):
        return text.partition(closing_tag)[2].lstrip()
    return "" if opening.startswith(stripped) else text


def _decoded(engine: Engine, ids: list[int]) -> str:
    return str(engine.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
