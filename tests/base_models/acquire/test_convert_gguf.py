"""GGUF files -> folders: small files written here against their originals, and the real models that answer."""

import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf.constants import GGMLQuantizationType as Kind
from gguf.quants import quantize
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from base_models import ModelError
from base_models.acquire.convert_gguf import BLOCK, ROOT, convert_gguf

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>"]
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL = SIZES | {"num_key_value_heads": 2, "max_position_embeddings": 128, "vocab_size": 288, "rms_norm_eps": 1e-6}


def original(architecture: str) -> torch.nn.Module:
    """A small random model whose weights Q8_0 and bfloat16 hold exactly."""
    torch.manual_seed(0)
    if architecture == "llama":
        model = LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**SMALL, tie_word_embeddings=True))
    for parameter in model.parameters():
        values = torch.randint(-127, 128, parameter.shape)
        values[..., ::32] = 127  # the largest of each block, so that its scale is exact
        parameter.data = values * 2.0**-9
    return model


def write_gguf(path: Path, architecture: str, model: torch.nn.Module, head: str = "", pre: str = "") -> Path:
    """Write ``model`` as llama.cpp's converter does; ``head`` writes an output matrix too: "same" or "other"."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(128)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_block_count(2)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    alphabet = list(bytes_to_unicode().values())
    tokens = [*alphabet, "th", "the", *SPECIAL]
    tokens += [f"[PAD{number}]" for number in range(len(tokens), 288)]
    types = [1] * 258 + [3, 3, 3, 4] + [5] * (288 - 262)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre or {"llama": "smollm", "qwen2": "qwen2"}.get(architecture, "gpt-2"))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(259)
    writer.add_eos_token_id(260)
    writer.add_pad_token_id(260 if architecture == "llama" else 258)
    writer.add_chat_template(TEMPLATE)
    names = {value: key for key, value in (BLOCK | ROOT).items()}
    state = {key: value.numpy() for key, value in model.state_dict().items() if key != "lm_head.weight"}
    if head:
        embedding = state["model.embed_tokens.weight"]
        state["lm_head.weight"] = embedding if head == "same" else embedding[::-1].copy()
    for key, values in state.items():
        module, _, kind = key.rpartition(".")
        layer = module.removeprefix("model.layers.").partition(".")
        name = f"blk.{layer[0]}.{names[layer[2]]}.{kind}" if layer[2] in names else f"{names[module]}.{kind}"
        if architecture == "llama" and (".attn_q." in name or ".attn_k." in name):
            heads = 4 if ".attn_q." in name else 2
            values = values.reshape(heads, 2, -1, 64).swapaxes(1, 2).reshape(values.shape)
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            coarse = Kind.Q5_0 if head == "same" and name == "token_embd.weight" else Kind.Q8_0
            writer.add_tensor(name, quantize(np.ascontiguousarray(values), coarse), raw_dtype=coarse)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def convert(file: Path, folder: Path) -> list[tuple[int, int]]:
    folder.mkdir()
    reports: list[tuple[int, int]] = []
    convert_gguf(file, folder, lambda done, total: reports.append((done, total)))
    return reports


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("head", ["", "same"])
def test_a_converted_model_computes_what_the_original_did(architecture: str, head: str, tmp_path: Path) -> None:
    model = original(architecture)
    reports = convert(write_gguf(tmp_path / "m.gguf", architecture, model, head), tmp_path / "m")
    converted = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    ids = torch.arange(40).reshape(2, 20)
    torch.testing.assert_close(converted(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-4)
    assert converted.config.tie_word_embeddings
    assert converted.num_parameters() == model.num_parameters()
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "m").dtype == torch.bfloat16
    assert reports == sorted(reports)
    assert reports[-1][0] == reports[-1][1] > 20


def test_a_head_of_its_own_stays_apart(tmp_path: Path) -> None:
    convert(write_gguf(tmp_path / "m.gguf", "qwen2", original("qwen2"), head="other"), tmp_path / "m")
    converted = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    assert not converted.config.tie_word_embeddings
    assert torch.equal(converted.lm_head.weight, converted.model.embed_tokens.weight.flip(0))


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_end_token_padding_and_chat_template_are_right(architecture: str, tmp_path: Path) -> None:
    convert(write_gguf(tmp_path / "m.gguf", architecture, original(architecture)), tmp_path / "m")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "m")
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert json.loads((tmp_path / "m" / "generation_config.json").read_text())["eos_token_id"] == [260, 258]
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "the 茶 12"}], return_dict=False)
    assert ids[0] == 259
    assert ids[-2] == 260
    assert 257 in ids  # "the" by its merges
    text = "the 茶\n\n 12 <tool_call> é"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
    assert len(tokenizer) == 262


def test_what_cannot_be_converted_is_named(tmp_path: Path) -> None:
    model = original("llama")
    with pytest.raises(ModelError, match="architecture 'gpt2'; only llama and qwen2"):
        convert(write_gguf(tmp_path / "a.gguf", "gpt2", model), tmp_path / "a")
    with pytest.raises(ModelError, match=r"tokenizer of type .*falcon.*only qwen2 and smollm"):
        convert(write_gguf(tmp_path / "b.gguf", "llama", model, pre="falcon"), tmp_path / "b")


@pytest.mark.parametrize(
    ("name", "question", "answer", "tokens"),
    [
        ("smollm2-135m-instruct", "What is the capital of France?", "Paris", [19556, 216, 33, 34, 35]),
        ("qwen2.5-coder-0.5b-instruct", "法国的首都是哪里?", "巴黎", [9707, 220, 16, 17, 18]),
    ],
    ids=["smollm2", "qwen"],
)
def test_the_real_models_answer_and_stop(
    name: str, question: str, answer: str, tokens: list[int], real_model: Callable[[str], Path]
) -> None:
    folder = real_model(name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer("Hello 123").input_ids == tokens
    model = AutoModelForCausalLM.from_pretrained(folder)
    messages = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    ids = model.generate(**prompt, max_new_tokens=24)[0, prompt["input_ids"].shape[1] :]
    assert answer in tokenizer.decode(ids)
    assert ids[-1] == tokenizer.eos_token_id


def test_the_catalogue_counts_the_parameters_right(real_model: Callable[[str], Path]) -> None:
    from safetensors import safe_open

    from base_models import find

    for name in ("smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct", "multilingual-e5-small", "all-minilm-l6-v2"):
        with safe_open(real_model(name) / "model.safetensors", "pt") as file:
            shapes = [file.get_slice(key).get_shape() for key in file.keys() if key != "embeddings.position_ids"]  # noqa: SIM118
        assert sum(int(np.prod(shape)) for shape in shapes) == find(name).parameters, name
