"""Training examples in the common layouts for ChatGLM-6B: ids and labels, one list each.

    [prompt …] [gMASK] <sop> [answer …] <eop>
      -100 …     -100   sop   trained … trained        first_target="sop": the released P-tuning code
      -100 …     -100  -100   trained … trained        first_target="answer": later trainers, and Lorewright

One example trains only the last answer of a conversation: attention before <sop> is bidirectional, so the model would
predict an earlier answer that it has already read (``base_models.messages.examples_of``).
"""

from collections.abc import Sequence
from typing import Literal

import torch

from base_models.chatglm.tokenization_chatglm import ChatGLMTokenizer

IGNORED = -100


def example(
    tokenizer: ChatGLMTokenizer,
    prompt: str,
    answer: str,
    max_source_length: int | None = None,
    max_target_length: int | None = None,
    first_target: Literal["sop", "answer"] = "answer",
) -> tuple[list[int], list[int]]:
    """Ids and labels of a prompt with its answer.

    The two lengths truncate prompt and answer as the released code did: they include [gMASK], and <sop> and <eop>.
    """
    source, target = tokenizer.encode_text(prompt), tokenizer.encode_text(answer)
    if max_source_length is not None:
        source = source[: max_source_length - 1]
    if max_target_length is not None:
        target = target[: max_target_length - 2]
    ids = tokenizer.build_inputs_with_special_tokens(source, target)
    first_label = len(source) + (1 if first_target == "sop" else 2)
    return ids, [IGNORED] * first_label + ids[first_label:]


def text_example(tokenizer: ChatGLMTokenizer, text: str) -> tuple[list[int], list[int]]:
    """Ids and labels of a plain text, for continued pre-training: an empty prompt with the text as its answer."""
    return example(tokenizer, "", text)


def pad(
    examples: Sequence[tuple[list[int], list[int]]], pad_token_id: int, side: Literal["left", "right"] = "right"
) -> dict[str, torch.Tensor]:
    """A batch for the model: ``input_ids``, ``attention_mask`` (0/1) and ``labels``, each [batch, longest]."""
    longest = max(len(ids) for ids, _ in examples)

    def filled(values: list[int], filler: int) -> list[int]:
        padding = [filler] * (longest - len(values))
        return padding + values if side == "left" else values + padding

    return {
        "input_ids": torch.tensor([filled(ids, pad_token_id) for ids, _ in examples]),
        "attention_mask": torch.tensor([filled([1] * len(ids), 0) for ids, _ in examples]),
        "labels": torch.tensor([filled(labels, IGNORED) for _, labels in examples]),
    }
