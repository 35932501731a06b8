"""Messages to token ids and a label mask: one function, for training and for answering alike.

Adapters are commonly spoiled by training on ids that differ from those seen at answering (another template, a missing
end token). Here both come from :func:`encode`, and an example whose prompt is not, id for id, what answering would
send is refused.

Models that can think before they answer are told not to.

A control token that stands in what a person or a document says (``<|im_end|>``) is encoded as plain text. Blank space
around an answer is left out: generation never yields any, and tokens that span the template and the answer's first line
break would make the prompt of an example another than that of answering.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from base_models.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = Mapping[str, Any]
"""``{"role": "system" | "user" | "assistant" | "tool", "content": str}``, and ``tool_calls`` where a tool is called;
``learnt`` False in what the assistant said once and is not to learn.

A conversation of a single message of the role ``text`` is plain text to learn as it is."""


@dataclass(frozen=True)
class Encoded:
    """One conversation as the model reads it."""

    ids: list[int]
    labelled: list[bool]
    """True for the tokens to learn: what the assistant says, its end token included. As long as ``ids``."""
    shortened: bool = False
    """Whether earlier rounds of the conversation were left out, for it was too long."""

    @property
    def targets(self) -> int:
        """How many tokens are learnt; nothing stands before the first, so nothing predicts it."""
        return sum(self.labelled[1:])


def encode(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Sequence[Message],
    tools: Sequence[dict] | None = None,
    last_only: bool = False,
) -> Encoded:
    """Encode a conversation in the chat format of the tokenizer.

    If the last message is the assistant's, the result is an example to learn from; else it is a prompt that ends where
    the assistant is to speak, with nothing labelled. ``tools`` are JSON schemas of functions the model may call.

    All that the assistant says is labelled; with ``last_only``, and of some models always, only what it says at last,
    see :func:`examples_of`.
    """
    if messages[-1]["role"] != "assistant":
        ids = _template(tokenizer, messages, tools, add_generation_prompt=True)
        return Encoded(ids, [False] * len(ids))
    if messages[0]["role"] == "assistant":
        raise ModelError("a conversation to learn from must not begin with the assistant: nothing was asked yet.")
    ids = _template(tokenizer, messages, tools, add_generation_prompt=False)
    labelled = [False] * len(ids)
    end = tokenizer.eos_token_id
    first_turn = len(messages) - 1 if last_only or _only_the_last_is_learnt(tokenizer) else 0
    for turn, message in enumerate(messages):
        if message["role"] != "assistant" or turn < first_turn or not message.get("learnt", True):
            continue
        prompt = _template(tokenizer, messages[:turn], tools, add_generation_prompt=True)
        start = len(prompt)
        if ids[:start] != prompt:
            raise ModelError(
                f"the chat template of {tokenizer.name_or_path} writes a turn differently once it is answered, so "
                "training on it would not match answering; take another model."
            )
        said = _template(tokenizer, messages[: turn + 1], tools, add_generation_prompt=False)
        try:
            stop = ids.index(end, start, len(said)) + 1
        except ValueError:
            raise ModelError(
                f"the chat template of {tokenizer.name_or_path} does not end an answer with {tokenizer.eos_token!r}, "
                "so a model trained on it would never stop."
            ) from None
        if message.get("tool_calls") and stop - start == 1:
            raise ModelError(
                f"the chat template of {tokenizer.name_or_path} has no place for a call of a tool, so the model would "
                "learn an empty answer; leave such conversations out, or take a model that calls tools."
            )
        labelled[start:stop] = [True] * (stop - start)
    return Encoded(ids, labelled)


def examples_of(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Sequence[Message],
    max_length: int | None = None,
    last_only: bool = False,
) -> list[Encoded]:
    """What a conversation teaches, as few examples as can be; of plain text, its pieces.

    One example teaches all answers, but for two kinds of model, where each answer makes an example of its own. The
    prompt of ChatGLM is read in both directions, so an earlier answer would be learnt by a model that has already read
    it; and the templates of Qwen3 and others that think write an earlier answer without the empty thoughts that it was
    asked with. ``last_only`` learns the last answer alone.

    A conversation longer than ``max_length`` tokens is divided between its rounds (a question with its answer), so that
    every answer is learnt once, after as many whole rounds as fit, and nothing is cut off. What is longer still, a
    single round, comes back as it is.
    """
    if messages[0]["role"] == "text":
        return encode_text(tokenizer, messages[0]["content"], max_length)
    if last_only:
        return [_latest_rounds(tokenizer, messages, max_length, last_only)[0]]
    examples: list[Encoded] = []
    if _only_the_last_is_learnt(tokenizer):
        answers = [
            turn
            for turn, message in enumerate(messages, start=1)
            if message["role"] == "assistant" and message.get("learnt", True)
        ]
        return [_latest_rounds(tokenizer, messages[:turn], max_length, last_only)[0] for turn in answers]
    rest = messages
    while any(message["role"] == "assistant" for message in rest):
        example, begins = _latest_rounds(tokenizer, rest, max_length, last_only)
        examples[:0] = [example] if example.targets else []
        rest = rest[:begins]
    return examples


def _latest_rounds(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], max_length: int | None, last_only: bool
) -> tuple[Encoded, int]:
    """As many rounds at the end of a conversation as fit, at least one, and where the first of them begins."""
    system = list(messages[:1]) if messages[0]["role"] == "system" else []
    later = [turn for turn, message in enumerate(messages) if message["role"] == "user" and turn > len(system)]
    for begins in [len(system), *later]:
        example = encode(tokenizer, [*system, *messages[begins:]], last_only=last_only)
        if max_length is None or len(example.ids) <= max_length:
            break
    return replace(example, shortened=begins > len(system)), begins


def encode_text(tokenizer: "PreTrainedTokenizerBase", text: str, max_length: int | None = None) -> list[Encoded]:
    """Plain text for continued pre-training, in pieces of at most ``max_length`` tokens, all of them labelled.

    The end token follows the last piece alone, for nothing ends between the others. Of ChatGLM each piece is the answer
    to an empty prompt, [gMASK] <sop>, which is not labelled.
    """
    if _prompt_is_read_both_ways(tokenizer):
        before, ids = tokenizer.build_inputs_with_special_tokens([]), tokenizer.encode_text(text)  # type: ignore[attr-defined]
    else:
        ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
        begins = tokenizer("").input_ids[:1]
        before = begins if begins == [tokenizer.bos_token_id] else []
    ids = [*ids, tokenizer.eos_token_id]
    room = (max_length or sys.maxsize) - len(before)
    pieces = [ids[start : start + room] for start in range(0, len(ids), room)]
    return [Encoded([*before, *piece], [False] * len(before) + [True] * len(piece)) for piece in pieces]


def chat_format_hash(tokenizer: "PreTrainedTokenizerBase") -> str:
    """SHA-256 over all that decides how messages become ids: template, special tokens and vocabulary."""
    parts = [
        tokenizer.chat_template,
        sorted((name, str(token)) for name, token in tokenizer.special_tokens_map.items()),
        sorted(tokenizer.get_vocab().items()),
    ]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def _prompt_is_read_both_ways(tokenizer: "PreTrainedTokenizerBase") -> bool:
    return getattr(tokenizer, "bidirectional_prompt", False)  # of ChatGLMTokenizer, whose import would load torch


def _only_the_last_is_learnt(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether what the assistant said before its last answer is no text to learn, see :func:`examples_of`."""
    if _prompt_is_read_both_ways(tokenizer):
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
    try:
        ids: Any = tokenizer.apply_chat_template(
            [_stripped(message) if message["role"] == "assistant" else dict(message) for message in messages],
            tools=list(tools) if tools else None,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=False,  # Qwen3's and MiniCPM5's templates know it, others ignore it
            sanitize_control_tokens=True,
            return_dict=False,
        )
    except TemplateError as error:
        raise ModelError(f"the chat format of {tokenizer.name_or_path} cannot say this: {error}") from None
    return list(ids)


def _stripped(message: Message) -> dict[str, Any]:
    content = message.get("content")  # None where the answer is only a call of a tool
    return {**message, "content": content.strip()} if isinstance(content, str) else dict(message)
