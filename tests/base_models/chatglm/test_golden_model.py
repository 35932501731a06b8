"""The model computes what the released code computed: logits, losses, gradients, caches and greedy answers."""

import pytest
import torch
from chatglm_samples import GOLDEN, error, golden, inputs_of, meta, packed_folder, real_tokens, small_model
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from base_models.chatglm.positions import positions_of, rotary_tables
from base_models.kernels import compiled_loops
from base_models.kernels.packed_integers import PackedLinear, quantize

FORWARD = ["single_prompt", "single_labelled", "batch_left_padded", "batch_right_padded_labelled", "multi_turn"]
GENERATE = ["generate_single", "generate_batch_left_padded", "generate_multi_turn"]


@pytest.fixture(scope="module", params=["tiny3", "deep28"])
def named(request):
    return request.param, small_model(request.param)


@pytest.fixture(scope="module")
def tiny3():
    return small_model()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", [*FORWARD, "mask_middle"])
def test_forward(named, name, attention):
    folder, model = named
    case = golden(folder, name)
    real = real_tokens(case)
    model.set_attn_implementation(attention)
    ours = model(**inputs_of(case), output_hidden_states=True, use_cache=True)
    assert error(ours.logits[real], case["logits"][real]) < 1e-4
    if "loss" in case:
        assert error(ours.loss, case["loss"]) < 1e-5
    if "hidden_states" in case:
        assert error(torch.stack(ours.hidden_states)[:, real], case["hidden_states"][:, real]) < 1e-4
    if "layer0_key" in case:
        cached = ours.past_key_values.layers[0]
        for states, theirs in ((cached.keys, case["layer0_key"]), (cached.values, case["layer0_value"])):
            assert error(states.transpose(1, 2)[real], theirs.transpose(1, 2)[real]) < 1e-5


def test_attention_weights(tiny3):
    case = golden("tiny3", "single_prompt")
    tiny3.set_attn_implementation("eager")
    ours = tiny3(input_ids=case["input_ids"], output_attentions=True)
    assert error(torch.stack(ours.attentions), case["attentions"]) < 1e-5
    tiny3.set_attn_implementation("sdpa")


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients(named, checkpointing):
    folder, model = named
    case = golden(folder, "batch_right_padded_labelled")
    if checkpointing:
        model.gradient_checkpointing_enable()
        model.train()
    model.zero_grad()
    model(**inputs_of(case)).loss.backward()
    theirs = {key.removeprefix("grad."): value for key, value in case.items() if key.startswith("grad.")}
    assert len(theirs) == 5
    for name, gradient in theirs.items():
        assert error(model.get_parameter(name).grad, gradient) < 1e-4, name
    norms = meta(folder)["grad_norms"]
    for name, parameter in model.named_parameters():
        # where head and embedding are one here, the released code kept two copies and took the gradient of each
        if folder != "tiny3" or parameter is not model.lm_head.weight:
            assert parameter.grad.norm().item() == pytest.approx(norms[name], rel=1e-4), name
    model.gradient_checkpointing_disable()
    model.eval()


@pytest.mark.parametrize("name", GENERATE)
def test_greedy_answers(named, name):
    folder, model = named
    case = golden(folder, name)
    new = case["sequences"].shape[1] - case["input_ids"].shape[1]
    ours = model.generate(
        **inputs_of(case), max_new_tokens=new, do_sample=False, output_logits=True, return_dict_in_generate=True
    )
    assert ours.sequences.tolist() == case["sequences"].tolist()
    assert error(torch.stack(ours.logits, 1), case["scores"]) < 1e-4


def test_early_end(named):
    folder, model = named
    case, prompts = golden(folder, "generate_early_eos"), golden(folder, "generate_batch_left_padded")
    new = case["sequences"].shape[1] - prompts["input_ids"].shape[1]
    end = meta(folder)["generate_early_eos"]["eos_token_id"]
    ours = model.generate(**inputs_of(prompts), max_new_tokens=new, do_sample=False, eos_token_id=end)
    assert ours.tolist() == case["sequences"].tolist()


@pytest.mark.parametrize("name", ["fp32", "fp16"])
def test_rotary_tables(name):
    tables = load_file(GOLDEN / "rotary_tables.safetensors")
    positions = tables["positions"]
    dtype = torch.float32 if name == "fp32" else torch.float16
    cos, sin = rotary_tables(torch.stack([positions, positions])[None], 128, dtype)
    for ours, theirs in ((cos, tables[f"{name}.cos"]), (sin, tables[f"{name}.sin"])):
        theirs = theirs.view(len(positions), -1)[:, :32]
        for stream in (0, 1):
            assert torch.equal(ours[0, 0, :, stream], theirs) or error(ours[0, 0, :, stream], theirs.float()) < 1e-6


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_half_precision_stays_near(tiny3, dtype):
    case = golden("tiny3", "single_prompt")
    half = small_model().to(torch.float16 if dtype == "fp16" else torch.bfloat16)
    ours = half(input_ids=case["input_ids"]).logits.float()
    mean_error = (ours - case["logits"]).abs().mean()
    theirs = (golden("tiny3", f"single_prompt_{dtype}")["logits"].float() - case["logits"]).abs().mean()
    assert mean_error < 1.5 * theirs, "no further from float32 than the released code was"


