"""Maps of where a network looks, against definitions and networks whose answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from alexnet.errors import UsageError
from alexnet.explaining import maps
from alexnet.models.create import create


class Corner(nn.Module):
    """Finds class 1 in the brightness of the upper left quarter of a picture, and nowhere else."""

    def forward(self, images):
        quarter = images[:, :, :10, :10].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(quarter), quarter], 1)


@pytest.fixture(scope="module")
def toy():
    return create("toy", classes=3, input_size=67, initialisation="he", dropout=0.0).eval()


def image(seed=0, side=67):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((3, side, side)).astype(np.float32))


def test_evidence_is_the_logarithm_of_the_odds():
    logits = torch.tensor([[1.0, 2.0, -1.0], [40.0, 0.0, 0.0]])
    chance = logits.double().softmax(1)[:, 0]
    assert maps.evidence(logits, 0)[0].item() == pytest.approx((chance / (1 - chance)).log()[0].item(), rel=1e-5)
    assert maps.evidence(logits, 0)[1].item() == pytest.approx(40 - np.log(2), rel=1e-5)  # where p rounds to 1


class Sum(nn.Module):
    """Finds class 1 in the sum of all pixels, so that covering them costs their number."""

    def forward(self, images):
        total = images.sum((1, 2, 3))
        return torch.stack([torch.zeros_like(total), total], 1)


def test_pixels_at_the_edge_are_covered_as_often_as_others():
    """By four squares each: in the corner of 4, 8, 8 and 16 pixels of three colours, inside of 16."""
    found = maps.occlusion(Sum(), torch.ones(3, 8, 8), 1, torch.zeros(3, 8, 8), side=4, stride=2)
    assert [found[0, 0].item(), found[0, 3].item(), found[3, 3].item()] == pytest.approx([27, 36, 48])
    assert torch.equal(found, found.flip(0, 1))


def test_a_square_is_a_seventh_of_the_picture_and_moves_by_a_quarter_of_itself():
    image, fill = torch.ones(3, 56, 56), torch.zeros(3, 56, 56)
    assert torch.equal(maps.occlusion(Sum(), image, 1, fill), maps.occlusion(Sum(), image, 1, fill, side=8, stride=2))
    assert maps.occlusion(Sum(), image, 1, fill)[28, 28].item() == pytest.approx(3 * 8 * 8)


def test_occlusion_marks_the_quarter_that_decides():
    found = maps.occlusion(Corner(), torch.ones(3, 20, 20), 1, torch.zeros(3, 20, 20), side=4, stride=2)
    assert found.shape == (20, 20)
    assert found[:7, :7].min() > 0
    assert found[14:].abs().max() == found[:, 14:].abs().max() == 0
    # A square of 4 x 4 inside the quarter takes 16 of its 100 pixels away, and the evidence is its mean.
    assert found[4, 4].item() == pytest.approx(0.16, rel=1e-4)


def test_every_pixel_is_covered_also_at_the_edges():
    found = maps.occlusion(Corner(), image(side=23), 1, torch.zeros(3, 23, 23), side=6, stride=5)
    assert found.isfinite().all()


def test_the_gradient_is_that_of_finite_differences(toy):
    picture = image()
    toy.double()
    found = maps.gradient(toy, picture.double(), 2)
    step = torch.zeros(3, 67, 67, dtype=torch.float64)
    slopes = []
    for channel in range(3):
        step.zero_()[channel, 30, 31] = 1e-5
        ahead, behind = (maps.evidence(toy((picture + sign * step)[None]), 2) for sign in (1, -1))
        slopes.append(abs((ahead - behind).item() / 2e-5))
    toy.float()
    assert found[30, 31].item() == pytest.approx(max(slopes), rel=1e-4)


def test_grad_cam_is_the_sum_of_the_maps_by_their_mean_slopes(toy):
    picture = image()
    outputs = toy.activations(picture[None], "relu5", "fc8")
    (slopes,) = torch.autograd.grad(maps.evidence(outputs["fc8"], 1).sum(), outputs["relu5"])
    small = (slopes.mean((2, 3), keepdim=True) * outputs["relu5"]).sum(1).relu()
    found = maps.grad_cam(toy, picture, 1)
    assert found.shape == (67, 67)
    assert found.min() >= 0
    assert found.max().item() <= small.max().item() * 1.0001


def test_what_covers_the_picture(toy):
    picture, gray = image(), torch.full((3, 67, 67), 0.5)
    assert maps.cover("mean", picture, gray).abs().max() == 0
    assert torch.equal(maps.cover("gray", picture, gray), gray)
    blurred = maps.cover("blur", picture, gray)
    assert blurred.std() < 0.2 * picture.std()
    assert torch.allclose(maps.cover("blur", torch.full((3, 67, 67), 2.0), gray), torch.tensor(2.0), atol=1e-5)


def test_an_unknown_method_is_named():
    with pytest.raises(UsageError, match="no method 'lime'; there are occlusion, gradcam, gradient"):
        maps.drawer("lime", torch.zeros_like)


def test_an_occlusion_map_in_bf16_is_that_of_float32(toy, monkeypatch):
    picture = image()
    draw = maps.drawer("occlusion", torch.zeros_like, coarse=True)
    fast = draw(toy, picture, 1)
    monkeypatch.setattr("alexnet.machine.has_bf16", lambda: False)
    exact = draw(toy, picture, 1)
    assert torch.corrcoef(torch.stack([fast.flatten(), exact.flatten()]))[0, 1] > 0.99
