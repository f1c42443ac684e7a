"""One update of the weights, against the paper's rule written by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from alexnet import native
from alexnet.config import PAPER
from alexnet.models.create import create
from alexnet.recipes import MODERN
from alexnet.training.step import Step, dead_units

BASE = replace(PAPER, variant="toy", input_size=67, initialisation="he", batch_size=8, weight_decay=0.01)


def make(train, dtype=torch.float32):
    model = create(
        "toy", classes=3, input_size=67, initialisation=train.initialisation, dropout=train.dropout, seed=train.seed
    )
    return Step(model, train, dtype)


def batch(step, count=8):
    """Pictures whose mean colour tells their class."""
    dice = torch.Generator().manual_seed(step)
    labels = torch.randint(0, 3, (count,), generator=dice)
    images = torch.randn(count, 3, 67, 67, generator=dice)
    images[torch.arange(count), labels] += 1
    return images.contiguous(memory_format=torch.channels_last), labels


def snapshot(step):
    return {name: p.detach().numpy().astype(np.float64) for name, p in step.parameters.items()}


RATES = (0.01, 0.01, 0.001, 0.001, 0.0001)


@pytest.mark.parametrize(("bias_rate", "bias_decay"), [(1.0, False), (2.0, False), (1.0, True)])
def test_the_papers_rule_keeps_the_rate_inside_the_momentum(bias_rate, bias_decay):
    """v <- 0.9 v - decay rate w - rate g; w <- w + v, over two drops of the rate."""
    step = make(replace(BASE, bias_rate=bias_rate, bias_decay=bias_decay))
    velocity = dict.fromkeys(step.parameters, 0.0)
    for number, rate in enumerate(RATES):
        before = snapshot(step)
        step(*batch(number), number, rate)
        after = snapshot(step)
        for name, parameter in step.parameters.items():
            is_bias = name.endswith("bias")
            own = rate * (bias_rate if is_bias else 1)
            decay = 0.01 if bias_decay or not is_bias else 0
            gradient = parameter.grad.numpy().astype(np.float64)
            velocity[name] = 0.9 * velocity[name] - decay * own * before[name] - own * gradient
            np.testing.assert_allclose(after[name] - before[name], velocity[name], rtol=1e-3, atol=2e-7)


def test_other_schedules_keep_the_rate_outside_as_torch_does():
    step = make(replace(BASE, schedule="constant"))
    velocity = dict.fromkeys(step.parameters, 0.0)
    for number, rate in enumerate(RATES):
        before = snapshot(step)
        step(*batch(number), number, rate)
        for name, parameter in step.parameters.items():
            decay = 0 if name.endswith("bias") else 0.01
            velocity[name] = 0.9 * velocity[name] + decay * before[name] + parameter.grad.numpy()
            moved = snapshot(step)[name] - before[name]
            np.testing.assert_allclose(moved, -rate * velocity[name], rtol=1e-3, atol=2e-7)


def test_the_loss_is_the_mean_cross_entropy_before_the_update():
    step = make(replace(BASE, dropout=0.0, label_smoothing=0.1))
    images, labels = batch(0)
    expected = F.cross_entropy(step.model(images), labels, label_smoothing=0.1).item()
    assert step(images, labels, 0, 0.01)[0] == pytest.approx(expected, rel=1e-5)


def test_dropout_is_drawn_for_the_step_and_the_layer():
    step = make(BASE)
    images, labels = batch(0)
    losses, masks = {}, []
    for number in (3, 4, 3):
        losses.setdefault(number, []).append(step(images, labels, number, 0.0))
        masks.append([layer.train()(torch.ones(8, 32)) for layer in step.model.dropouts()])
    assert losses[3][0] == losses[3][1] != losses[4][0]
    assert torch.equal(masks[0][0], masks[2][0])
    assert not torch.equal(masks[0][0], masks[1][0])
    assert not torch.equal(masks[0][0], masks[0][1])


def test_momentum_is_empty_at_first_and_can_be_taken_up_again():
    train = replace(BASE, schedule="plateau")
    whole, parts = make(train), make(train)
    assert whole.momentum() == {}
    for number, rate in enumerate(RATES):
        whole(*batch(number), number, rate)
        parts(*batch(number), number, rate)
        resumed = make(train)
        resumed.model.load_state_dict(parts.model.state_dict())
        resumed.restore({name: value.contiguous() for name, value in parts.momentum().items()}, rate)
        parts = resumed
    for name, parameter in whole.parameters.items():
        assert torch.equal(parameter, parts.parameters[name]), name


def reference_losses(steps, train, monkeypatch):
    """The plain path: float32, contiguous, no kernels, torch's own optimiser."""
    with monkeypatch.context() as patch:
        patch.setattr(native, "library", lambda: None)
        model = create("toy", classes=3, input_size=67, initialisation="he", dropout=0.0).train()
        groups = [
            {"params": [p], "weight_decay": 0.0 if name.endswith("bias") else train.weight_decay}
            for name, p in model.named_parameters()
        ]
        optimiser = torch.optim.SGD(groups, lr=0.0005, momentum=0.9)
        losses = []
        for number in range(steps):
            images, labels = batch(number)
            optimiser.zero_grad()
            loss = F.cross_entropy(model(images.contiguous()), labels)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses


@pytest.mark.parametrize(
    ("precision_", "steps", "mean_tolerance"),
    [
        pytest.param("float32", 25, 1e-5, id="float32"),
        pytest.param("float32", 200, 1e-5, id="float32 over 200 steps", marks=pytest.mark.slow),
        pytest.param("bf16", 25, 0.02, id="bf16"),
        pytest.param("bf16", 200, 0.02, id="bf16 over 200 steps", marks=pytest.mark.slow),
    ],
)
def test_the_fast_path_follows_the_reference_path(precision_, steps, mean_tolerance, monkeypatch):
    """The mean distance of the two loss curves stays below the tolerance (nats), while the loss falls."""
    train = replace(BASE, dropout=0.0, schedule="constant")
    step = make(train, {"float32": torch.float32, "bf16": torch.bfloat16}[precision_])
    fast = np.array([step(*batch(number), number, 0.0005)[0] for number in range(steps)])
    plain = np.array(reference_losses(steps, train, monkeypatch))
    distance = abs(fast - plain).mean()
    assert distance < mean_tolerance
    assert (distance > 1e-5) == (precision_ == "bf16")
    assert plain[-5:].mean() < 0.7 * plain[:5].mean()


def test_dead_units_are_counted_by_layer():
    step = make(replace(MODERN, variant="toy", initialisation="he"))
    with torch.no_grad():
        step.model.conv3.bias[:4] = -1e4
        step.model.fc7.bias[:8] = -1e4
    shares = dead_units(step.model, batch(0)[0], torch.float32)
    assert list(shares) == [f"relu{n}" for n in range(1, 8)]
    assert shares["relu3"] >= 4 / 16
    assert shares["relu7"] >= 8 / 32
    assert shares["relu1"] < 0.5


def test_the_error_of_a_batch_is_the_share_named_wrongly_before_the_update():
    step = make(replace(BASE, dropout=0.0))
    images, labels = batch(0)
    with torch.no_grad():
        expected = (step.model(images).argmax(1) != labels).float().mean().item()
    assert step(images, labels, 0, 0.01)[1] == expected
