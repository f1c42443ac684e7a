"""Max pooling by the kernel, against PyTorch's layer."""

import pytest
import torch

from alexnet import native
from alexnet.models.create import create
from alexnet.models.pool import MaxPool

LAST = torch.channels_last
NUMBERS = (torch.float32, torch.bfloat16, torch.float64)


@pytest.fixture
def calls(monkeypatch):
    """The shapes of what the kernel was given."""
    shapes, kernel = [], native.max_pool

    def listen(images, *geometry):
        shapes.append(tuple(images.shape))
        return kernel(images, *geometry)

    monkeypatch.setattr(native, "max_pool", listen)
    return shapes


@pytest.mark.skipif(native.library() is None, reason="the kernels are not built")
@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize(("window", "stride", "ceil_mode"), [(3, 2, False), (2, 2, True), (3, 2, True), (3, 1, False)])
@pytest.mark.parametrize("shape", [(2, 96, 13, 13), (1, 7, 6, 9), (3, 33, 5, 8)])
def test_the_kernel_gives_the_bits_of_pytorchs_layer(shape, window, stride, ceil_mode, dtype, calls):
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype).contiguous(memory_format=LAST)
    images[0, 1, 2, 2], images[0, 2, 2, 2], images[0, 3] = torch.inf, torch.nan, -torch.inf
    expected = torch.nn.MaxPool2d(window, stride, ceil_mode=ceil_mode)(images)
    with torch.no_grad():
        pooled = MaxPool(window, stride, ceil_mode)(images)
    assert calls == [shape]
    assert pooled.is_contiguous(memory_format=LAST)
    assert pooled.dtype == dtype
    torch.testing.assert_close(pooled, expected, rtol=0, atol=0, equal_nan=True)


def test_where_a_gradient_is_wanted_pytorch_pools(calls):
    images = torch.tensor([[[[1.0, 5, 2], [3, 4, 0], [2, 1, 6]]]], requires_grad=True)
    MaxPool(3, 2)(images.contiguous(memory_format=LAST)).sum().backward()
    assert images.grad.tolist() == [[[[0, 0, 0], [0, 0, 0], [0, 0, 1]]]]
    assert calls == []


def test_a_picture_below_the_window_is_refused_as_pytorch_does():
    with torch.no_grad(), pytest.raises(RuntimeError, match="too small"):
        MaxPool(3, 2)(torch.zeros(1, 4, 2, 2).contiguous(memory_format=LAST))


@pytest.mark.skipif(native.library() is None, reason="the kernels are not built")
def test_every_pooling_of_a_prediction_goes_through_the_kernel(calls):
    model = create("toy", classes=3, input_size=67).eval().to(memory_format=LAST)
    with torch.inference_mode():
        model(torch.zeros(2, 3, 67, 67).contiguous(memory_format=LAST))
    assert len(calls) == sum(name.startswith("pool") for name in model.order) > 0
