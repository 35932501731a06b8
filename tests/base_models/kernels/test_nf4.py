"""Compiled nf4 layers give what bitsandbytes gives: products, gradients, and a LoRA that learns through them."""

import copy

import pytest
import torch
from torch import nn

from base_models import load
from base_models.kernels import compiled_loops

pytest.importorskip("numba", reason="numba, an optional part, is not installed")
bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes, an optional part, is not installed")

from base_models.kernels.nf4 import CompiledLinear4bit, use_compiled_loops  # noqa: E402 - needs bitsandbytes


@pytest.fixture
def loops_are_faster(monkeypatch):
    monkeypatch.setattr(compiled_loops, "are_faster", lambda: True)


def layers(in_features: int, out_features: int, double: bool) -> tuple[nn.Module, nn.Module]:
    """The same nf4 layer, bitsandbytes' and ours."""
    torch.manual_seed(1)
    made = bitsandbytes.nn.Linear4bit(
        in_features, out_features, compute_dtype=torch.float32, quant_type="nf4", compress_statistics=double
    ).to("cpu")
    ours = nn.Sequential(copy.deepcopy(made))
    use_compiled_loops(ours)
    return made, ours[0]


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("shape", [(1, 128), (2, 3, 128), (40, 128)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_and_gradients_are_those_of_bitsandbytes(loops_are_faster, double, shape, dtype):
    theirs, ours = layers(128, 600, double)
    assert type(ours) is CompiledLinear4bit
    inputs, weights = torch.randn(shape).to(dtype), torch.randn(*shape[:-1], 600)
    results = []
    for layer in (theirs, ours):
        given = inputs.clone().requires_grad_()
        output = layer(given)
        assert output.dtype == dtype
        (output.float() * weights).sum().backward()
        results.append((output.detach().float(), given.grad.float()))
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    for expected, got in zip(*results, strict=True):
        assert (got - expected).abs().max() <= tolerance * expected.abs().max()


def test_blocks_that_go_over_rows_stay_with_bitsandbytes(loops_are_faster):
    assert type(layers(96, 8, True)[1]) is bitsandbytes.nn.Linear4bit


def test_a_loaded_model_answers_and_learns_alike(loops_are_faster, tiny_folder, monkeypatch):
    from peft import LoraConfig, get_peft_model

    ids = torch.arange(5, 45)[None]
    results = []
    for compiled in (False, True):
        monkeypatch.setattr(compiled_loops, "are_faster", lambda compiled=compiled: compiled)
        model = load(tiny_folder, quantization="nf4", dtype="float32", device="cpu").model
        assert any(type(part) is CompiledLinear4bit for part in model.modules()) == compiled
        torch.manual_seed(0)
        tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], lora_dropout=0))
        tuned.train()  # answering, bitsandbytes rounds to bfloat16 where the processor has it
        output = tuned(input_ids=ids, labels=ids)
        output.loss.backward()
        learnt = [p.grad for name, p in tuned.named_parameters() if "lora_B" in name]
        results.append([output.logits.detach(), *learnt])
    for expected, got in zip(*results, strict=True):
        assert expected.any()
        assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()
