"""The attention mask and the positions of GLM: the prefix mask, 2-D positions, and rotary embeddings.

A row of ids is   prompt … [gMASK] <sop> answer … <eop>.   With c = index of <sop> and m = index of [gMASK] (or, in a
row without one, of [MASK]), here for a prompt of three tokens, m = 3 and c = 4:

                      p p p g | s a a           position    0 1 2 3 | 3 3 3
              p       x x x x | . . .           block       0 0 0 0 | 1 2 3
              p       x x x x | . . .
              p       x x x x | . . .           The prompt attends to itself in both directions, the rest to what
              g       x x x x | . . .           precedes it (GLM, arXiv:2103.10360). Half of each head is rotated by the
              sop     x x x x | x . .           position, the other half by the block position (RoPE, arXiv:2104.09864).
              a       x x x x | x x .           The prompt is where the block position is 0.
              a       x x x x | x x x

For decoding, mask and positions follow from what :class:`Row` stores of the prompt.
"""

from dataclasses import dataclass

import torch
from torch import nn

from base_models.chatglm.configuration_chatglm import ChatGLMConfig
from base_models.errors import ModelError


@dataclass
class Row:
    """What decoding needs of each row of a batch after its prompt is in the cache; stored on the cache object."""

    mask_position: torch.Tensor
    """[batch] position of [gMASK], which every token from <sop> on has."""
    sop_index: torch.Tensor
    """[batch] column of <sop>."""
    visible: torch.Tensor | None
    """[batch, columns so far] False at padding; None without padding."""
    prefix: torch.Tensor | None
    """P-tuning v2 keys and values, computed once per text."""


def visible_columns(
    input_ids: torch.Tensor | None,
    attention_mask: torch.Tensor | None,
    row: Row | None,
    past: int,
    config: ChatGLMConfig,
) -> torch.Tensor | None:
    """Which columns are not padding, [batch, past + length]; None if all are.

    Without a mask, leading pad tokens are padding; no token attends to trailing ones.
    """
    if attention_mask is None:
        if past:
            if row is None or row.visible is None:
                return None
            new = row.visible.new_ones(len(row.visible), input_ids.shape[1] if input_ids is not None else 1)
            return torch.cat((row.visible, new), 1)
        if input_ids is None:
            return None
        visible = torch.ne(input_ids, config.pad_token_id or 0).cumsum(1) > 0
    elif attention_mask.ndim == 4:
        visible = ~attention_mask[:, 0].bool().all(1) if not past else ~attention_mask[:, 0, -1].bool()
    else:
        visible = attention_mask.bool()
    return None if visible.all() else visible


def positions_of(input_ids: torch.Tensor, visible: torch.Tensor | None, config: ChatGLMConfig) -> torch.Tensor:
    """Position and block position of every token, [batch, 2, length], from rows that hold a mask token and <sop>.

    Left padding is not counted and has position 0, so a row has the same positions alone and in a batch.
    """
    if visible is not None:
        input_ids = input_ids.masked_fill(~visible, -1)
    length = input_ids.shape[1]
    first = {}
    for name in ("bos", "gmask", "mask"):
        found = input_ids == getattr(config, f"{name}_token_id")
        first[name] = torch.where(found.any(1), found.int().argmax(1), length)
    sop, mask = first["bos"], torch.where(first["gmask"] < length, first["gmask"], first["mask"])
    for name, token, index in (("sop", config.bos_token_id, sop), ("mask", config.gmask_token_id, mask)):
        if (index == length).any():
            row = int((index == length).int().argmax())
            what = f"<sop> (id {token})" if name == "sop" else f"[gMASK] (id {token}) or [MASK]"
            raise ModelError(
                f"row {row} of the batch has no {what}, which ChatGLM needs to find the end of the prompt; check "
                "whether it was truncated, or whether the ids are from another vocabulary."
            )
    padding = (
        torch.zeros_like(sop)
        if visible is None
        else torch.where(visible.any(1), visible.int().argmax(1), torch.zeros_like(sop))
    )
    index = torch.arange(length, device=input_ids.device)[None]
    answering = index >= sop[:, None]
    position = torch.where(answering, (mask - padding)[:, None], (index - padding[:, None]).clamp(min=0))
    block = torch.where(answering, index - sop[:, None] + 1, 0)
    return torch.stack([position, block], dim=1)


def positions_after(row: Row, past: int, length: int) -> torch.Tensor:
    """Positions of ``length`` tokens after ``past`` tokens in the cache, [batch, 2, length]."""
    index = past + torch.arange(length, device=row.sop_index.device)
    block = index[None] - row.sop_index[:, None] + 1
    return torch.stack((row.mask_position[:, None].expand_as(block), block), 1)


def build_attention_mask(
    attention_mask: torch.Tensor | None,
    visible: torch.Tensor | None,
    position_ids: torch.Tensor,
    past: int,
    columns: int,
    prefix_length: int,
) -> torch.Tensor | None:
    """The mask of each new token, [batch, 1, length, prefix + columns], True where it attends; None: everywhere."""
    length = position_ids.shape[-1]
    known = past + length
    if attention_mask is not None and attention_mask.ndim == 4:
        reads = ~attention_mask.bool()
    elif length == 1 and visible is None and columns == known:
        return None
    else:
        index = torch.arange(known, device=position_ids.device)
        reads = index[None] <= index[past:, None]
        prompt = nn.functional.pad(position_ids[:, 1] == 0, (past, 0))  # cached columns are visible anyway
        reads = reads[None] | prompt[:, None]
        if visible is not None:
            reads = reads & visible[:, None]
        reads = reads[:, None]
    # padding attends to itself: with nothing to attend to it would be NaN, also in the next layer
    itself = torch.arange(known, device=reads.device) == torch.arange(past, known, device=reads.device)[:, None]
    reads = reads | (itself & ~reads.any(-1, keepdim=True))
    reads = nn.functional.pad(reads, (0, columns - known))
    return nn.functional.pad(reads, (prefix_length, 0), value=True)


def rotary_tables(
    position_ids: torch.Tensor, head_dim: int, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines, [batch, 1, length, 2, head_dim / 4]; the 2 stands for the streams of ``position_ids``.

    ``dtype`` is that of the computation. As in the released model, frequencies are rounded to half precision.
    """
    width = head_dim // 2
    frequencies = 10000 ** (-torch.arange(0, width, 2, device=position_ids.device).float() / width)
    frequencies = frequencies.half().to(dtype)
    angles = position_ids.transpose(1, 2).to(dtype)[:, None, :, :, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate [batch, heads, length, head_dim]: the first half of each head by stream 0, the second by stream 1.

    Within a half of width w, entries j and j + w/2 form a pair.
    """
    first, second = states.unflatten(-1, (2, 2, -1)).unbind(-2)
    return torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-2).flatten(-3)
