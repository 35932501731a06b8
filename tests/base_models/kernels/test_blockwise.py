"""bfloat16 weights multiplied in float32 give what bfloat16 gives; layers with trained weights are left alone."""

import copy

import psutil
import pytest
import torch
from torch import nn

from base_models import hardware, load, loading
from base_models.kernels import blockwise
from base_models.kernels.blockwise import BLOCK_ROWS, Float32MatmulLinear, multiply_in_float32


@pytest.fixture(params=[BLOCK_ROWS + 40, 96], ids=["more than a block", "less than a block"])
def layer(request: pytest.FixtureRequest) -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(64, request.param).to(torch.bfloat16).requires_grad_(False)


def in_float32(layer: nn.Linear) -> nn.Module:
    model = nn.Sequential(copy.deepcopy(layer))
    multiply_in_float32(model)
    return model[0]


@pytest.mark.parametrize("shape", [(1, 64), (3, 7, 64), (40, 64)])
def test_products_and_gradients_are_those_of_float32_rounded_once(layer: nn.Linear, shape: tuple[int, ...]) -> None:
    exact = copy.deepcopy(layer).float()
    ours = in_float32(layer)
    inputs = [torch.randn(shape).bfloat16() for _ in range(2)]
    results = []
    for module, dtype in ((exact, torch.float32), (ours, torch.bfloat16)):
        given = inputs[0].to(dtype).requires_grad_()
        output = module(given)
        output.backward(torch.ones_like(output))
        results.append((output.detach().bfloat16(), given.grad.bfloat16()))
    assert isinstance(ours, Float32MatmulLinear)
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=2**-7, atol=2**-7)


def test_a_layer_whose_weights_are_trained_gets_its_gradient(layer: nn.Linear) -> None:
    ours = in_float32(layer).requires_grad_()
    ours(torch.randn(8, 64).bfloat16()).sum().backward()
    assert all(parameter.grad is not None for parameter in ours.parameters())


def test_only_bfloat16_is_multiplied_otherwise_and_the_weights_keep_their_names(layer: nn.Linear) -> None:
    model = nn.Sequential(layer.float(), nn.Linear(4, 4).bfloat16(), nn.Embedding(4, 4).bfloat16())
    names = list(model.state_dict())
    multiply_in_float32(model)
    assert [type(part) for part in model] == [nn.Linear, Float32MatmulLinear, nn.Embedding]
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_load_chooses_by_the_processor(tiny_folder, monkeypatch, has_bfloat16: bool) -> None:
    monkeypatch.setattr(loading, "has_bfloat16", lambda: has_bfloat16)
    model = load(tiny_folder, dtype="bfloat16", device="cpu").model
    kinds = {type(part) for part in model.modules() if isinstance(part, nn.Linear)}
    assert kinds == {nn.Linear if has_bfloat16 else Float32MatmulLinear}


def test_weights_that_would_not_fit_in_float32_are_loaded_in_bfloat16(tiny_folder, monkeypatch) -> None:
    monkeypatch.setattr(hardware, "_fastest_cpu_dtype", lambda: "float32")
    assert load(tiny_folder, device="cpu").model.dtype == torch.float32
    size = sum(p.numel() for p in load(tiny_folder, device="cpu").model.parameters()) * 4
    memory = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=size))
    assert load(tiny_folder, device="cpu").model.dtype == torch.bfloat16
    assert load(tiny_folder, device="cpu", dtype="float32").model.dtype == torch.float32


def test_few_rows_are_multiplied_in_bfloat16(layer: nn.Linear, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    matmul = blockwise.matmul
    monkeypatch.setattr(blockwise, "matmul", lambda *given: (asked.append(len(given[0])), matmul(*given))[1])
    for rows in (1, blockwise.FEW_INPUTS - 1, blockwise.FEW_INPUTS, 40):
        in_float32(layer)(torch.randn(rows, 64).bfloat16())
    assert asked == [blockwise.FEW_INPUTS, 40]
