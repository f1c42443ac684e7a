"""The smallest weights go, and what went stays away."""

from dataclasses import replace

import pytest
import torch

from alexnet.compression.prune import KEPT, hold_zeros, prune, soften_dropout, weights_of
from alexnet.config import PAPER
from alexnet.models.create import create
from alexnet.training.step import Step

TRAIN = replace(PAPER, variant="toy", weight_decay=0.1, batch_size=4)


@pytest.fixture
def model():
    return create("toy", classes=3, input_size=67, initialisation="he")


def batch(seed):
    dice = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 67, 67, generator=dice), torch.randint(0, 3, (4,), generator=dice)


def test_each_layer_keeps_its_share_and_keeps_the_largest(model):
    before = {name: weights.detach().clone() for name, weights in weights_of(model).items()}
    prune(model, 0.07)
    for name, weights in weights_of(model).items():
        kept = weights != 0
        assert kept.sum() == round(KEPT.get(name, 0.07) * weights.numel()), name
        assert torch.equal(weights[kept], before[name][kept])
        assert before[name][kept].abs().min() >= before[name][~kept].abs().max()


def test_a_layer_of_equal_weights_still_keeps_its_share(model):
    with torch.no_grad():
        model.fc6.weight.fill_(0.5)
    prune(model, 0.1)
    assert (model.fc6.weight != 0).sum() == round(0.1 * model.fc6.weight.numel())


@pytest.mark.parametrize("name", ["alexnet", "one-weird-trick"])
def test_dropout_becomes_milder_and_the_answers_stay(name):
    """Of a network that is scaled at test time, and of one that is scaled in training and drops before its layers."""
    model = create(name, classes=3, input_size=67, initialisation="he").eval()
    images = batch(0)[0]
    before = model(images)
    soften_dropout(model, 0.04)
    torch.testing.assert_close(model(images), before, rtol=1e-4, atol=1e-5)
    assert [layer.rate for layer in model.dropouts()] == [pytest.approx(0.1)] * 2
    assert model.design.dropout == pytest.approx(0.1)


def test_training_moves_what_is_left_and_nothing_else(model):
    prune(model, 0.1)
    before = {name: weights.detach().clone() for name, weights in weights_of(model).items()}
    hold_zeros(model)
    step = Step(model, TRAIN, torch.float32)
    for number in range(3):
        step(*batch(number), number, 0.05)
    for name, weights in weights_of(model).items():
        was = before[name] != 0
        assert (weights[~was] == 0).all(), name
        assert (weights[was] != before[name][was]).float().mean() > 0.9, name
