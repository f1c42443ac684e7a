"""LARS against its paper's equation in plain numpy."""

from dataclasses import replace

import numpy as np
import torch

from alexnet.models.create import create
from alexnet.recipes import RECIPES
from alexnet.training.step import Lars, Step

TRAIN = replace(
    RECIPES["large-batch"], variant="toy", input_size=67, batch_size=8, weight_decay=0.01, trust=0.02, bias_rate=2.0
)
RATES = (0.5, 1.0, 1.0, 0.3)


def make():
    return Step(create("toy", classes=3, input_size=67, initialisation="he"), TRAIN, torch.float32)


def batch(step):
    dice = torch.Generator().manual_seed(step)
    return torch.randn(8, 3, 67, 67, generator=dice), torch.randint(0, 3, (8,), generator=dice)


def values(step):
    return {name: p.detach().numpy().astype(np.float64) for name, p in step.parameters.items()}


def test_a_step_is_the_papers_equation():
    step, velocity = make(), {}
    for number, rate in enumerate(RATES):
        before = values(step)
        step(*batch(number), number, rate)
        gradients = {name: p.grad.numpy().astype(np.float64) for name, p in step.parameters.items()}
        for name, moved in values(step).items():
            weight = name.replace("bias", "weight")
            size, slope = np.sqrt((before[weight] ** 2).sum()), np.sqrt((gradients[weight] ** 2).sum())
            local = 0.02 * size / (slope + 0.01 * size)
            own, decay = (rate, 0.01) if name == weight else (2 * rate, 0.0)
            velocity[name] = 0.9 * velocity.get(name, 0.0) + own * local * (gradients[name] + decay * before[name])
            np.testing.assert_allclose(before[name] - moved, velocity[name], rtol=1e-3, atol=1e-6, err_msg=name)


def test_the_length_of_the_gradient_does_not_matter():
    moved = []
    for factor in (1.0, 1000.0):
        weight, bias = torch.nn.Parameter(torch.tensor([3.0, 4.0])), torch.nn.Parameter(torch.zeros(1))
        weight.grad, bias.grad = factor * torch.tensor([1.0, 0.0]), torch.zeros(1)
        groups = [{"params": [weight], "weight_decay": 0.0}, {"params": [bias], "weight_decay": 0.0}]
        Lars(groups, rate=2.0, momentum=0.9, trust=0.01).step()
        moved.append(weight.detach() - torch.tensor([3.0, 4.0]))
    np.testing.assert_allclose(moved[0], [-2.0 * 0.01 * 5.0, 0.0], rtol=1e-5)
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-5)


def test_layers_of_zeros_and_without_gradient_stay_finite():
    for start, slope in ((0.0, 1.0), (1.0, 0.0), (0.0, 0.0)):
        weight, bias = torch.nn.Parameter(torch.full((2,), start)), torch.nn.Parameter(torch.zeros(1))
        weight.grad, bias.grad = torch.full((2,), slope), torch.ones(1)
        groups = [{"params": [weight], "weight_decay": 0.0}, {"params": [bias], "weight_decay": 0.0}]
        Lars(groups, rate=0.1, momentum=0.9, trust=0.01).step()
        np.testing.assert_allclose(weight.detach(), [start - 0.1 * slope] * 2)
        np.testing.assert_allclose(bias.detach(), [-0.1])


def test_a_saved_momentum_is_taken_up_bit_for_bit():
    whole, parts = make(), make()
    for number, rate in enumerate(RATES):
        whole(*batch(number), number, rate)
        parts(*batch(number), number, rate)
        resumed = make()
        resumed.model.load_state_dict(parts.model.state_dict())
        resumed.restore({name: value.contiguous() for name, value in parts.momentum().items()}, rate)
        parts = resumed
    for name, parameter in whole.parameters.items():
        assert torch.equal(parameter, parts.parameters[name]), name