def test_lora(tiny3):
    case = golden("tiny3", "lora_single_labelled")
    settings = meta("tiny3")["lora"]
    config = LoraConfig(
        task_type="CAUSAL_LM", r=settings["r"], lora_alpha=settings["lora_alpha"], target_modules=[settings["target"]]
    )
    tuned = get_peft_model(small_model(), config).eval()
    told = set_peft_model_state_dict(tuned, load_file(GOLDEN / "tiny3" / "lora_adapter.safetensors"))
    assert not told.unexpected_keys
    ours = tuned(**inputs_of(case))
    assert error(ours.logits, case["logits"]) < 1e-4
    assert error(ours.loss, case["loss"]) < 1e-5
    case = golden("tiny3", "lora_generate")
    new = case["sequences"].shape[1] - case["input_ids"].shape[1]
    ours = tuned.generate(input_ids=case["input_ids"], max_new_tokens=new, do_sample=False)
    assert ours.tolist() == case["sequences"].tolist()


@pytest.mark.parametrize("kind", ["noproj", "proj"])
def test_p_tuning(kind):
    config = AutoConfig.from_pretrained(GOLDEN / "tiny3", pre_seq_len=6, prefix_projection=kind == "proj")
    model = small_model(config=config)
    weights = load_file(GOLDEN / "tiny3" / f"prefix_encoder_{kind}.safetensors")
    model.load_state_dict(weights, strict=False)
    past = golden("tiny3", f"ptuning_{kind}")
    assert error(model.transformer.prefix_encoder(1, torch.float32)[:, :, 0], past["prefix_past"]) < 1e-6
    case = golden("tiny3", "batch_right_padded_labelled")
    ours = model(**inputs_of(case))
    assert error(ours.logits, past["logits"]) < 1e-4
    assert error(ours.loss, past["loss"]) < 1e-5
    case = golden("tiny3", "batch_left_padded")
    real = real_tokens(case)
    ours = model(**inputs_of(case)).logits[real]
    assert error(ours, golden("tiny3", f"ptuning_{kind}_left_padded")["logits"][real]) < 1e-4
    case = golden("tiny3", f"ptuning_{kind}_generate")
    new = case["sequences"].shape[1] - case["input_ids"].shape[1]
    for cache in (None, "static"):
        ours = model.generate(
            input_ids=case["input_ids"], max_new_tokens=new, do_sample=False, cache_implementation=cache
        )
        assert ours.tolist() == case["sequences"].tolist()


@pytest.mark.parametrize(("bits", "compiled"), [(8, False), (4, False), (4, True)])
def test_released_packed_checkpoints(bits, compiled, tmp_path, monkeypatch):
    if compiled:
        pytest.importorskip("numba", reason="numba, an optional part, is not installed")
    monkeypatch.setattr(compiled_loops, "are_faster", lambda: compiled)
    model = AutoModelForCausalLM.from_pretrained(packed_folder(tmp_path, bits), dtype=torch.float32).eval()
    theirs = load_file(GOLDEN / "quant" / f"cases_int{bits}.safetensors")
    for name, matrix in theirs.items():
        if name.startswith("dequant."):
            layer = model.get_submodule(f"transformer.{name.removeprefix('dequant.').removesuffix('.weight')}")
            assert isinstance(layer, PackedLinear)
            assert torch.equal(layer.unpacked(torch.float32), matrix)
    for name in ("single_prompt", "single_labelled", "batch_left_padded", "batch_right_padded_labelled"):
        case = golden("tiny3", name)
        real = real_tokens(case)
        ours = model(**inputs_of(case))
        assert error(ours.logits[real], theirs[f"{name}.logits"][real]) < 1e-4
        if f"{name}.loss" in theirs:
            assert error(ours.loss, theirs[f"{name}.loss"]) < 1e-5
    prompt = golden("tiny3", "generate_single")["input_ids"]
    ours = model.generate(input_ids=prompt, max_new_tokens=12, do_sample=False)
    assert ours.tolist() == theirs["generate_single.sequences"].tolist()


@pytest.mark.parametrize("bits", [8, 4])
def test_packing_makes_the_released_bytes(bits):
    weights = load_file(GOLDEN / "tiny3" / "model.safetensors")
    released = load_file(GOLDEN / "quant" / f"model_int{bits}.safetensors")
    scales = [name for name in released if name.endswith("weight_scale")]
    assert len(scales) == 12
    for name in scales:
        weight, scale = quantize(weights[name.removesuffix("_scale")], bits)
        assert torch.equal(weight, released[name.removesuffix("_scale")])
        assert torch.equal(scale, released[name])


def test_positions_are_the_released_tokenizers():
    case = golden("tiny3", "batch_left_padded")
    config = AutoConfig.from_pretrained(GOLDEN / "tiny3")
    assert torch.equal(positions_of(case["input_ids"], real_tokens(case), config), case["position_ids"])
