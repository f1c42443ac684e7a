"""Smaller numbers for prediction, against the numbers they stand for."""

import pytest
import torch

from alexnet import machine, native
from alexnet.evaluation.quantise import Linear8, Linear16, prepare
from alexnet.models.create import create


@pytest.mark.parametrize("has_kernels", [True, False])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("inputs", [1, 63, 64, 65, 200])
def test_an_8_bit_layer_is_its_rounded_weights(inputs, count, has_kernels, monkeypatch):
    """One picture goes through the kernel, several through products of matrices."""
    if not has_kernels:
        monkeypatch.setattr(native, "library", lambda: None)
    dice = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(inputs, 7)
    with torch.no_grad():
        layer.weight.normal_(generator=dice)
        layer.bias.normal_(generator=dice)
    small, units = Linear8(layer), torch.randn(count, inputs, generator=dice)
    rounded = small.weight.double() * small.scale.double()[:, None]
    assert small.weight.dtype == torch.int8
    assert ((rounded - layer.weight).abs() <= 0.5001 * small.scale[:, None]).all()
    expected = units.double() @ rounded.T + layer.bias.double()
    torch.testing.assert_close(small(units).double(), expected, rtol=1e-5, atol=1e-5)


def test_every_output_has_a_scale_of_its_own():
    layer = torch.nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[127.0, -63.5], [0.127, 0.001], [-12.7, 6.35]]))
    small = Linear8(layer)
    torch.testing.assert_close(small.scale, torch.tensor([1.0, 0.001, 0.1]))
    assert small.weight.tolist() == [[127, -64], [127, 1], [-127, 64]]


def test_bf16_halves_every_weight_and_leaves_the_network_alone(monkeypatch):
    monkeypatch.setattr(machine, "has_bf16", lambda: True)
    model = create("toy", classes=3, input_size=67, initialisation="he")
    smaller, dtype = prepare(model, "auto")
    assert dtype == torch.bfloat16
    assert {parameter.dtype for parameter in smaller.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("count", [1, 3])
def test_a_bf16_layer_sums_in_float32_and_rounds_once(count):
    dice = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(4096, 7).bfloat16()
    units = torch.randn(count, 4096, generator=dice).bfloat16()
    exact = units.double() @ layer.weight.double().T + layer.bias.double()
    torch.testing.assert_close(Linear16(layer)(units).double(), exact, rtol=2**-8, atol=1e-5)


def test_one_picture_in_bf16_goes_through_a_product_with_a_vector(monkeypatch):
    monkeypatch.setattr(machine, "has_bf16", lambda: True)
    smaller, dtype = prepare(create("toy", classes=3, input_size=67, initialisation="he"), "bf16")
    products, addmv = [], torch.addmv

    def listen(bias, weight, units):
        products.append(tuple(weight.shape))
        return addmv(bias, weight, units)

    monkeypatch.setattr(torch, "addmv", listen)
    images = torch.randn(2, 3, 67, 67, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.inference_mode():
        together = smaller(images)
        assert products == []
        alone = smaller(images[:1])
    assert products == [tuple(getattr(smaller, name).weight.shape) for name in ("fc6", "fc7", "fc8")]
    torch.testing.assert_close(alone[0], together[0], rtol=2**-6, atol=2**-6)
