"""Examples, prefixes and adapters: the layouts of 2023 are read and written, and nothing learns what it has read."""

import json

import pytest
import torch
from chatglm_samples import GOLDEN, error, golden, inputs_of, small_model, write_released
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from base_models import ModelError, load
from base_models.adapter_manifest import read_manifest
from base_models.adopt import adopt_adapter
from base_models.chatglm.adapters_of_2023 import (
    add_prefix,
    convert_merged_linear,
    load_prefix,
    remove_prefix,
    save_prefix,
)
from base_models.chatglm.training_layouts import example, pad, text_example
from base_models.messages import encode, examples_of

CONVERSATION = [
    {"role": "user", "content": "什么是 LoRA?"},
    {"role": "assistant", "content": "低秩适配。"},
    {"role": "user", "content": "它训练什么?"},
    {"role": "assistant", "content": "两个小矩阵 A 和 B。"},
]


@pytest.fixture(scope="module")
def golden_tokenizer(shared_chatglm):
    return json.loads((shared_chatglm / "golden" / "tokenizer.json").read_text(encoding="utf-8"))


def test_the_released_layout(tokenizer, golden_tokenizer):
    for pair in golden_tokenizer["pairs"]:
        ids, labels = example(tokenizer, pair["a"], pair["b"], first_target="sop")
        assert (ids, labels) == (pair["input_ids"], pair["labels"])
    case = golden_tokenizer["ptuning_example"]
    cut = example(
        tokenizer, case["prompt"], case["response"], case["max_source_length"], case["max_target_length"], "sop"
    )
    assert list(cut) == [case["input_ids"], case["labels"]]


def test_the_later_layout_learns_from_the_first_token_of_the_answer(tokenizer):
    ids, labels = example(tokenizer, "问题", "答案")
    sop = ids.index(tokenizer.bos_token_id)
    assert labels == [-100] * (sop + 1) + ids[sop + 1 :]
    ids, labels = text_example(tokenizer, "一段文字")
    assert ids[:2] == [tokenizer.gmask_token_id, tokenizer.bos_token_id]
    assert labels[2:] == [*tokenizer.encode_text("一段文字"), tokenizer.eos_token_id]


def test_a_conversation_makes_one_example_for_each_answer(tokenizer):
    first, second = examples_of(tokenizer, CONVERSATION)
    assert first == encode(tokenizer, CONVERSATION[:2])
    assert second.ids[: second.labelled.index(True)] == encode(tokenizer, CONVERSATION[:3]).ids
    assert tokenizer.decode([number for number, learn in zip(second.ids, second.labelled, strict=True) if learn]) == (
        "两个小矩阵 A 和 B。"
    )


def test_a_long_conversation_leaves_out_earlier_rounds_of_each_example(tokenizer):
    longest = len(encode(tokenizer, CONVERSATION).ids)
    first, second = examples_of(tokenizer, CONVERSATION, longest - 1)
    assert first == encode(tokenizer, CONVERSATION[:2])
    assert (second.ids, second.shortened) == (encode(tokenizer, CONVERSATION[2:]).ids, True)
    (last,) = examples_of(tokenizer, CONVERSATION, last_only=True)
    assert last == encode(tokenizer, CONVERSATION)


@pytest.mark.parametrize("max_length", [None, 8])
def test_plain_text_answers_an_empty_prompt(tokenizer, max_length):
    text = "一段文字。<eop> It is long.\n" * 3
    pieces = examples_of(tokenizer, [{"role": "text", "content": text}], max_length)
    begin = [tokenizer.gmask_token_id, tokenizer.bos_token_id]
    assert all(piece.ids[:2] == begin and piece.labelled[:2] == [False, False] for piece in pieces)
    assert all(all(piece.labelled[2:]) and len(piece.ids) <= (max_length or 10**6) for piece in pieces)
    assert [token for piece in pieces for token in piece.ids[2:]] == text_example(tokenizer, text)[0][2:]


@pytest.fixture(scope="module")
def small_folder(released, tmp_path_factory):
    return write_released(tmp_path_factory.mktemp("small") / "chatglm", released)


@pytest.fixture(scope="module")
def small(small_folder):
    return load(small_folder, dtype="float32")


