"""ChatGLM-6B as a transformers model, with today's attention and cache interfaces.

``positions.py`` has the attention mask and the positions, ``layers.py`` the layers. Not supported: flash-attention and
flex backends (the mask is not causal), tensor parallelism, compiled full graphs.
"""

from typing import Any

import torch
from torch import nn
from transformers import DynamicCache, GenerationMixin, PreTrainedModel
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_utils import slice_logits_to_keep
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from base_models.chatglm.configuration_chatglm import ChatGLMConfig
from base_models.chatglm.layers import ChatGLMAttention, ChatGLMBlock, PrefixEncoder
from base_models.chatglm.positions import (
    Row,
    build_attention_mask,
    positions_after,
    positions_of,
    rotary_tables,
    visible_columns,
)
from base_models.errors import ModelError
from base_models.kernels.packed_integers import PackedLinear


class ChatGLMPreTrainedModel(PreTrainedModel):
    config_class = ChatGLMConfig
    config: ChatGLMConfig
    base_model_prefix = "transformer"
    supports_gradient_checkpointing = True
    _no_split_modules = ["ChatGLMBlock"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True
    _keep_in_fp32_modules_strict = ["weight_scale"]
    _keys_to_ignore_on_load_unexpected = [r"rotary_emb\.inv_freq$"]  # computed, not loaded
    _can_record_outputs = {"hidden_states": ChatGLMBlock, "attentions": ChatGLMAttention}

    def _init_weights(self, module: nn.Module) -> None:
        if not isinstance(module, PackedLinear):  # packed weights start as zeros
            super()._init_weights(module)


class ChatGLMModel(ChatGLMPreTrainedModel):
    """The layers without the head."""

    def __init__(self, config: ChatGLMConfig):
        super().__init__(config)
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(ChatGLMBlock(config, index) for index in range(config.num_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)
        if config.pre_seq_len:
            self.prefix_encoder = PrefixEncoder(config)
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        return self.word_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.word_embeddings = value  # type: ignore[assignment]

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """See :class:`ChatGLMForConditionalGeneration`."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ModelError("ChatGLM needs exactly one of input_ids and inputs_embeds.")
        if inputs_embeds is None:
            inputs_embeds = self.word_embeddings(input_ids)
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        past = int(past_key_values.get_seq_length()) if past_key_values is not None else 0
        row: Row | None = getattr(past_key_values, "chatglm_row", None) if past else None
        batch, length = inputs_embeds.shape[:2]

        visible = visible_columns(input_ids, attention_mask, row, past, self.config)
        if visible is not None and visible.shape != (batch, past + length):
            raise ModelError(
                f"attention_mask has shape {list(visible.shape)}, but the batch has {batch} rows of {past + length} "
                "tokens, including the cache."
            )
        if position_ids is None:
            if row is not None:
                position_ids = positions_after(row, past, length)
            elif input_ids is None or past:
                raise ModelError(
                    "ChatGLM computes positions from the ids of the whole prompt; with inputs_embeds, or with a cache "
                    "that this model did not fill, pass position_ids [batch, 2, length]."
                )
            else:
                position_ids = positions_of(input_ids, visible, self.config)
        if past and length > 1 and (position_ids[:, 1] == 0).any():
            raise ModelError("ChatGLM attends to a prompt in both directions, so pass the whole prompt in one call.")
        if position_ids.shape != (batch, 2, length):
            raise ModelError(
                f"position_ids has shape {list(position_ids.shape)}; with two positions per token, it must be "
                f"[{batch}, 2, {length}]. If it is left out, the model computes it from the ids."
            )
        prefix = row.prefix if row else None
        if self.config.pre_seq_len and prefix is None:
            # one prefix for the whole batch, except in training, since dropout differs by row
            prefix = self.prefix_encoder(batch if self.training else 1, inputs_embeds.dtype)
        if past_key_values is not None:
            position, block = position_ids[:, 0, -1], position_ids[:, 1, -1]
            past_key_values.chatglm_row = Row(position, past + length - block, visible, prefix)  # type: ignore[attr-defined]

        columns = past + length
        if past_key_values is not None:  # a static cache also returns columns that are not written yet
            columns = past_key_values.get_mask_sizes(length, 0)[0]
        prefix_length = self.config.pre_seq_len or 0
        mask = build_attention_mask(attention_mask, visible, position_ids, past, int(columns), prefix_length)
        if prefix is not None and prefix.shape[2] != batch:
            prefix = prefix.expand(-1, -1, batch, -1, -1, -1)

        angle_dtype = getattr(torch, self.config.rotary_dtype)
        cos, sin = rotary_tables(position_ids, self.config.head_dim, angle_dtype)
        rotary = cos.to(inputs_embeds.dtype), sin.to(inputs_embeds.dtype)
        hidden_states = inputs_embeds
        for index, layer in enumerate(self.layers):
            hidden_states = layer(
                hidden_states,
                mask,
                rotary,
                prefix[index] if prefix is not None else None,
                past_key_values=past_key_values,
                **kwargs,
            )
        return BaseModelOutputWithPast(
            last_hidden_state=self.final_layernorm(hidden_states), past_key_values=past_key_values
        )


class ChatGLMForConditionalGeneration(ChatGLMPreTrainedModel, GenerationMixin):
    """ChatGLM-6B with its language-model head; the class name is that of the released code."""

    _tied_weights_keys = {"lm_head.weight": "transformer.word_embeddings.weight"}

    def __init__(self, config: ChatGLMConfig):
        super().__init__(config)
        self.transformer = ChatGLMModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """One pass over [batch, length] ids.

        ``attention_mask``: 0/1 of [batch, past + length]; or the released tokenizer's [batch, 1, length, length] where
        True *hides*; or None, which hides leading pad tokens. ``position_ids`` [batch, 2, length] are derived from the
        ids if not given. ``labels`` [batch, length] are -100 at tokens without loss; the loss is the mean cross entropy
        of each next token, in float32. ``logits_to_keep`` as in transformers: only the last logits, or those at the
        given indices.
        """
        outputs = self.transformer(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def generate(self, *args: Any, attention_mask: torch.Tensor | None = None, **kwargs: Any) -> Any:
        """As in transformers; the released tokenizer's 4-D mask is also accepted, to find the padding."""
        if attention_mask is not None and attention_mask.ndim == 4:
            attention_mask = (~attention_mask[:, 0].bool().all(1)).long()
        return super().generate(*args, attention_mask=attention_mask, **kwargs)  # type: ignore[misc]

    @staticmethod
    def create_masks_for_generate(attention_mask: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor | None:
        """The mask unchanged: the model builds its own from it, also for static caches."""
        return attention_mask

    # transformers handles position_ids of [batch, length] and [3, batch, length]; these are [batch, 2, length]

    def _prepare_position_ids_for_generation(
        self, inputs_tensor: torch.Tensor, model_kwargs: dict[str, Any]
    ) -> torch.Tensor | None:
        if inputs_tensor.is_floating_point():
            return None
        mask = model_kwargs.get("attention_mask")
        visible = visible_columns(inputs_tensor, mask, None, 0, self.config)
        return positions_of(inputs_tensor, visible, self.config)

    def _expand_inputs_for_generation(  # type: ignore[override]
        self, expand_size: int = 1, **kwargs: Any
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        positions = kwargs.pop("position_ids", None)
        ids, expanded = super()._expand_inputs_for_generation(expand_size=expand_size, **kwargs)  # type: ignore[misc]
        if positions is not None:
            expanded["position_ids"] = positions.repeat_interleave(expand_size, dim=0)
        return ids, expanded

    def _update_model_kwargs_for_generation(  # type: ignore[override]
        self, outputs: Any, model_kwargs: dict[str, Any], num_new_tokens: int = 1, **kwargs: Any
    ) -> dict[str, Any]:
        positions = model_kwargs.pop("position_ids", None)
        model_kwargs = super()._update_model_kwargs_for_generation(
            outputs, model_kwargs, num_new_tokens=num_new_tokens, **kwargs
        )
        if positions is not None:
            step = torch.tensor([[0], [1]], device=positions.device)
            new = positions[..., -1:] + step * torch.arange(1, num_new_tokens + 1, device=positions.device)
            model_kwargs["position_ids"] = torch.cat((positions, new), -1)
        return model_kwargs
