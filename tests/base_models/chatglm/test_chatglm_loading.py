"""The folders that people have since 2023 load, and those that cannot say why."""

import importlib.util
import json
import logging
import shutil

import pytest
import torch
from chatglm_samples import GOLDEN, packed_folder, small_model, write_released
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from base_models import ModelError, Sampling, fingerprint, generate, load, stream
from base_models.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration

QUESTION = [[{"role": "user", "content": "你好,<eop>是什么?"}], [{"role": "user", "content": "LoRA"}]]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(released, tmp_path):
    return write_released(tmp_path / "我的模型", released)


def test_a_folder_of_shards_answers_and_is_converted_once(folder, cache):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    loaded = load(folder, dtype="float32")
    assert isinstance(loaded.model, ChatGLMForConditionalGeneration)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before, "the user's folder is left alone"
    (converted,) = (cache / "models").iterdir()
    assert {file.suffix for file in converted.iterdir()} == {".safetensors", ".json", ".model"}
    written = torch.load(folder / "pytorch_model-00001-of-00003.bin", weights_only=True)
    name = next(name for name in written if "weight" in name)
    assert torch.equal(loaded.model.get_parameter(name).half(), written[name])
    answers = generate(loaded, QUESTION, Sampling(max_new_tokens=5))
    assert [answer.completion_tokens for answer in answers] == [5, 5]
    time = converted.stat().st_mtime_ns
    again = load(folder, dtype="float32")
    assert again.fingerprint == loaded.fingerprint == fingerprint(folder)
    assert converted.stat().st_mtime_ns == time
    alone = [generate(again, [question], Sampling(max_new_tokens=5))[0].text for question in QUESTION]
    assert alone == [answer.text for answer in answers]
    *pieces, last = stream(again, QUESTION[0], Sampling(max_new_tokens=5))
    assert last.text == "".join(pieces).strip() == alone[0]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_every_dtype_computes(folder, cache, dtype):
    loaded = load(folder, dtype=dtype)
    assert loaded.model.dtype == getattr(torch, dtype)
    assert generate(loaded, QUESTION, Sampling(max_new_tokens=3))[0].completion_tokens == 3


def test_it_comes_back_from_save_pretrained(folder, cache, tmp_path):
    loaded = load(folder, dtype="float32")
    loaded.model.save_pretrained(tmp_path / "saved")
    loaded.tokenizer.save_pretrained(tmp_path / "saved")
    again = load(tmp_path / "saved", dtype="float32")
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name
    assert "auto_map" not in (tmp_path / "saved" / "config.json").read_text()
    assert again.chat_format == loaded.chat_format


def test_missing_and_damaged_shards_are_named(folder, cache):
    shard = folder / "pytorch_model-00002-of-00003.bin"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"pytorch_model-00002-of-00003\.bin is damaged.*download it again"):
        load(folder)
    shard.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"pytorch_model-00002-of-00003\.bin is damaged"):
        load(folder)
    assert not list(cache.glob("models/*")), "nothing half converted stays"
    shard.unlink()
    with pytest.raises(ModelError, match=r"lacks 1 of the 3 shards.*pytorch_model-00002-of-00003\.bin"):
        load(folder)


def test_a_shard_that_would_run_code_is_refused(folder, cache, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"a": Evil()}, folder / "pytorch_model-00001-of-00003.bin")
    with pytest.raises(ModelError, match="is damaged or not a checkpoint"):
        load(folder)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_that_lacks_a_tensor_says_which(folder, cache):
    shard = folder / "pytorch_model-00001-of-00003.bin"
    tensors = torch.load(shard, weights_only=True)
    gone = next(name for name in tensors if "layers.1" in name)
    torch.save({name: value for name, value in tensors.items() if name != gone}, shard)
    with pytest.raises(ModelError, match=f"lacks 1 tensors, such as {gone}"):
        load(folder, dtype="float32")


def test_later_generations_are_told_apart(released, tmp_path):
    shutil.copytree(released, tmp_path / "two")
    config = json.loads((released / "config.json").read_text())
    config |= {"padded_vocab_size": 65024, "multi_query_attention": True, "ffn_hidden_size": 13696}
    (tmp_path / "two" / "config.json").write_text(json.dumps(config))
    (tmp_path / "two" / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="ChatGLM2 or ChatGLM3"):
        load(tmp_path / "two")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position_encoding_2d": False}, "position_encoding_2d"),
        ({"quantization_bit": 3}, "quantization_bit is 3"),
        ({"quantization_embeddings": True}, "quantization_embeddings"),
        ({"rotary_dtype": "bfloat16"}, "rotary_dtype"),
    ],
)
def test_impossible_configurations_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        ChatGLMConfig(**change)


def test_the_older_vocabulary(shared_chatglm):
    config = AutoConfig.from_pretrained(shared_chatglm / "assets" / "config.int4-branch.json")
    assert isinstance(config, ChatGLMConfig)
    assert config.vocab_size == 150528
    assert (config.mask_token_id, config.gmask_token_id) == (150000, 150001)
    assert (config.bos_token_id, config.eos_token_id) == (150004, 150005)
    assert config.quantization_bit == 4


def test_the_released_configuration(released):
    config = AutoConfig.from_pretrained(released, trust_remote_code=False)
    assert (config.num_hidden_layers, config.head_dim, config.max_position_embeddings) == (28, 128, 2048)
    with torch.device("meta"):
        model = ChatGLMForConditionalGeneration(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == 6_173_286_400


def test_a_tokenizer_of_another_vocabulary_is_refused(folder, cache):
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text())
    del config["num_image_tokens"]
    file.write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"tokenizer.*150004.*130004"):
        load(folder, dtype="float32")


@pytest.mark.parametrize("bits", [8, 4])
def test_packed_folders_load_and_stay_packed(bits, released, cache, tmp_path):
    folder = packed_folder(tmp_path, bits)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    layer = model.transformer.layers[0].mlp.dense_h_to_4h
    row = torch.randn(1, layer.in_features, dtype=torch.bfloat16)
    by_product = layer(row)
    assert layer.weight.element_size() * layer.weight.numel() == layer.in_features * layer.out_features * bits // 8
    unpacked = row.float() @ layer.unpacked(torch.float32).T + layer.bias.float()
    torch.testing.assert_close(by_product.float(), unpacked, rtol=2e-2, atol=2e-2)
    model.save_pretrained(tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.bfloat16)
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    moved = model.to(torch.float32)
    assert torch.equal(
        moved.transformer.layers[0].mlp.dense_h_to_4h.unpacked(torch.float32),
        again.float().transformer.layers[0].mlp.dense_h_to_4h.unpacked(torch.float32),
    )


def test_a_head_that_differs_from_the_embedding_is_reported(tmp_path, caplog):
    shutil.copytree(GOLDEN / "deep28", tmp_path / "untied")
    file = tmp_path / "untied" / "config.json"
    file.write_text(file.read_text().replace('"tie_word_embeddings": false', '"tie_word_embeddings": true'))
    logger = logging.getLogger("transformers")
    logger.propagate = True
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "untied")
    logger.propagate = False
    assert "different values" in caplog.text
    assert model.lm_head.weight is not model.transformer.word_embeddings.weight
    assert small_model("deep28").lm_head.weight is not model.transformer.word_embeddings.weight


def test_the_auto_classes_need_no_remote_code(folder, cache):
    load(folder, dtype="float32")
    (converted,) = (cache / "models").iterdir()
    assert "auto_map" in (converted / "config.json").read_text()
    assert isinstance(AutoModelForCausalLM.from_pretrained(converted), ChatGLMForConditionalGeneration)
    assert AutoTokenizer.from_pretrained(converted).encode("你好") == [5, 74874, 130001, 130004]


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_bitsandbytes_quantises_the_fp16_folder(released, cache, tmp_path, quantization, absent):
    if not importlib.util.find_spec("bitsandbytes"):
        absent("bitsandbytes is not installed")
    folder = write_released(tmp_path / "wide", released, hidden_size=128, inner_hidden_size=256)
    whole, packed = load(folder, dtype="float32"), load(folder, dtype="float32", quantization=quantization)
    layer = packed.model.transformer.layers[0].attention.query_key_value
    assert layer.weight.element_size() == 1
    ids = torch.tensor([[5, 74874, 130001, 130004, 5, 6]])
    with torch.no_grad():
        theirs, ours = (loaded.model(input_ids=ids).logits.flatten() for loaded in (whole, packed))
    assert torch.cosine_similarity(ours, theirs, dim=0) > 0.9
    assert generate(packed, QUESTION, Sampling(max_new_tokens=3))[0].completion_tokens == 3


def test_a_packed_folder_is_not_quantised_again(released, cache, tmp_path):
    shutil.copytree(released, tmp_path / "packed")
    packed_folder(tmp_path / "packed", 4)
    with pytest.raises(ModelError, match="already quantised to 4 bits"):
        load(tmp_path / "packed", quantization="nf4")