@torch.no_grad()
def test_no_prediction_reads_its_own_label(tokenizer, small):
    """Changing a label changes no prediction of it or before it. One example for all answers would fail here."""
    for encoded in examples_of(tokenizer, CONVERSATION):
        ids = torch.tensor([encoded.ids])
        before = small.model(input_ids=ids).logits[0]
        for place in [place for place, learn in enumerate(encoded.labelled) if learn][:-1]:
            changed = ids.clone()
            changed[0, place] = 5000
            after = small.model(input_ids=changed).logits[0]
            torch.testing.assert_close(after[place - 1], before[place - 1])
            assert not torch.equal(after[place], before[place])
    # that one example is what a causal model gets: the first answer lies in the prefix, where it is read by all
    whole = encode(tokenizer, CONVERSATION).ids
    place = whole.index(tokenizer.encode_text(CONVERSATION[1]["content"])[-1])
    ids = torch.tensor([whole])
    changed = ids.clone()
    changed[0, place] = 5000
    differs = (small.model(input_ids=ids).logits != small.model(input_ids=changed).logits)[0, place - 1].any()
    assert differs


@pytest.mark.parametrize("first_target", ["sop", "answer"])
def test_the_side_of_the_padding_changes_no_loss(tokenizer, small, first_target):
    examples = [
        example(tokenizer, "短", "好", first_target=first_target),
        example(tokenizer, "长一些的问题是什么", "一个长一些的答案", first_target=first_target),
    ]
    losses = {side: small.model(**pad(examples, tokenizer.pad_token_id, side)).loss for side in ("left", "right")}
    torch.testing.assert_close(losses["left"], losses["right"])
    alone = [small.model(**pad([one], tokenizer.pad_token_id)).loss for one in examples]
    counts = [sum(label != -100 for label in labels) for _, labels in examples]
    mean = sum(loss * count for loss, count in zip(alone, counts, strict=True)) / sum(counts)
    torch.testing.assert_close(losses["left"], mean)


@pytest.mark.parametrize("projection", [False, True])
def test_a_prefix_learns_and_is_read_and_written_in_the_old_layout(projection, tmp_path):
    model = small_model()
    case = golden("tiny3", "batch_right_padded_labelled")
    torch.manual_seed(0)
    add_prefix(model, 6, projection)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert all(name.startswith("transformer.prefix_encoder.") for name in trained)
    assert len(trained) == (5 if projection else 1)
    optimizer = torch.optim.Adam(model.transformer.prefix_encoder.parameters(), lr=1e-2)
    model.train()
    losses = []
    for _ in range(20):
        loss = model(**inputs_of(case)).loss
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.9 * losses[0]
    model.eval()
    expected = model(**inputs_of(case)).logits
    for for_old_code, file in ((False, "model.safetensors"), (True, "pytorch_model.bin")):
        folder = tmp_path / file
        folder.mkdir()
        save_prefix(model, folder, for_old_code)
        assert sorted(path.name for path in folder.iterdir()) == ["config.json", file]
        again = small_model()
        bare = again(**inputs_of(case)).logits
        load_prefix(again, folder)
        assert again.config.prefix_projection is projection
        torch.testing.assert_close(again(**inputs_of(case)).logits, expected)
        remove_prefix(again)
        assert torch.equal(again(**inputs_of(case)).logits, bare)
    old = torch.load(tmp_path / "pytorch_model.bin" / "pytorch_model.bin", weights_only=True)
    theirs = load_file(GOLDEN / "tiny3" / f"prefix_encoder_{'proj' if projection else 'noproj'}.safetensors")
    assert {name: value.shape for name, value in old.items()} == {name: value.shape for name, value in theirs.items()}


def test_a_released_prefix_checkpoint_loads_from_a_half_precision_model(tmp_path):
    torch.save(load_file(GOLDEN / "tiny3" / "prefix_encoder_noproj.safetensors"), tmp_path / "pytorch_model.bin")
    model = small_model().bfloat16()
    load_prefix(model, tmp_path)
    assert model.transformer.prefix_encoder.embedding.weight.dtype == torch.float32
    case = golden("tiny3", "batch_right_padded_labelled")
    assert error(model(**inputs_of(case)).loss, golden("tiny3", "ptuning_noproj")["loss"]) < 0.05


