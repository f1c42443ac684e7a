"""Weights of few values, and a codebook that learns by the sums of its members' gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet.compression.prune import prune, weights_of
from alexnet.compression.share import VALUES, Shared, cluster, hold_values, share
from alexnet.config import PAPER
from alexnet.models.create import create
from alexnet.training.step import Step

TRAIN = replace(PAPER, variant="toy", weight_decay=0.1, batch_size=4)


@pytest.fixture
def model():
    made = create("toy", classes=3, input_size=67, initialisation="he")
    prune(made, 0.1)
    return made


def batch(seed):
    dice = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 67, 67, generator=dice), torch.randint(0, 3, (4,), generator=dice)


def test_each_weight_takes_the_nearest_value_of_its_layers_codebook(model):
    before = {name: weights.detach().clone() for name, weights in weights_of(model).items()}
    share(model)
    for name, weights in weights_of(model).items():
        kept = before[name] != 0
        assert torch.equal(weights != 0, kept)
        codebook = weights[kept].unique()
        assert len(codebook) <= VALUES[name[:-1]]
        distance = (before[name][kept][:, None] - codebook).abs()
        assert torch.allclose((before[name][kept] - weights[kept]).abs(), distance.min(1).values, atol=1e-7)


def test_clustering_ends_where_every_value_is_the_mean_of_those_nearest_to_it():
    values = np.random.default_rng(0).normal(size=3000).astype(np.float32)
    values = values[(abs(values) > 1) & (abs(values) < 2)]
    codebook = cluster(values, 16)
    assert len(codebook) == 16
    nearest = abs(values[:, None] - codebook).argmin(1)
    np.testing.assert_allclose([values[nearest == i].mean() for i in range(16)], codebook, rtol=1e-5)


@pytest.mark.parametrize("values", [[2.0], [-1.0, -1.0], [-1.0, 3.0], [1.0, 2.0, 4.0]])
def test_few_values_stand_for_themselves(values):
    assert cluster(np.array(values, np.float32), 32).tolist() == sorted(set(values))


def test_the_gradient_of_a_value_is_the_sum_over_its_members():
    dice = torch.Generator().manual_seed(0)
    weights = torch.tensor([0.0, 1.5, -2.0, 3.0])[torch.randint(0, 4, (5, 7, 3, 3), generator=dice)]
    weights = weights.contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(5, 7, 3, 3, generator=dice)
    by_hand = {-2.0: 0.0, 1.5: 0.0, 3.0: 0.0}
    for place in np.ndindex(5, 7, 3, 3):
        if weights[place]:
            by_hand[float(weights[place])] += float(gradient[place])
    np.testing.assert_allclose(Shared(weights).sums(gradient), list(by_hand.values()), rtol=1e-5)


def test_it_is_the_gradient_of_the_codebook(model):
    """Against autograd through codebook[code], a network whose weights are looked up."""
    share(model)
    images, labels = batch(0)
    layer, shared = model.fc7, Shared(model.fc7.weight)
    codebook = layer.weight.detach()[layer.weight != 0].unique().requires_grad_()
    flat = torch.zeros(layer.weight.numel()).index_copy(0, shared.places, codebook[shared.groups])
    model.eval()
    logits = torch.func.functional_call(model, {"fc7.weight": flat.view_as(layer.weight)}, images)
    torch.nn.functional.cross_entropy(logits, labels).backward()
    torch.nn.functional.cross_entropy(model(images), labels).backward()
    torch.testing.assert_close(shared.sums(layer.weight.grad).float(), codebook.grad)


def test_training_moves_values_and_parts_no_members(model):
    share(model)
    before = {name: weights.detach().clone() for name, weights in weights_of(model).items()}
    groups = hold_values(model)
    step = Step(model, TRAIN, torch.float32)
    for number in range(3):
        step(*batch(number), number, 0.05)
    for name, weights in weights_of(model).items():
        was = before[name]
        assert (weights[was == 0] == 0).all(), name
        assert (weights[was != 0] != was[was != 0]).float().mean() > 0.9, name
        groups[name].average(weights.detach())
        for value in was[was != 0].unique():
            assert len(weights[was == value].unique()) == 1, name
