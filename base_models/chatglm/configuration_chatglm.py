"""The configuration of ChatGLM-6B: the keys of its released config.json, mapped to the names of transformers.

ChatGLM2 and ChatGLM3 have the model type ``chatglm`` too, but another architecture: their configurations are refused.
"""

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from base_models.errors import ModelError

OLD_VOCAB_SIZE = 150528
"""Checkpoints of March 2023 have 20,000 image tokens in front of the text tokens; every text id is shifted by them."""
IMAGE_TOKENS = 20_000

_OF_LATER_GENERATIONS = ("padded_vocab_size", "multi_query_attention", "ffn_hidden_size")


@strict
class ChatGLMConfig(PreTrainedConfig):
    """The shape of a first-generation ChatGLM; the defaults are those of ``chatglm-6b``.

    Special ids that are missing in a config.json of March 2023 are derived from its vocabulary size.
    """

    model_type = "chatglm"
    keys_to_ignore_at_inference = ["past_key_values"]
    attribute_map = {
        "num_hidden_layers": "num_layers",
        "intermediate_size": "inner_hidden_size",
        "max_position_embeddings": "max_sequence_length",
        "layer_norm_eps": "layernorm_epsilon",
    }

    vocab_size: int = 130528
    hidden_size: int = 4096
    num_layers: int = 28
    num_attention_heads: int = 32
    inner_hidden_size: int = 16384
    layernorm_epsilon: float = 1e-5
    max_sequence_length: int = 2048
    """The length of training; longer texts are accepted, as in the released code."""
    bos_token_id: int | None = None
    """``<sop>``, the start of an answer."""
    eos_token_id: int | list[int] | None = None
    """``<eop>``, the end of an answer."""
    mask_token_id: int | None = None
    gmask_token_id: int | None = None
    pad_token_id: int | None = None
    position_encoding_2d: bool = True
    alpha_num_layers: int = 28
    """Residuals are scaled by sqrt(2 * alpha_num_layers). The released code uses 28 for any num_layers, so small
    models of its layout need it too."""
    rotary_dtype: str = "float32"
    """"float16" rounds the angles as the released model did in half precision: inaccurate at large positions."""
    pre_seq_len: int | None = None
    """Length of the P-tuning v2 prefix; None for a model without one."""
    prefix_projection: bool = False
    prefix_dropout: float = 0.1
    quantization_bit: int = 0
    """8 or 4 in checkpoints whose linear layers are stored as integers, else 0."""
    quantization_embeddings: bool = False
    use_cache: bool = True
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        if later := [key for key in _OF_LATER_GENERATIONS if key in kwargs]:
            generation = "ChatGLM2 or ChatGLM3"
            raise ModelError(
                f"this config.json is of {generation} (it has {later[0]}), whose architecture is not supported; use "
                "chatglm-6b, or an instruct model that transformers supports, such as Qwen2.5 or GLM-4 in its -hf form."
            )
        if not self.position_encoding_2d:
            raise ModelError("config.json: position_encoding_2d is false, but only 2-D positions are supported.")
        if self.quantization_bit not in (0, 4, 8):
            raise ModelError(f"config.json: quantization_bit is {self.quantization_bit}; it must be 0, 4 or 8.")
        if self.quantization_embeddings:
            raise ModelError("config.json: quantization_embeddings is true, which is not supported.")
        if self.rotary_dtype not in ("float32", "float16"):
            raise ModelError(f"config.json: rotary_dtype is {self.rotary_dtype!r}; it must be float32 or float16.")
        shift = IMAGE_TOKENS if self.vocab_size == OLD_VOCAB_SIZE else 0
        released = {"mask": 130000, "gmask": 130001, "bos": 130004, "eos": 130005, "pad": 3}
        for name, number in released.items():
            if getattr(self, f"{name}_token_id") is None:
                setattr(self, f"{name}_token_id", number + shift)
        kwargs.pop("auto_map", None)  # names code of the checkpoint, which is never run
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads
