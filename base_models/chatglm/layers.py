"""The layers of ChatGLM-6B: attention, feed-forward, the block of both, and the P-tuning prefix.

Two differences from most models: the residual is the *normalised* input times alpha = sqrt(2 * 28), and the rows of
``query_key_value`` are interleaved head by head (q, k, v of head 0, then of head 1, ...).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers.cache_utils import Cache
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from base_models.chatglm.configuration_chatglm import ChatGLMConfig
from base_models.chatglm.positions import rotate
from base_models.kernels.packed_integers import PackedLinear


def eager_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention without a fused kernel, which returns its weights; for ``attn_implementation="eager"``."""
    scores = (query @ key.transpose(-1, -2)).float() * scaling
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, float("-inf"))
    weights = scores.softmax(-1).to(query.dtype)
    return (weights @ value).transpose(1, 2), weights


def _linear(config: ChatGLMConfig, in_features: int, out_features: int) -> nn.Linear:
    if config.quantization_bit:
        return PackedLinear(in_features, out_features, config.quantization_bit)
    return nn.Linear(in_features, out_features)


class ChatGLMAttention(nn.Module):
    def __init__(self, config: ChatGLMConfig, layer_idx: int):
        super().__init__()
        self.config, self.layer_idx = config, layer_idx
        self.heads, self.head_dim = config.num_attention_heads, config.head_dim
        self.is_causal = False  # attention always gets an explicit mask
        self.query_key_value = _linear(config, config.hidden_size, 3 * config.hidden_size)
        self.dense = _linear(config, config.hidden_size, config.hidden_size)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None,
        rotary: tuple[torch.Tensor, torch.Tensor],
        prefix: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        mixed = self.query_key_value(hidden_states).unflatten(-1, (self.heads, 3, self.head_dim))
        query, key, value = mixed.permute(3, 0, 2, 1, 4)
        query, key = rotate(query, *rotary), rotate(key, *rotary)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        if prefix is not None:  # prefix keys have no position and are not rotated
            key, value = (torch.cat((part, states), 2) for part, states in zip(prefix, (key, value), strict=True))
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention)
        context, weights = attend(
            self, query, key, value.contiguous(), attention_mask, scaling=self.head_dim**-0.5, dropout=0.0
        )
        return self.dense(context.flatten(2)), weights


class ChatGLMMLP(nn.Module):
    def __init__(self, config: ChatGLMConfig):
        super().__init__()
        self.dense_h_to_4h = _linear(config, config.hidden_size, config.inner_hidden_size)
        self.dense_4h_to_h = _linear(config, config.inner_hidden_size, config.hidden_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.dense_4h_to_h(nn.functional.gelu(self.dense_h_to_4h(hidden_states), approximate="tanh"))


class ChatGLMBlock(GradientCheckpointingLayer):
    def __init__(self, config: ChatGLMConfig, layer_idx: int):
        super().__init__()
        self.alpha = (2 * config.alpha_num_layers) ** 0.5
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)
        self.attention = ChatGLMAttention(config, layer_idx)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)
        self.mlp = ChatGLMMLP(config)

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        hidden_states = self.input_layernorm(hidden_states)
        attended, _ = self.attention(hidden_states, *args, **kwargs)
        hidden_states = self.post_attention_layernorm(torch.add(attended, hidden_states, alpha=self.alpha))
        return torch.add(self.mlp(hidden_states), hidden_states, alpha=self.alpha)


class PrefixEncoder(nn.Module):
    """P-tuning v2 (arXiv:2110.07602): trained keys and values before the text in every layer.

    With ``prefix_projection`` two linear layers compute them from a smaller embedding. Names and layout are those of
    the released training code, so checkpoints can be exchanged with it.
    """

    def __init__(self, config: ChatGLMConfig):
        super().__init__()
        assert config.pre_seq_len
        self.config = config
        width = 2 * config.num_layers * config.hidden_size
        self.embedding = nn.Embedding(config.pre_seq_len, config.hidden_size if config.prefix_projection else width)
        if config.prefix_projection:
            self.trans = nn.Sequential(
                nn.Linear(config.hidden_size, config.hidden_size), nn.Tanh(), nn.Linear(config.hidden_size, width)
            )
        self.dropout = nn.Dropout(config.prefix_dropout)

    def forward(self, batch: int, dtype: torch.dtype) -> torch.Tensor:
        """Keys and values of all layers, [layers, 2, batch or 1, heads, pre_seq_len, head_dim]."""
        states = self.embedding.weight
        if self.config.prefix_projection:
            states = self.trans(states)
        states = states.to(dtype).unflatten(-1, (self.config.num_layers, 2, -1, self.config.head_dim))
        states = self.dropout(states.expand(batch, *states.shape))
        return states.permute(2, 3, 0, 4, 1, 5)
