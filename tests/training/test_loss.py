"""The loss, and classes that count alike in it however many pictures they have."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from alexnet.config import PAPER
from alexnet.errors import UsageError
from alexnet.foreign.trained import open_trained
from alexnet.models.create import create
from alexnet.run import Run
from alexnet.training.head import fit, fit_head
from alexnet.training.loop import begin
from alexnet.training.loss import class_weights, cross_entropy
from alexnet.training.step import Step
from alexnet.training.watch import Watch

BY_HAND = torch.tensor([6 / 7, 1.0, 1.2])  # 18 pictures over 3 classes of 7, 6 and 5


@pytest.fixture
def balanced(settings):
    return replace(settings, class_weights="balanced")


@pytest.fixture
def batch():
    dice = torch.Generator().manual_seed(0)
    return torch.randn(8, 3, generator=dice), torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])


def test_the_weight_of_a_class_is_the_mean_count_over_its_own(balanced, store):
    weights = class_weights(balanced, store)
    assert torch.allclose(weights, BY_HAND)
    labels = torch.from_numpy(store.splits["train"].labels).long()
    assert weights[labels].mean().item() == pytest.approx(1)


def test_without_weights_the_loss_has_the_bits_of_plain_cross_entropy(settings, store, batch):
    scores, labels = batch
    assert class_weights(settings, store) is None
    assert torch.equal(cross_entropy(scores, labels, None, 0.1), F.cross_entropy(scores, labels, label_smoothing=0.1))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_of_a_picture_is_multiplied_by_the_weight_of_its_class(batch, smoothing):
    scores, labels = batch
    scores.requires_grad_()
    cross_entropy(scores, labels, BY_HAND, smoothing).backward()
    targets = (1 - smoothing) * torch.eye(3)[labels] + smoothing / 3
    by_hand = BY_HAND[labels][:, None] * (scores.softmax(1) - targets) / 8
    assert torch.allclose(scores.grad, by_hand.detach(), atol=1e-7)


def test_the_parts_of_a_batch_add_up_to_its_loss(batch):
    scores, labels = batch
    parts = [cross_entropy(scores[part], labels[part], BY_HAND) for part in (slice(0, 4), slice(4, 8))]
    assert (sum(parts) / 2).item() == pytest.approx(cross_entropy(scores, labels, BY_HAND).item())


def test_a_step_takes_its_loss_by_the_weights():
    train = replace(PAPER, variant="toy", input_size=67, dropout=0.0)
    model = create("toy", classes=3, input_size=67, initialisation="he", dropout=0.0)
    images = torch.randn(4, 3, 67, 67, generator=torch.Generator().manual_seed(0))
    labels, weights = torch.tensor([0, 0, 0, 2]), torch.tensor([0.5, 1.0, 2.5])
    step = Step(model, train, torch.float32, class_weights=weights)
    by_hand = (F.cross_entropy(model(images), labels, reduction="none") * torch.tensor([0.5, 0.5, 0.5, 2.5])).mean()
    assert step.loss(images, labels, 0).item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_a_training_balances_by_its_own_pictures(balanced, store, tmp_path):
    with begin(balanced, store, "colours", Run(tmp_path / "run")) as training:
        assert torch.allclose(training.step.class_weights, BY_HAND)


def test_classes_without_training_pictures_cannot_be_balanced(balanced, store, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "classes", (*store.classes, "spoon"))
    with (
        pytest.raises(UsageError, match=r"'spoon' has no training pictures.* take `class_weights=none`"),
        begin(balanced, store, "colours", Run(tmp_path / "run")),
    ):
        pass
    assert not (tmp_path / "run").exists()


def test_a_balanced_head_finds_the_small_class_of_nine_to_one():
    dice = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 180 + [1] * 20)
    features = torch.randn(200, 1, 4, generator=dice) + labels[:, None, None]
    start = torch.zeros(2, 5)

    def small_class_right(weights):
        fitted = fit(features, labels, start, 0, weights)
        guesses = (features[:, 0] @ fitted[:, :-1].T + fitted[:, -1]).argmax(1)
        return (guesses[180:] == 1).float().mean().item()

    assert small_class_right(torch.tensor([200 / 360, 200 / 40])) > small_class_right(None) + 0.2


def test_a_head_is_fitted_by_the_weights_of_its_settings(settings, balanced, store, run):
    heads = []
    for train in (settings, balanced):
        model = open_trained(run).weights.model
        fit_head(train, store, model)
        heads.append(model.get_parameter(f"{model.order[-1]}.bias").detach())
    assert not torch.allclose(*heads, atol=1e-3)


def test_guessing_is_even_where_classes_are_balanced(balanced):
    assert Watch(balanced, (90, 10)).chance == pytest.approx(math.log(2))
