"""The compiled loops give what unpacking the matrix gives, for any number of rows and threads."""

import pytest
import torch

from base_models.kernels import compiled_loops
from base_models.kernels.int4_layouts import pack, to_torch_layout, unpack_torch_layout, unpack_torch_layout_compiled
from base_models.kernels.packed_integers import PackedLinear, quantize

pytest.importorskip("numba", reason="numba, an optional part, is not installed")


def packed(in_features: int, out_features: int, bits: int = 4) -> PackedLinear:
    layer = PackedLinear(in_features, out_features, bits)
    layer.weight, layer.weight_scale = quantize(torch.randn(out_features, in_features), bits)
    torch.nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize(("in_features", "out_features"), [(64, 192), (2, 1), (30, 7)])
@pytest.mark.parametrize("rows", [1, 2, compiled_loops.FEW_INPUTS])
def test_equal_to_the_unpacked_matrix(in_features, out_features, rows):
    layer = packed(in_features, out_features)
    inputs = torch.randn(rows, in_features)
    expected = inputs @ layer.numbers(0, out_features).float().T
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            ours = compiled_loops.int4_matmul(inputs, layer.weight)
            assert (ours - expected).abs().max() <= 1e-5 * expected.abs().max()
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int4_layers_use_them_and_every_layer_has_the_gradient_of_its_matrix(bits, dtype, monkeypatch):
    monkeypatch.setattr(compiled_loops, "are_faster", lambda: True)
    used = []
    product = compiled_loops.int4_matmul
    monkeypatch.setattr(compiled_loops, "int4_matmul", lambda *given: used.append(len(given[0])) or product(*given))
    layer = packed(128, 64, bits).to(dtype)
    for shape in ((1, 3, 128), (1, compiled_loops.FEW_INPUTS + 1, 128)):
        inputs = torch.randn(shape, dtype=dtype, requires_grad=True)
        result = layer(inputs)
        expected = torch.nn.functional.linear(inputs.float(), layer.unpacked(torch.float32), layer.bias.float())
        assert result.dtype == dtype
        assert torch.allclose(result.float(), expected, rtol=2e-2, atol=0.2 if dtype == torch.bfloat16 else 1e-3)
        result.float().square().sum().backward()
        ours, inputs.grad = inputs.grad, None
        expected.square().sum().backward()
        assert torch.nn.functional.cosine_similarity(ours.float().flatten(), inputs.grad.float().flatten(), 0) > 0.999
    assert used == ([3] if bits == 4 else [])


def test_int4_is_unpacked_as_it_was_packed():
    numbers = torch.randint(-8, 8, (7, 30), dtype=torch.int8)
    assert torch.equal(compiled_loops.unpack_int4(pack(numbers)), numbers.float())


@pytest.mark.skipif(not hasattr(torch, "_weight_int4pack_mm_for_cpu"), reason="this torch has no int4 product")
@pytest.mark.parametrize("in_features", [64, 320, 640])
def test_int4_is_unpacked_from_the_layout_of_torchs_product(in_features):
    numbers = torch.randint(-8, 8, (192, in_features), dtype=torch.int8)
    converted = to_torch_layout(pack(numbers))
    assert torch.equal(unpack_torch_layout_compiled(converted), numbers.float())
    assert torch.equal(unpack_torch_layout(converted), numbers), "and so without numba"


def test_what_is_not_finite_stays_so():
    layer = packed(64, 8)
    inputs = torch.full((1, 64), float("nan"))
    assert compiled_loops.int4_matmul(inputs, layer.weight).isnan().all()
