"""Packing: several examples in one row, with block-diagonal attention and positions from 0 in each.

    ids        a a a b b          mask   x . . . .        positions   0 1 2 0 1
                                         x x . . .
                                         x x x . .        (in ChatGLM each block is a prefix mask, and a token has two
                                         . . . x .         positions; see chatglm/positions.py)
                                         . . . x x

A packed row needs no padding, which costs as much computation as text.

Examples with a common prefix (questions about the same passages) can share it: the row holds it once. Here b shares the
first two tokens of a and has two of its own:

    ids        a a a b b          mask   x . . . .        positions   0 1 2 2 3
                                         x x . . .
                                         x x x . .
                                         x x . x .
                                         x x . x x

Loss and gradients equal those of the examples alone. ChatGLM cannot share a prefix: its attention in the prompt is
bidirectional.
"""

from collections.abc import Sequence
from typing import Any

import torch


def can_share(model: Any) -> bool:
    """Whether attention is causal, so that packed examples can share a common prefix."""
    return bool(model.config.model_type != "chatglm")


def packed(model: Any, rows: Sequence[Sequence[int]], shared: Sequence[int] = ()) -> dict[str, torch.Tensor]:
    """Inputs of ``model`` for one row [1, all tokens] that holds these rows: ids, positions, and a 4-D attention mask.

    ``shared`` is the number of first ids that each row shares with the last row before it whose number is 0; they are
    not repeated.
    """
    from base_models.chatglm.positions import build_attention_mask, positions_of

    device = model.device
    chatglm = model.config.model_type == "chatglm"
    shared = shared or [0] * len(rows)
    ids = [token for row, common in zip(rows, shared, strict=True) for token in row[common:]]
    reads = torch.zeros(len(ids), len(ids), dtype=torch.bool, device=device)
    positions = []
    start = head = 0
    for row, common in zip(rows, shared, strict=True):
        end = start + len(row) - common
        head = head if common else start
        if chatglm:
            both = positions_of(torch.tensor([row], device=device), None, model.config)
            own = build_attention_mask(None, None, both, 0, len(row), 0)
            reads[start:end, start:end] = True if own is None else own[0, 0]
            positions.append(both[0])
        else:
            reads[start:end, start:end] = True
            reads[start:end, start:end].tril_()
            reads[start:end, head : head + common] = True
            positions.append(torch.arange(common, len(row), device=device))
        start = end
    mask = reads[None, None]
    hidden = torch.finfo(model.dtype).min
    return {
        "input_ids": torch.tensor([ids], device=device),
        "position_ids": torch.cat(positions, -1)[None],
        "attention_mask": ~mask if chatglm else torch.zeros_like(mask, dtype=model.dtype).masked_fill(~mask, hidden),
    }
