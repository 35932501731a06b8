"""The compiled loops give what unpacking the matrix gives, for any number of rows and threads."""

import pytest
import torch

from base_models import compiled_products
from base_models.chatglm.quantization_chatglm import (
    PackedLinear,
    _layout,
    _numbers_laid_out,
    _pack,
    _to_laid_out,
    quantize,
)

pytest.importorskip("numba", reason="numba, an optional part, is not installed")


def packed(bits: int, in_features: int, out_features: int) -> PackedLinear:
    layer = PackedLinear(in_features, out_features, bits)
    layer.weight, layer.weight_scale = quantize(torch.randn(out_features, in_features), bits)
    torch.nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(("in_features", "out_features"), [(64, 192), (2, 1), (30, 7)])
@pytest.mark.parametrize("rows", [1, 2, compiled_products.FEW_ROWS])
def test_equal_to_the_unpacked_matrix(bits, in_features, out_features, rows):
    layer = packed(bits, in_features, out_features)
    inputs = torch.randn(rows, in_features)
    expected = inputs @ layer.numbers(0, out_features).float().T
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            ours = compiled_products.product(inputs, layer.weight, bits)
            assert (ours - expected).abs().max() <= 1e-5 * expected.abs().max()
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_uses_them_and_has_the_gradient_of_its_matrix(bits, dtype, monkeypatch):
    monkeypatch.setattr(compiled_products, "wanted", lambda: True)
    used = []
    product = compiled_products.product
    monkeypatch.setattr(compiled_products, "product", lambda *given: used.append(len(given[0])) or product(*given))
    layer = packed(bits, 128, 64).to(dtype)
    for shape in ((1, 3, 128), (1, compiled_products.FEW_ROWS + 1, 128)):
        inputs = torch.randn(shape, dtype=dtype, requires_grad=True)
        result = layer(inputs)
        expected = torch.nn.functional.linear(inputs.float(), layer.unpacked(torch.float32), layer.bias.float())
        assert result.dtype == dtype
        assert torch.allclose(result.float(), expected, rtol=2e-2, atol=0.2 if dtype == torch.bfloat16 else 1e-3)
        result.float().square().sum().backward()
        ours, inputs.grad = inputs.grad, None
        expected.square().sum().backward()
        assert torch.nn.functional.cosine_similarity(ours.float().flatten(), inputs.grad.float().flatten(), 0) > 0.999
    assert used == [3]


def test_int4_is_unpacked_as_it_was_packed():
    numbers = torch.randint(-8, 8, (7, 30), dtype=torch.int8)
    assert torch.equal(compiled_products.unpack(_pack(numbers)), numbers.float())


@pytest.mark.skipif(not hasattr(torch, "_weight_int4pack_mm_for_cpu"), reason="this torch has no int4 product")
@pytest.mark.parametrize("in_features", [64, 320, 640])
def test_int4_is_unpacked_from_the_layout_of_torchs_product(in_features):
    numbers = torch.randint(-8, 8, (192, in_features), dtype=torch.int8)
    laid_out = _to_laid_out(_pack(numbers))
    assert torch.equal(compiled_products.unpack_laid_out(laid_out, _layout()[1]), numbers.float())
    assert torch.equal(_numbers_laid_out(laid_out), numbers), "and so without numba"


def test_what_is_not_finite_stays_so():
    layer = packed(4, 64, 8)
    inputs = torch.full((1, 64), float("nan"))
    assert compiled_products.product(inputs, layer.weight, 4).isnan().all()
