"""Networks small enough to be quick: every published row with its own widths, but few units."""

from dataclasses import replace

import pytest
import torch

from alexnet.models.create import create
from alexnet.models.variants import VARIANTS


@pytest.fixture
def network(monkeypatch):
    """A function that gives a network with random weights, and its biases too."""

    def make(name, classes=10, input_size=67, hidden=48, **settings):
        if hidden:
            monkeypatch.setitem(VARIANTS, name, replace(VARIANTS[name], hidden=hidden))
        model = create(name, classes=classes, input_size=input_size, seed=1, **settings).eval()
        dice = torch.Generator().manual_seed(2)
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.data.normal_(0, 0.1, generator=dice)
        return model

    return make


@pytest.fixture
def images():
    """A function that gives a batch of preprocessed images, less the mean but not divided."""
    return lambda count, side=67: 60 * torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))


@pytest.fixture
def error():
    """A function that gives the norm of a difference over that of what is expected, both arrays."""

    def measure(found, expected):
        expected = torch.as_tensor(expected).detach()
        return float((torch.as_tensor(found) - expected).norm() / expected.norm())

    return measure