def test_a_prefix_of_another_model_is_refused(tmp_path):
    save_file({"transformer.prefix_encoder.embedding.weight": torch.zeros(6, 10)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="width 10, but this model needs 384"):
        load_prefix(small_model(), tmp_path)
    save_file({"other": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"has no P-tuning v2 prefix"):
        load_prefix(small_model(), tmp_path)


def test_an_adapter_of_the_first_peft_computes_the_same_today(tmp_path):
    """``MergedLinear`` of peft 0.2 for one target, written out, beside the adapter it becomes."""
    model = small_model()
    r, alpha, out = 3, 12, 192
    torch.manual_seed(1)
    adapter, name = {}, "base_model.model.transformer.layers.{}.attention.query_key_value.lora_{}.weight"
    for layer in range(3):
        adapter[name.format(layer, "A")] = torch.randn(2 * r, 64) / 8
        adapter[name.format(layer, "B")] = torch.randn(2 * out // 3, r, 1) / 2
    old_config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": r,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "target_modules": ["query_key_value"],
        "enable_lora": [True, False, True],
        "merge_weights": False,
        "bias": "none",
        "fan_in_fan_out": False,
    }
    ids = golden("tiny3", "single_prompt")["input_ids"]

    def merged_linear(layer):
        down, up = adapter[name.format(layer, "A")].clone(), adapter[name.format(layer, "B")].clone()

        def add(module, inputs, output):
            after = torch.nn.functional.conv1d((inputs[0] @ down.T).transpose(1, 2), up, groups=2).transpose(1, 2)
            first, last = after.split(out // 3, dim=-1)
            return output + torch.cat((first, torch.zeros_like(first), last), -1) * alpha / r

        return add

    hooks = [
        block.attention.query_key_value.register_forward_hook(merged_linear(layer))
        for layer, block in enumerate(model.transformer.layers)
    ]
    expected = model(input_ids=ids).logits
    for hook in hooks:
        hook.remove()
    new_config = convert_merged_linear(adapter, old_config)
    (tmp_path / "adapter_config.json").write_text(json.dumps(new_config))
    save_file(adapter, tmp_path / "adapter_model.safetensors")
    ours = PeftModel.from_pretrained(model, tmp_path).eval()(input_ids=ids).logits
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(ours, small_model()(input_ids=ids).logits)


def test_a_first_peft_adapter_that_does_not_say_its_thirds_is_refused():
    with pytest.raises(ModelError, match="enable_lora"):
        convert_merged_linear({"a.lora_B.weight": torch.zeros(4, 2, 1)}, {"r": 2, "lora_alpha": 4})


@pytest.mark.parametrize("bits", [8, 4])
def test_lora_learns_on_packed_weights(bits, tmp_path):
    from chatglm_samples import packed_folder
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(packed_folder(tmp_path, bits), dtype=torch.float32)
    case = golden("tiny3", "batch_right_padded_labelled")
    targets = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=targets))
    tuned.enable_input_require_grads()
    tuned.gradient_checkpointing_enable()
    tuned.train()
    optimizer = torch.optim.Adam([p for p in tuned.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(8):
        loss = tuned(**inputs_of(case)).loss
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.9 * losses[0]


def test_an_adapter_made_elsewhere_is_adopted(small_folder, tmp_path):
    """Plain peft trains on the plain model, as another program would; then our loader answers with it."""
    plain = load(small_folder, dtype="float32").model
    ids = torch.tensor([[5, 74874, 130001, 130004, 5, 74874]])
    tuned = get_peft_model(plain, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=["dense"]))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    expected = tuned.eval()(input_ids=ids).logits
    tuned.save_pretrained(tmp_path / "theirs")
    base = load(small_folder, dtype="float32")
    adopt_adapter(tmp_path / "theirs", tmp_path / "ours", base)
    with base.using(tmp_path / "ours") as model:
        torch.testing.assert_close(model(input_ids=ids).logits, expected)
    assert "vouches" in read_manifest(tmp_path / "ours")["adopted"]


def test_what_cannot_be_adopted_says_why(small, tmp_path):
    def refused(message: str) -> None:
        with pytest.raises(ModelError, match=message):
            adopt_adapter(tmp_path / "theirs", tmp_path / "ours", small)
        assert not (tmp_path / "ours").exists()

    (tmp_path / "theirs").mkdir()
    refused("no adapter_config.json")
    config = tmp_path / "theirs" / "adapter_config.json"
    config.write_text("{")
    refused("is damaged")
    config.write_text('{"peft_type": "PREFIX_TUNING"}')
    refused("only LORA adapters can be adopted")
    config.write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["dense"]}))
    refused("neither adapter_model.safetensors nor adapter_model.bin")
    name = "base_model.model.transformer.layers.{}.attention.dense.lora_{}.weight"
    wrong = {name.format(0, "A"): torch.ones(2, 7), name.format(0, "B"): torch.ones(7, 2)}
    save_file(wrong, tmp_path / "theirs" / "adapter_model.safetensors")
    refused("does not fit")
