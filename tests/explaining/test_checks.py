"""Whether a map shows the network: measures against their definitions, and maps that must pass and fail."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from alexnet.explaining.checks import Mapped, check, rank_correlation, ssim
from alexnet.models.create import create
from alexnet.records import Change, Checks, Deletion


def dice(seed, shape=(20, 20)):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def test_the_rank_correlation_is_spearmans_with_ties():
    one, other = dice(0).relu(), (dice(0) + dice(1)).relu()
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one.flatten(), other.flatten()).statistic, abs=1e-6)
    assert rank_correlation(one, one) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert rank_correlation(one, torch.ones(20, 20)) == 0


def test_structural_similarity_is_one_of_a_map_with_itself_and_that_of_scikit_image():
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    one, other = torch.sigmoid(dice(0)), torch.sigmoid(dice(1))
    right = metrics.structural_similarity(
        one.double().numpy(), other.double().numpy(), data_range=1, use_sample_covariance=False
    )
    assert ssim(one, other) == pytest.approx(right, abs=0.01)
    assert ssim(one, one) == pytest.approx(1)


@pytest.fixture(scope="module")
def toy():
    return create("toy", classes=3, input_size=67, initialisation="he", dropout=0.0).eval()


def test_a_map_of_the_picture_alone_fails_and_its_reason_is_given(toy):
    """A map that asks the network nothing is the same whatever its weights are."""
    picture = dice(2, (3, 67, 67))

    def edges(model, image, label):
        return image.abs().sum(0)

    mapped = [Mapped(picture, 0, edges(toy, picture, 0))]
    (checks,) = check(toy, mapped, lambda model, _: [edges(model, picture, 0)])
    assert [change.layer for change in checks.changes] == [
        *("fc8", "fc7", "fc6"),
        *(f"conv{i}" for i in (5, 4, 3, 2, 1)),
    ]
    assert all(change.rank_correlation == pytest.approx(1) for change in checks.changes)
    assert checks.failure.startswith("it hardly changes when weights are shuffled")


def test_the_network_is_left_as_it_was(toy):
    before = {name: weights.clone() for name, weights in toy.state_dict().items()}
    image = dice(2, (3, 67, 67))
    check(toy, [Mapped(image, 0, dice(3, (67, 67)))], lambda model, _: [model.conv1(image[None])[0, 0]])
    assert all(torch.equal(weights, before[name]) for name, weights in toy.state_dict().items())


@pytest.mark.parametrize(
    ("correlation", "own", "random", "passes"),
    [(0.1, 0.1, 0.2, True), (0.11, 0.1, 0.2, False), (0.1, 0.2, 0.2, False), (0.1, 0.19, 0.2, True)],
)
def test_both_checks_must_be_passed(correlation, own, random, passes):
    changes = (
        Change(layer="fc8", rank_correlation=0.9, ssim=0.9),
        Change(layer="conv1", rank_correlation=correlation, ssim=0.1),
    )
    checks = Checks(changes=changes, deletion=Deletion(own=own, random=random, centred=0.5))
    assert (checks.failure is None) == passes


def test_deleting_what_decides_first_costs_the_most():
    class Middle(torch.nn.Module):
        """Class 1 is a bright spot beside the middle."""

        order = ()

        def forward(self, images):
            spot = images[:, 0, 2:6, 2:6].mean((1, 2))
            return torch.stack([torch.zeros_like(spot), 8 * spot - 4], 1)

    from alexnet.explaining.checks import _deletion

    heat = torch.zeros(20, 20)
    heat[2:6, 2:6] = 1
    deletion = _deletion(Middle(), torch.ones(3, 20, 20), 1, heat)
    # The spot is among the first tenth: all but the first of 11 pictures lack it.
    low, high = torch.sigmoid(torch.tensor([-4.0, 4.0])).tolist()
    assert deletion.own == pytest.approx((high + 10 * low) / 11, abs=1e-3)
    assert deletion.own < deletion.random
    assert deletion.own < deletion.centred
