"""Messages in, text out: in batches, or streamed.

Knows nothing of prompts, passages or tools, nor of how an engine computes: it encodes messages with ``messages.encode``
and decodes the tokens of the answer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from base_models.engines import Engine, Sampling, Token
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
    tokens: tuple[Token, ...] = field(default=(), compare=False, repr=False)
    """The tokens of a streamed answer, with the log-probabilities that its :class:`Sampling` asked for."""


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
    prompts = [encode(engine.tokenizer, messages, tools).ids for messages in conversations]
    for prompt in prompts:
        _check_length(engine, prompt)
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
    stops: Sequence[str] = (),
) -> Iterator[str | Generation]:
    """Answer one conversation: yield text as it is decoded, and the whole :class:`Generation` last.

    The answer ends before the first of the ``stops``. No yielded text ends inside a character, or with what may be the
    beginning of a stop. Closing the iterator stops the model at its next token.
    """
    yield from stream_after(engine, encode(engine.tokenizer, messages, tools).ids, sampling, adapter, stops)


def stream_after(
    engine: Engine, prompt: list[int], sampling: Sampling, adapter: Path | None = None, stops: Sequence[str] = ()
) -> Iterator[str | Generation]:
    """As :func:`stream`, of a prompt that is encoded."""
    _check_length(engine, prompt)
    tokens: list[Token] = []
    lengths: list[int] = []
    shown, text, cut = 0, "", False
    with closing(cast(Any, engine.stream_ids(prompt, sampling, adapter))) as answer:
        for token in answer:
            tokens.append(token)
            text = _visible_text(engine, prompt, [token.id for token in tokens])
            if cut := any(stop in text for stop in stops):
                text = text[: min(text.index(stop) for stop in stops if stop in text)]
                break
            lengths.append(len(text))
            ready = len(text) - _begun(stops, text)
            if ready > shown:
                yield text[shown:ready]
                shown = ready
    if len(text) > shown:
        yield text[shown:]
    if cut:
        needed = next((number for number, length in enumerate(lengths, 1) if length >= len(text)), len(tokens))
        yield Generation(text.strip(), len(prompt), needed, True, tuple(tokens[:needed]))
    else:
        yield replace(_generation(engine, prompt, [token.id for token in tokens]), tokens=tuple(tokens))


def _begun(stops: Sequence[str], text: str) -> int:
    """Number of characters at the end of ``text`` that may begin a stop."""
    lengths = [length for stop in stops for length in range(1, len(stop)) if text.endswith(stop[:length])]
    return max(lengths, default=0)


def _check_length(engine: Engine, prompt: Sequence[int]) -> None:
    """Raises :class:`ModelError` if a prompt leaves no room for an answer."""
    if len(prompt) >= engine.context_length:
        raise ModelError(
            f"the prompt has {len(prompt):,} tokens, but the context of {engine.name} is {engine.context_length:,}; "
            "shorten the prompt, or use a model with a longer context."
        )


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
