"""Several examples in one row, none of which reads another: block-diagonal attention, positions from 0 in each.

    ids        a a a b b          mask   x . . . .        positions   0 1 2 0 1
                                         x x . . .
                                         x x x . .        (of ChatGLM each block is its prefix mask, and there are two
                                         . . . x .         positions a token; see chatglm/positions.py)
                                         . . . x x

Padding costs a forward pass as much as text does; a row that is full of short examples has none.

Examples that begin alike (questions about the same passages) hold that beginning once. Here b begins with the first two
tokens of a and has two of its own:

    ids        a a a b b          mask   x . . . .        positions   0 1 2 2 3
                                         x x . . .
                                         x x x . .
                                         x x . x .
                                         x x . x x

Loss and gradients are those of the examples alone. Not for ChatGLM, where the beginning reads what follows it.
"""

from collections.abc import Sequence
from typing import Any

import torch


def can_share(model: Any) -> bool:
    """Whether a token reads only what stands before it, so that rows that begin alike can hold the beginning once."""
    return bool(model.config.model_type != "chatglm")


def packed(model: Any, rows: Sequence[Sequence[int]], shared: Sequence[int] = ()) -> dict[str, torch.Tensor]:
    """Inputs of ``model`` for one row [1, all tokens] that holds these rows: ids, positions, and a mask of four
    dimensions in the form that the model takes.

    ``shared`` says of each row how many of its first ids it reads where the last row with 0 there holds them; they are
    not repeated.
    """
    from base_models.chatglm.positions import positions_of, what_tokens_read

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
            own = what_tokens_read(None, None, both, 0, len(row), 0)
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
