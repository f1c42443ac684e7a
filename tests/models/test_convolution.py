"""Convolutions whose gradients are laid out anew give those of `torch.nn.Conv2d`."""

import pytest
import torch
from torch import nn

from alexnet.models import convolution
from alexnet.models.convolution import Convolution, of_weights

# images, channels, maps, window, stride, padding, groups, side
FORMS = {
    "conv1 of the paper": (2, 3, 6, 11, 4, 0, 1, 227),
    "conv1 with padding": (2, 3, 6, 11, 4, 2, 1, 224),
    "conv1 whose last pixels no window reaches": (2, 3, 6, 11, 4, 0, 1, 70),
    "a window that is no wider than its stride": (2, 3, 4, 3, 4, 0, 1, 19),
    "narrow maps": (32, 6, 8, 3, 1, 1, 1, 3),
    "narrow maps of two towers": (16, 6, 8, 3, 1, 1, 2, 5),
    "narrow maps that are smaller behind than before": (16, 4, 6, 5, 1, 1, 2, 7),
    "narrow maps without padding": (16, 4, 6, 3, 1, 0, 1, 7),
    "narrow maps, six of them": (6, 4, 6, 5, 1, 2, 1, 7),
    "narrow maps, five of them": (5, 4, 6, 5, 1, 2, 1, 7),
    "wide maps": (4, 4, 6, 5, 1, 2, 1, 13),
    "a stride in two towers": (4, 4, 6, 3, 2, 1, 2, 9),
}


@pytest.fixture(params=FORMS.values(), ids=FORMS.keys())
def form(request):
    count, channels, maps, window, stride, padding, groups, side = request.param
    torch.manual_seed(0)
    images = torch.randn(count, channels, side, side).contiguous(memory_format=torch.channels_last)
    return images, nn.Conv2d(channels, maps, window, stride, padding, groups=groups)


def test_the_gradient_of_weights_and_biases_is_that_of_autograd(form):
    images, layer = form[0].double(), form[1].double()
    maps = layer(images)
    slopes = torch.randn_like(maps)
    maps.backward(slopes)
    weights, biases = of_weights(slopes, images, layer.weight, layer.stride[0], layer.padding[0], layer.groups)
    torch.testing.assert_close(weights, layer.weight.grad, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(biases, layer.bias.grad, rtol=1e-10, atol=1e-10)


def twins(layer):
    ours = Convolution(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, groups=layer.groups
    )
    ours.load_state_dict(layer.state_dict())
    return ours, layer


def learn(layer, images, is_bf16):
    """Returns the maps and the gradients of images, weights and biases."""
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
        maps = layer(images)
    slopes = torch.linspace(-1, 1, maps.numel()).view(maps.shape).to(maps.dtype)
    maps.backward(slopes.contiguous(memory_format=torch.channels_last))
    return maps.detach(), images.grad, layer.weight.grad, layer.bias.grad


def test_training_in_bf16_gives_what_a_plain_convolution_gives_but_for_rounding(form, monkeypatch):
    """A gradient is rounded to bf16, whose steps are 2^-8 of a number at most."""
    monkeypatch.setattr("alexnet.machine.has_tiles", lambda: True)
    ours, plain = (learn(layer, form[0], is_bf16=True) for layer in twins(form[1]))
    for mine, theirs in zip(ours, plain, strict=True):
        assert mine.dtype == theirs.dtype
        torch.testing.assert_close(mine, theirs, rtol=2**-7, atol=2**-8 * float(theirs.abs().max()))


@pytest.mark.parametrize(("is_bf16", "has_tiles"), [(False, True), (True, False)])
def test_in_float32_and_without_tiles_nothing_is_laid_out_anew(form, monkeypatch, is_bf16, has_tiles):
    monkeypatch.setattr("alexnet.machine.has_tiles", lambda: has_tiles)
    monkeypatch.setattr(convolution, "of_weights", None)
    ours, plain = (learn(layer, form[0], is_bf16) for layer in twins(form[1]))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(ours, plain, strict=True))


def test_frozen_weights_and_answers_take_the_plain_way(form, monkeypatch):
    monkeypatch.setattr("alexnet.machine.has_tiles", lambda: True)
    monkeypatch.setattr(convolution, "of_weights", None)
    images, layer = form[0], twins(form[1])[0]
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            layer(images)
        layer.weight.requires_grad_(False)
        layer(images.requires_grad_()).sum().backward()
    assert images.grad is not None


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("conv1 of the paper", "fold"),
        ("narrow maps", "abreast"),
        ("wide maps", None),
        ("narrow maps, five of them", None),
    ],
)
def test_strides_are_folded_and_narrow_maps_lie_side_by_side(name, layout, monkeypatch):
    layouts = []
    for each in ("fold", "abreast"):
        real = getattr(convolution, each)
        monkeypatch.setattr(
            convolution, each, lambda *a, real=real, **k: (layouts.append(real.__name__), real(*a, **k))[1]
        )
    count, channels, maps, window, stride, padding, groups, side = FORMS[name]
    layer = nn.Conv2d(channels, maps, window, stride, padding, groups=groups)
    images = torch.zeros(count, channels, side, side)
    of_weights(layer(images).detach(), images, layer.weight, stride, padding, groups)
    assert set(layouts) == ({layout} if layout else set())


def test_maps_lie_side_by_side_with_zeros_between():
    maps = torch.tensor([[[[1.0, 2]]], [[[3, 4]]]])
    assert convolution.abreast(maps, 2, 3, before=1, after=1).tolist() == [[[[0, 1, 2, 0, 3, 4, 0, 0]]]]


def test_blocks_of_pixels_become_channels():
    """Two by two of a picture of 3 by 3, with one row and column of zeros before them."""
    picture = torch.arange(1.0, 10).view(1, 1, 3, 3)
    folded = convolution.fold(picture, stride=2, padding=1, side=2)
    assert folded.tolist() == [[[[0, 0], [0, 5]], [[0, 0], [4, 6]], [[0, 2], [0, 8]], [[1, 3], [7, 9]]]]
