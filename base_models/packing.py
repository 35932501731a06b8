"""Several examples in one row, none of which reads another: block-diagonal attention, positions from 0 in each.

    ids        a a a b b          mask   x . . . .        positions   0 1 2 0 1
                                         x x . . .
                                         x x x . .        (of ChatGLM each block is its prefix mask, and there are two
                                         . . . x .         positions a token; see chatglm/positions.py)
                                         . . . x x

Padding costs a forward pass as much as text does; a row that is full of short examples has none.
"""

from collections.abc import Sequence
from typing import Any

import torch


def packed(model: Any, rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Inputs of ``model`` for one row [1, all tokens] that holds these rows: ids, positions, and a mask of four
    dimensions in the form that the model takes."""
    from base_models.chatglm.positions import positions_of, what_tokens_read

    device = model.device
    chatglm = model.config.model_type == "chatglm"
    reads, positions = [], []
    for row in rows:
        if chatglm:
            both = positions_of(torch.tensor([row], device=device), None, model.config)
            own = what_tokens_read(None, None, both, 0, len(row), 0)
            reads.append(torch.ones(len(row), len(row), dtype=torch.bool, device=device) if own is None else own[0, 0])
            positions.append(both[0])
        else:
            reads.append(torch.ones(len(row), len(row), dtype=torch.bool, device=device).tril())
            positions.append(torch.arange(len(row), device=device))
    mask = torch.block_diag(*reads).bool()[None, None]
    hidden = torch.finfo(model.dtype).min
    return {
        "input_ids": torch.tensor([[token for row in rows for token in row]], device=device),
        "position_ids": torch.cat(positions, -1)[None],
        "attention_mask": ~mask if chatglm else torch.zeros_like(mask, dtype=model.dtype).masked_fill(~mask, hidden),
    }
