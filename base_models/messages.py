"""Messages to token ids and a label mask: one function, for training and for inference.

Adapters often fail because training ids differ from those at inference (another template, a missing end token). Here
both come from :func:`encode`, and an example whose prompt differs from the prompt at inference in any id is refused.

Thinking is switched off in models that support it.

A control token in the text of a person or a document (``<|im_end|>``) is encoded as plain text. White space around an
answer is stripped: generation strips it too, and a token that spans the template and the answer's first line break
would change the ids of the prompt.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from base_models.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = Mapping[str, Any]
"""``{"role": "system" | "user" | "assistant" | "tool", "content": str}``, and ``tool_calls`` where a tool is called;
``learnt`` False excludes an assistant message from the labels.

A conversation of a single message with the role ``text`` is plain text for continued pre-training."""


@dataclass(frozen=True)
class Encoded:
    """A tokenised conversation with its label mask."""

    ids: list[int]
    labelled: list[bool]
    """True for the tokens that are trained: the assistant's, with its end token. As long as ``ids``."""
    shortened: bool = False
    """Whether earlier rounds of the conversation were left out because it was too long."""

    @property
    def targets(self) -> int:
        """Number of labelled tokens, without the first of the row, which nothing predicts."""
        return sum(self.labelled[1:])


def encode(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Sequence[Message],
    tools: Sequence[dict] | None = None,
    last_only: bool = False,
) -> Encoded:
    """Encode a conversation in the chat format of the tokenizer.

    If the last message is the assistant's, the result is a training example; otherwise it is a prompt, with nothing
    labelled. ``tools`` are JSON schemas of functions that the model may call.

    All messages of the assistant are labelled; with ``last_only``, and for some models always, only the last one, see
    :func:`examples_of`.
    """
    if messages[-1]["role"] != "assistant":
        ids = _template(tokenizer, messages, tools, add_generation_prompt=True)
        return Encoded(ids, [False] * len(ids))
    if messages[0]["role"] == "assistant":
        raise ModelError("a training conversation must not start with the assistant; add the question before it.")
    ids = _template(tokenizer, messages, tools, add_generation_prompt=False)
    labelled = [False] * len(ids)
    end = tokenizer.eos_token_id
    first_turn = len(messages) - 1 if last_only or _labels_only_last_answer(tokenizer) else 0
    for turn, message in enumerate(messages):
        if message["role"] != "assistant" or turn < first_turn or not message.get("learnt", True):
            continue
        prompt = _template(tokenizer, messages[:turn], tools, add_generation_prompt=True)
        start = len(prompt)
        if ids[:start] != prompt:
            raise ModelError(
                f"the chat template of {tokenizer.name_or_path} renders a turn differently once it is answered, so "
                "training would not match inference; use another model."
            )
        answered = _template(tokenizer, messages[: turn + 1], tools, add_generation_prompt=False)
        try:
            stop = ids.index(end, start, len(answered)) + 1
        except ValueError:
            raise ModelError(
                f"the chat template of {tokenizer.name_or_path} does not end an answer with {tokenizer.eos_token!r}, "
                "so a trained model would never stop; use another model."
            ) from None
        if message.get("tool_calls") and stop - start == 1:
            raise ModelError(
                f"the chat template of {tokenizer.name_or_path} does not support tool calls, so the answer would be "
                "empty; leave such conversations out, or use a model with tool calls."
            )
        labelled[start:stop] = [True] * (stop - start)
    return Encoded(ids, labelled)


def examples_of(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Sequence[Message],
    max_length: int | None = None,
    last_only: bool = False,
) -> list[Encoded]:
    """The training examples of a conversation, as few as possible; for plain text, its chunks.

    One example labels all answers, except for two kinds of model, where each answer needs an example of its own. The
    prompt of ChatGLM is bidirectional, so the model would predict an earlier answer that it has already read. And the
    templates of Qwen3 and other thinking models drop the empty thoughts of earlier answers, with which they were
    generated. ``last_only`` labels the last answer alone.

    A conversation longer than ``max_length`` tokens is split between rounds (a question with its answer), so that every
    answer is labelled once, after as many whole rounds as fit. A single round that is longer is returned whole.
    """
    if messages[0]["role"] == "text":
        return encode_text(tokenizer, messages[0]["content"], max_length)
    if last_only:
        return [_latest_rounds(tokenizer, messages, max_length, last_only)[0]]
    examples: list[Encoded] = []
    if _labels_only_last_answer(tokenizer):
        answers = [
            turn
            for turn, message in enumerate(messages, start=1)
            if message["role"] == "assistant" and message.get("learnt", True)
        ]
        return [_latest_rounds(tokenizer, messages[:turn], max_length, last_only)[0] for turn in answers]
    rest = messages
    while any(message["role"] == "assistant" for message in rest):
        example, start = _latest_rounds(tokenizer, rest, max_length, last_only)
        examples[:0] = [example] if example.targets else []
        rest = rest[:start]
    return examples


