"""Messages to token ids and a label mask: one function, for training and for answering alike.

Adapters are commonly spoiled by training on ids that differ from those seen at answering (another template, a missing
end token). Here both come from :func:`encode`, and an example whose prompt is not, id for id, what answering would
send is refused.

A control token that stands in what a person or a document says (``<|im_end|>``) is encoded as plain text. Blank space
around an answer is left out: generation never yields any, and tokens that span the template and the answer's first line
break would make the prompt of an example another than that of answering.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from base_models.errors import ModelError

Message = Mapping[str, Any]
"""``{"role": "system" | "user" | "assistant" | "tool", "content": str}``, and ``tool_calls`` where a tool is called."""


@dataclass(frozen=True)
class Encoded:
    """One conversation as the model reads it."""

    ids: list[int]
    labelled: list[bool]
    """True for the tokens to learn: what the assistant says, its end token included. As long as ``ids``."""


def encode(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Sequence[dict] | None = None
) -> Encoded:
    """Encode a conversation in the chat format of the tokenizer.

    If the last message is the assistant's, the result is an example to learn from; else it is a prompt that ends where
    the assistant is to speak, with nothing labelled. ``tools`` are JSON schemas of functions the model may call.

    All that the assistant says is labelled; of ChatGLM only the last answer, see :func:`examples_of`.
    """
    if messages[-1]["role"] != "assistant":
        ids = _template(tokenizer, messages, tools, add_generation_prompt=True)
        return Encoded(ids, [False] * len(ids))
    if messages[0]["role"] == "assistant":
        raise ModelError("a conversation to learn from must not begin with the assistant: nothing was asked yet.")
    ids = _template(tokenizer, messages, tools, add_generation_prompt=False)
    labelled = [False] * len(ids)
    end = tokenizer.eos_token_id
    first_turn = len(messages) - 1 if _prompt_is_read_both_ways(tokenizer) else 0
    for turn, message in enumerate(messages):
        if message["role"] != "assistant" or turn < first_turn:
            continue
        prompt = _template(tokenizer, messages[:turn], tools, add_generation_prompt=True)
        start = len(prompt)
        if ids[:start] != prompt:
            raise ModelError(
                f"the chat template of {tokenizer.name_or_path} writes an earlier turn differently once it is "
                "answered, so training on it would not match answering; use single-turn examples with this model."
            )
        said = _template(tokenizer, messages[: turn + 1], tools, add_generation_prompt=False)
        try:
            stop = ids.index(end, start, len(said)) + 1
        except ValueError:
            raise ModelError(
                f"the chat template of {tokenizer.name_or_path} does not end an answer with {tokenizer.eos_token!r}, "
                "so a model trained on it would never stop."
            ) from None
        labelled[start:stop] = [True] * (stop - start)
    return Encoded(ids, labelled)


def examples_of(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[Encoded]:
    """What a conversation that ends with an answer teaches, as few examples as can be.

    One example teaches all answers, but for ChatGLM: its prompt is read in both directions, so an earlier answer would
    be learnt by a model that has already read it. There each answer makes an example of its own.
    """
    if not _prompt_is_read_both_ways(tokenizer):
        return [encode(tokenizer, messages)]
    answers = [turn for turn, message in enumerate(messages, start=1) if message["role"] == "assistant"]
    return [encode(tokenizer, messages[:turn]) for turn in answers]


def chat_format_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 over all that decides how messages become ids: template, special tokens and vocabulary."""
    parts = [
        tokenizer.chat_template,
        sorted((name, str(token)) for name, token in tokenizer.special_tokens_map.items()),
        sorted(tokenizer.get_vocab().items()),
    ]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def _prompt_is_read_both_ways(tokenizer: PreTrainedTokenizerBase) -> bool:
    from base_models.chatglm import ChatGLMTokenizer  # here, for it loads torch

    return isinstance(tokenizer, ChatGLMTokenizer)


def _template(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    tools: Sequence[dict] | None,
    add_generation_prompt: bool,
) -> list[int]:
    try:
        ids: Any = tokenizer.apply_chat_template(
            [_stripped(message) if message["role"] == "assistant" else dict(message) for message in messages],
            tools=list(tools) if tools else None,
            add_generation_prompt=add_generation_prompt,
            sanitize_control_tokens=True,
            return_dict=False,
        )
    except TemplateError as error:
        raise ModelError(f"the chat format of {tokenizer.name_or_path} cannot say this: {error}") from None
    return list(ids)


def _stripped(message: Message) -> dict[str, Any]:
    content = message.get("content")  # None where the answer is only a call of a tool
    return {**message, "content": content.strip()} if isinstance(content, str) else dict(message)
