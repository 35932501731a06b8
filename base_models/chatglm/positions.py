"""Who reads whom in GLM, and where each token stands: the prefix mask, the two positions, and rotation by them.

A row of ids is   prompt … [gMASK] <sop> answer … <eop>.   With c = index of <sop> and m = index of [gMASK] (or, in a
row without one, of [MASK]), here for a prompt of three tokens, m = 3 and c = 4:

                      p p p g | s a a           position    0 1 2 3 | 3 3 3
              p       x x x x | . . .           block       0 0 0 0 | 1 2 3
              p       x x x x | . . .
              p       x x x x | . . .           The prompt reads itself in both directions, the rest reads what is
              g       x x x x | . . .           before it (GLM, arXiv:2103.10360). Half of each head is rotated by the
              sop     x x x x | x . .           position, the other half by the block position (RoPE, arXiv:2104.09864),
              a       x x x x | x x .           so the context is where the block position is 0.
              a       x x x x | x x x

The mask and the positions of decoding need no more than what :class:`Row` keeps of a prompt.
"""

from dataclasses import dataclass

import torch
from torch import nn

from base_models.chatglm.configuration_chatglm import ChatGLMConfig
from base_models.errors import ModelError


@dataclass
class Row:
    """What decoding must know of each row of a batch once its prompt lies in the cache; kept on the cache itself."""

    mask_position: torch.Tensor
    """[batch] the position that every token from <sop> on has."""
    sop_index: torch.Tensor
    """[batch] column of <sop>."""
    visible: torch.Tensor | None
    """[batch, columns so far] False at padding; None where there is none."""
    prefix: torch.Tensor | None
    """P-tuning v2 keys and values, computed once a text."""


def visible_columns(
    input_ids: torch.Tensor | None,
    attention_mask: torch.Tensor | None,
    row: Row | None,
    past: int,
    config: ChatGLMConfig,
) -> torch.Tensor | None:
    """Which columns are text and not padding, [batch, past + length]; None where all are.

    Without a mask, pad tokens at the left end are taken for padding; at the right end nobody reads them anyway.
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

    Padding on the left is not counted and has position 0, so that a row is the same alone and in a batch.
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
                f"row {row} of the batch holds no {what}, which ChatGLM needs to know where the prompt ends and the "
                "answer begins; truncation may have cut it off, or the ids may be of another vocabulary."
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
    """The same for ``length`` tokens that follow ``past`` in the cache, [batch, 2, length]."""
    index = past + torch.arange(length, device=row.sop_index.device)
    block = index[None] - row.sop_index[:, None] + 1
    return torch.stack((row.mask_position[:, None].expand_as(block), block), 1)


def what_tokens_read(
    attention_mask: torch.Tensor | None,
    visible: torch.Tensor | None,
    position_ids: torch.Tensor,
    past: int,
    columns: int,
    prefix_length: int,
) -> torch.Tensor | None:
    """What each new token reads, [batch, 1, length, prefix + columns] True where it does; None: everything."""
    length = position_ids.shape[-1]
    known = past + length
    if attention_mask is not None and attention_mask.ndim == 4:
        reads = ~attention_mask.bool()
    elif length == 1 and visible is None and columns == known:
        return None
    else:
        index = torch.arange(known, device=position_ids.device)
        reads = index[None] <= index[past:, None]
        context = nn.functional.pad(position_ids[:, 1] == 0, (past, 0))  # cached columns are read by all anyway
        reads = reads[None] | context[:, None]
        if visible is not None:
            reads = reads & visible[:, None]
        reads = reads[:, None]
    # a row of padding reads itself: with nothing to read it would be NaN, and spoil the next layer
    itself = torch.arange(known, device=reads.device) == torch.arange(past, known, device=reads.device)[:, None]
    reads = reads | (itself & ~reads.any(-1, keepdim=True))
    reads = nn.functional.pad(reads, (0, columns - known))
    return nn.functional.pad(reads, (prefix_length, 0), value=True)


def rotary_tables(
    position_ids: torch.Tensor, head_dim: int, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines, [batch, 1, length, 2, head_dim / 4]; the 2 stands for the streams of ``position_ids``.

    ``dtype`` is that of the arithmetic. Frequencies are those of the released model: rounded to half precision.
    """
    width = head_dim // 2
    frequencies = 10000 ** (-torch.arange(0, width, 2, device=position_ids.device).float() / width)
    frequencies = frequencies.half().to(dtype)
    angles = position_ids.transpose(1, 2).to(dtype)[:, None, :, :, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate [batch, heads, length, head_dim]: the first half of each head by stream 0, the second by stream 1.

    Within a half of width w, entry j turns together with entry j + w/2.
    """
    first, second = states.unflatten(-1, (2, 2, -1)).unbind(-2)
    return torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-2).flatten(-3)