def _latest_rounds(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], max_length: int | None, last_only: bool
) -> tuple[Encoded, int]:
    """As many of the last rounds of a conversation as fit, at least one, and the index of their first message."""
    system = list(messages[:1]) if messages[0]["role"] == "system" else []
    later = [turn for turn, message in enumerate(messages) if message["role"] == "user" and turn > len(system)]
    for start in [len(system), *later]:
        example = encode(tokenizer, [*system, *messages[start:]], last_only=last_only)
        if max_length is None or len(example.ids) <= max_length:
            break
    return replace(example, shortened=start > len(system)), start


def encode_text(tokenizer: "PreTrainedTokenizerBase", text: str, max_length: int | None = None) -> list[Encoded]:
    """Plain text for continued pre-training, in chunks of at most ``max_length`` tokens, all of them labelled.

    Only the last chunk ends with the end token. For ChatGLM each chunk is the answer to an empty prompt, [gMASK] <sop>,
    which is not labelled.
    """
    before, ids = _text_ids(tokenizer, text)
    ids = [*ids, tokenizer.eos_token_id]
    chunk_length = (max_length or sys.maxsize) - len(before)
    chunks = [ids[start : start + chunk_length] for start in range(0, len(ids), chunk_length)]
    return [Encoded([*before, *chunk], [False] * len(before) + [True] * len(chunk)) for chunk in chunks]


def text_prompt(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """The prompt of a text to go on from, without the chat format: the start of a chunk of :func:`encode_text`."""
    before, ids = _text_ids(tokenizer, text)
    return [*before, *ids]


def _text_ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> tuple[list[int], list[int]]:
    """What stands before a text, and the ids of the text."""
    if _has_bidirectional_prompt(tokenizer):
        return tokenizer.build_inputs_with_special_tokens([]), tokenizer.encode_text(text)  # type: ignore[attr-defined]
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
    first = tokenizer("").input_ids[:1]
    return (first if first == [tokenizer.bos_token_id] else []), ids


def chat_format_hash(tokenizer: "PreTrainedTokenizerBase") -> str:
    """SHA-256 of the chat format: template, special tokens and vocabulary."""
    parts = [
        tokenizer.chat_template,
        sorted((name, str(token)) for name, token in tokenizer.special_tokens_map.items()),
        sorted(tokenizer.get_vocab().items()),
    ]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def _has_bidirectional_prompt(tokenizer: "PreTrainedTokenizerBase") -> bool:
    return getattr(tokenizer, "bidirectional_prompt", False)  # set by ChatGLMTokenizer, whose import would load torch


def _labels_only_last_answer(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether earlier answers of the assistant cannot be labelled, see :func:`examples_of`."""
    if _has_bidirectional_prompt(tokenizer):
        return True
    chat: list[Message] = [{"role": role, "content": "1"} for role in ("user", "assistant", "user", "assistant")]
    prompt = _template(tokenizer, chat[:1], None, add_generation_prompt=True)
    last, earlier = (_template(tokenizer, some, None, add_generation_prompt=False) for some in (chat[:2], chat))
    return last[: len(prompt)] == prompt != earlier[: len(prompt)]


def _template(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Sequence[Message],
    tools: Sequence[dict] | None,
    add_generation_prompt: bool,
) -> list[int]:
    from jinja2 import TemplateError

    try:
        ids: Any = tokenizer.apply_chat_template(
            [_stripped(message) if message["role"] == "assistant" else dict(message) for message in messages],
            tools=list(tools) if tools else None,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=False,  # for the templates of Qwen3 and MiniCPM5; others ignore it
            sanitize_control_tokens=True,
            return_dict=False,
        )
    except TemplateError as error:
        raise ModelError(f"the chat format of {tokenizer.name_or_path} cannot render these messages: {error}") from None
    return list(ids)


def _stripped(message: Message) -> dict[str, Any]:
    content = message.get("content")  # None if the answer is only a tool call
    return {**message, "content": content.strip()} if isinstance(content, str) else dict(message)
