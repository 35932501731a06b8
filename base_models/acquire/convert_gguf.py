"""GGUF file -> a folder that transformers loads: bf16 safetensors, config, tokenizer with chat template, end tokens.

Reads Llama and Qwen2 files (those of the catalogue) with the `gguf` package. `gguf.quants.dequantize` converts each
tensor, which takes seconds in all where `from_pretrained(gguf_file=...)` takes a minute, and tokenizers are built as
the models' authors define them, with their own pre-tokenizers. Not supported: other architectures, mixtures of
experts, scaled rotary embeddings.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base_models.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFReader
    from transformers import PreTrainedTokenizerFast

VERSION = 1
"""Part of the fingerprint of converted models; bump when the converted folder changes."""

BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
ROOT = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}

# https://huggingface.co/Qwen/Qwen2.5-0.5B/blob/main/tokenizer.json
QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTROL_TOKEN, USER_TOKEN, UNUSED_TOKEN = 3, 4, 5  # gguf.TokenType


def convert_gguf(file: Path, folder: Path, report: Callable[[int, int], None]) -> None:
    """Write the model in ``file`` into the existing ``folder``; ``report(done, total)`` counts tensors.

    Raises :class:`ModelError` if the architecture or tokenizer is not supported.
    """
    from gguf import GGUFReader

    reader = GGUFReader(file)
    architecture = _value(reader, "general.architecture")
    if architecture not in ("llama", "qwen2"):
        raise ModelError(f"{file} is a GGUF file of architecture {architecture!r}; only llama and qwen2 are supported.")
    tokenizer = _tokenizer(reader, file)
    tied = _write_tensors(reader, folder / "model.safetensors", report)
    tokenizer.save_pretrained(folder)
    _write_configs(reader, folder, tokenizer, tied)


def _value(reader: "GGUFReader", key: str, default: Any = None) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()


def _write_tensors(reader: "GGUFReader", path: Path, report: Callable[[int, int], None]) -> bool:
    """Write all tensors in bf16; return whether the output head is the embedding (tied)."""
    import numpy as np
    import torch
    from gguf.quants import dequantize
    from safetensors.torch import save_file

    permuted = _value(reader, "general.architecture") == "llama"
    heads = _value(reader, f"{_value(reader, 'general.architecture')}.attention.head_count")
    key_heads = _value(reader, f"{_value(reader, 'general.architecture')}.attention.head_count_kv", heads)
    tensors: dict[str, torch.Tensor] = {}
    for done, tensor in enumerate(reader.tensors):
        report(done, len(reader.tensors) + 1)
        values = dequantize(tensor.data, tensor.tensor_type)
        if permuted and ".attn_q." in tensor.name:
            values = _undo_rotary_order(values, heads)
        if permuted and ".attn_k." in tensor.name:
            values = _undo_rotary_order(values, key_heads)
        tensors[_name(tensor.name)] = torch.from_numpy(np.require(values, requirements="W")).to(torch.bfloat16)
    head = tensors.get("lm_head.weight")
    tied = head is None or _same_matrix(head, tensors["model.embed_tokens.weight"])
    if head is not None and tied:
        # the file stores one matrix twice, the head in the finer format
        tensors["model.embed_tokens.weight"] = tensors.pop("lm_head.weight")
    save_file(tensors, path, metadata={"format": "pt"})
    report(len(reader.tensors) + 1, len(reader.tensors) + 1)
    return tied


def _name(gguf_name: str) -> str:
    """``blk.3.attn_q.weight`` -> ``model.layers.3.self_attn.q_proj.weight``."""
    if gguf_name.startswith("blk."):
        _, layer, module, kind = gguf_name.split(".")
        return f"model.layers.{layer}.{BLOCK[module]}.{kind}"
    module, kind = gguf_name.split(".")
    return f"{ROOT[module]}.{kind}"


def _undo_rotary_order(values: "np.ndarray", heads: int) -> "np.ndarray":
    """llama.cpp interleaves the two halves of each head's rows of Llama models; put them one after the other again."""
    half = values.shape[0] // heads // 2
    return values.reshape(heads, half, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _same_matrix(head: Any, embedding: Any) -> bool:
    """Whether two matrices [tokens, hidden] differ by quantisation only: the cosine of sampled rows is over 0.98."""
    import torch

    rows = slice(0, None, max(1, head.shape[0] // 1000))
    return torch.cosine_similarity(head[rows].float(), embedding[rows].float()).mean().item() > 0.98


def _tokenizer(reader: "GGUFReader", file: Path) -> "PreTrainedTokenizerFast":
    """The byte-level BPE tokenizer of the file, with special tokens and chat template."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    kind = (_value(reader, "tokenizer.ggml.model"), _value(reader, "tokenizer.ggml.pre"))
    if kind not in (("gpt2", "qwen2"), ("gpt2", "smollm")):
        raise ModelError(f"{file} has a tokenizer of type {kind}; only qwen2 and smollm are supported.")
    tokens, types = _value(reader, "tokenizer.ggml.tokens"), _value(reader, "tokenizer.ggml.token_type")
    added = [
        AddedToken(token, special=kind_of == CONTROL_TOKEN, normalized=False)
        for token, kind_of in zip(tokens, types, strict=True)
        if kind_of in (CONTROL_TOKEN, USER_TOKEN)
    ]
    vocabulary = {
        token: number
        for number, (token, kind_of) in enumerate(zip(tokens, types, strict=True))
        if kind_of != UNUSED_TOKEN
    }
    merges = [tuple(merge.split(" ")) for merge in _value(reader, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    if kind[1] == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
        words = pre_tokenizers.Split(Regex(QWEN2_WORDS), behavior="isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, byte_level])
    else:
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(added)

    end, pad = _end_and_pad(reader, tokens)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=tokens[end],
        pad_token=tokens[pad],
        chat_template=_value(reader, "tokenizer.chat_template"),
        model_max_length=_value(reader, f"{_value(reader, 'general.architecture')}.context_length"),
        clean_up_tokenization_spaces=False,
    )


def _end_and_pad(reader: "GGUFReader", tokens: list[str]) -> tuple[int, int]:
    """Ids of the end token and of a different token for padding.

    If both were the same, a trainer that masks padding would mask the end of the answer too.
    """
    end = _value(reader, "tokenizer.ggml.eos_token_id")
    pad = _value(reader, "tokenizer.ggml.padding_token_id", end)
    return end, pad if pad != end else tokens.index("<|endoftext|>")


def _write_configs(reader: "GGUFReader", folder: Path, tokenizer: "PreTrainedTokenizerFast", tied: bool) -> None:
    """Write config.json and generation_config.json, without sampling settings: decoding is greedy by default."""
    from transformers import GenerationConfig, LlamaConfig, Qwen2Config

    architecture = _value(reader, "general.architecture")
    heads = _value(reader, f"{architecture}.attention.head_count")
    config_class = {"llama": LlamaConfig, "qwen2": Qwen2Config}[architecture]
    config = config_class(
        vocab_size=len(_value(reader, "tokenizer.ggml.tokens")),
        hidden_size=_value(reader, f"{architecture}.embedding_length"),
        intermediate_size=_value(reader, f"{architecture}.feed_forward_length"),
        num_hidden_layers=_value(reader, f"{architecture}.block_count"),
        num_attention_heads=heads,
        num_key_value_heads=_value(reader, f"{architecture}.attention.head_count_kv", heads),
        max_position_embeddings=_value(reader, f"{architecture}.context_length"),
        rms_norm_eps=_short(_value(reader, f"{architecture}.attention.layer_norm_rms_epsilon")),
        rope_parameters={"rope_type": "default", "rope_theta": _value(reader, f"{architecture}.rope.freq_base")},
        tie_word_embeddings=tied,
        bos_token_id=_value(reader, "tokenizer.ggml.bos_token_id"),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="bfloat16",
        architectures=[{"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}[architecture]],
    )
    config.save_pretrained(folder)
    ends = sorted({tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|endoftext|>")}, reverse=True)
    generation = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=ends, pad_token_id=tokenizer.pad_token_id
    )
    generation.save_pretrained(folder)


def _short(value: float) -> float:
    """Round a float32 to the decimal it was written as: 9.99e-07 is 1e-06."""
    return float(f"{value:.6g}")
