"""Crops, reflections and colour: the draws by counting, the transforms against one pixel at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet import native
from alexnet.config import PAPER
from alexnet.data.augment import CROP, Draws, augment, augment_tensor, centre, colour_shifts, draw
from alexnet.errors import UsageError
from alexnet.recipes import MODERN

COVARIANCE = np.array([[0.07, 0.05, 0.04], [0.05, 0.06, 0.05], [0.04, 0.05, 0.08]])


def kernel(images, draws, mean, size, dtype=torch.float32):
    if native.library() is None:
        pytest.skip("the compiled kernels are not here")
    return augment(images, draws, torch.from_numpy(mean), size, dtype)


def tensors(images, draws, mean, size, dtype=torch.float32):
    return augment_tensor(torch.from_numpy(images), draws, torch.from_numpy(mean), size, dtype)


def pixel_by_pixel(images, draws, mean, size):
    """The definition: bilinear between pixel centres, mirrored, upside down, transposed, shifted, scaled."""
    stored = images.shape[1]
    out = np.empty((len(images), size, size, 3))
    for n, image in enumerate(images):
        centred = image.astype(np.float64) - mean
        top, left, side, turn = draws.crops[n]
        scale = float(side) / size
        crop = np.empty((size, size, 3))
        for y in range(size):
            for x in range(size):
                v = min(max(top + (y + 0.5) * scale - 0.5, 0), stored - 1)
                u = min(max(left + (x + 0.5) * scale - 0.5, 0), stored - 1)
                y0, x0 = int(v), int(u)
                y1, x1 = min(y0 + 1, stored - 1), min(x0 + 1, stored - 1)
                upper = centred[y0, x0] * (1 - (u - x0)) + centred[y0, x1] * (u - x0)
                lower = centred[y1, x0] * (1 - (u - x0)) + centred[y1, x1] * (u - x0)
                crop[y, x] = upper * (1 - (v - y0)) + lower * (v - y0)
        if turn & 1:
            crop = crop[:, ::-1]
        if turn & 2:
            crop = crop[::-1]
        if turn & 4:
            crop = crop.transpose(1, 0, 2)
        out[n] = (crop + draws.shifts[n]) * draws.gains[n]
    return out.transpose(0, 3, 1, 2)


def scene(count=8, stored=23, seed=0):
    dice = np.random.default_rng(seed)
    images = dice.integers(0, 256, (count, stored, stored, 3)).astype(np.uint8)
    return images, (dice.random((stored, stored, 3)) * 255).astype(np.float32)


def fixed(crops, seed=0):
    dice = np.random.default_rng(seed)
    count = len(crops)
    shifts = dice.normal(0, 5, (count, 3)).astype(np.float32)
    return Draws(np.array(crops, CROP), shifts, dice.uniform(0.01, 1, count).astype(np.float32))


WHOLE = [(3, 5, 17, turn) for turn in range(8)]
ENLARGED = [(1.0 + turn, 6.0 - turn / 2, 11.3 + turn / 3, turn) for turn in range(8)]
AT_THE_EDGE = [(0, 0, 9.5, 0), (13, 13, 9.7, 0), (0, 0, 23, 5), (22, 22, 1, 0)]
PLACES = {"whole": WHOLE, "enlarged": ENLARGED, "at the edge": AT_THE_EDGE}


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("way", [kernel, tensors])
def test_every_way_gives_what_one_pixel_at_a_time_gives(way, places):
    draws = fixed(PLACES[places])
    images, mean = scene(len(draws))
    found = way(images, draws, mean, 17)
    assert found.shape == (len(draws), 3, 17, 17)
    np.testing.assert_allclose(found.numpy(), pixel_by_pixel(images, draws, mean, 17), atol=2e-3)


@pytest.mark.parametrize("way", [kernel, tensors])
def test_bf16_is_float32_rounded(way):
    draws = fixed(ENLARGED)
    images, mean = scene(len(draws))
    exact = pixel_by_pixel(images, draws, mean, 17)
    found = way(images, draws, mean, 17, torch.bfloat16)
    assert found.dtype == torch.bfloat16
    np.testing.assert_allclose(found.double().numpy(), exact, rtol=2**-8, atol=2e-3)


@settings(max_examples=40, deadline=None)
@given(
    stored=st.integers(1, 40),
    size=st.integers(1, 40),
    share=st.floats(0.05, 1),
    turn=st.integers(0, 7),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_kernel_and_tensors_agree_for_any_crop(stored, size, share, turn, place):
    side = max(1.0, stored * share)
    draws = fixed([(place[0] * (stored - side), place[1] * (stored - side), side, turn)])
    images, mean = scene(1, stored)
    np.testing.assert_allclose(kernel(images, draws, mean, size), tensors(images, draws, mean, size), atol=5e-3)


def test_a_crop_is_cut_out_and_mirrored():
    images, mean = scene(2)
    plain = Draws(np.array([(2, 4, 17, 0), (2, 4, 17, 1)], CROP), np.zeros((2, 3), "f4"), np.ones(2, "f4"))
    found = kernel(images, plain, mean, 17).numpy().transpose(0, 2, 3, 1)
    cut = (images - mean)[:, 2:19, 4:21]
    np.testing.assert_array_equal(found[0], cut[0])
    np.testing.assert_array_equal(found[1], cut[1][:, ::-1])


def test_without_kernels_the_tensors_serve(monkeypatch):
    draws, (images, mean) = fixed(ENLARGED), scene(8)
    native_result = augment(images, draws, torch.from_numpy(mean), 17, torch.float32)
    monkeypatch.setattr(native, "library", lambda: None)
    found = augment(images, draws, torch.from_numpy(mean), 17, torch.float32)
    torch.testing.assert_close(found, native_result, rtol=0, atol=2e-3)


# draws


def test_there_are_as_many_crops_as_places_and_mirror_images():
    """33 x 33 x 2 at the paper's sizes (its count: 2048); here 4 x 4 x 2, and none comes much more often."""
    train = replace(PAPER, batch_size=4000)
    crops = draw(train, COVARIANCE, 0, 10, 7).crops
    found, counts = np.unique(crops, return_counts=True)
    assert len(found) == 4 * 4 * 2
    assert counts.min() > 4000 / 32 / 2
    paper = draw(train, COVARIANCE, 0, 256, 224).crops
    assert {(name, paper[name].min(), paper[name].max()) for name in ("top", "left")} == {
        ("top", 0, 32),
        ("left", 0, 32),
    }


def test_turns_come_in_all_eight():
    train = replace(PAPER, batch_size=800, turns=True)
    counts = np.bincount(draw(train, COVARIANCE, 0, 10, 7).crops["turn"], minlength=8)
    assert len(counts) == 8
    assert counts.min() > 50


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    step=st.integers(0, 10**9),
    size=st.integers(1, 300),
    margin=st.integers(0, 60),
    smallest=st.floats(0.05, 1),
)
def test_a_crop_never_leaves_the_picture(seed, step, size, margin, smallest):
    train = replace(PAPER, seed=seed, batch_size=50, smallest_crop=smallest)
    crops = draw(train, COVARIANCE, step, size + margin, size).crops
    for name in ("top", "left"):
        assert (crops[name] >= 0).all()
        assert (crops[name] == np.floor(crops[name])).all()
        assert (crops[name] + crops["side"] <= size + margin).all()
    assert (crops["side"] <= size).all()
    assert (crops["side"] >= size * smallest * 0.999).all()


def test_smaller_crops_are_drawn_evenly_by_area():
    train = replace(PAPER, batch_size=20_000, smallest_crop=0.5)
    area = (draw(train, COVARIANCE, 0, 256, 224).crops["side"] / 224) ** 2
    assert np.quantile(area, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx([0.25, 0.4375, 0.625, 0.8125, 1], abs=0.01)


def test_a_step_decides_its_draws():
    train = replace(MODERN, turns=True)
    one, again, other, reseeded = (
        draw(settings_, COVARIANCE, step, 256, 224)
        for settings_, step in [(train, 5), (train, 5), (train, 6), (replace(train, seed=1), 5)]
    )
    for name in ("crops", "shifts", "gains"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    for name in ("crops", "shifts"):
        assert not (getattr(one, name) == getattr(other, name)).any()
        assert not (getattr(one, name) == getattr(reseeded, name)).any()
    assert len(one) == train.batch_size


def test_pictures_of_a_batch_are_drawn_apart():
    draws = draw(replace(PAPER, batch_size=64), COVARIANCE, 0, 256, 224)
    assert len(np.unique(draws.crops)) > 55
    assert len(np.unique(draws.shifts, axis=0)) == 64


def test_an_ablation_of_colour_leaves_the_crops_alone():
    one, other = (draw(replace(PAPER, colour=colour), COVARIANCE, 3, 256, 224) for colour in ("lecture", "none"))
    np.testing.assert_array_equal(one.crops, other.crops)
    assert not other.shifts.any()


def test_without_crops_and_flips_the_centre_is_taken():
    draws = draw(replace(PAPER, crops=False, flips=False, batch_size=5), COVARIANCE, 0, 256, 224)
    np.testing.assert_array_equal(draws.crops, np.array([(16, 16, 224, 0)] * 5, CROP))
    np.testing.assert_array_equal(draws.crops, centre(5, 256, 224))


# colour


def test_the_lectures_colour_by_hand():
    """Eigenvalues 0.01, 0.04, 0.25 along blue, red, green; factors 1, 2, -3 of standard deviation 0.1."""
    covariance = np.diag([0.04, 0.25, 0.01])
    shifts, division = colour_shifts(PAPER, covariance, np.array([[1.0, 2.0, -3.0]]))
    np.testing.assert_allclose(abs(shifts), [[255 * 0.1 * 2 * 0.04, 255 * 0.1 * 3 * 0.25, 255 * 0.1 * 0.01]], rtol=1e-5)
    assert division == 1


def test_the_sources_colour_by_hand():
    covariance = np.diag([0.04, 0.25, 0.01])
    train = replace(PAPER, colour="source")
    shifts, division = colour_shifts(train, covariance, np.array([[1.0, 2.0, -3.0]]))
    np.testing.assert_allclose(abs(shifts), [[255 * 0.1 * 2 * 0.2, 255 * 0.1 * 3 * 0.5, 255 * 0.1 * 0.1]], rtol=1e-5)
    assert division == pytest.approx(1.1)
    draws = draw(replace(train, divide_pixels_by=2.0), covariance, 0, 256, 224)
    np.testing.assert_allclose(draws.gains, 1 / 2.2, rtol=1e-6)


@pytest.mark.parametrize(("colour", "power"), [("lecture", 2), ("source", 1)])
def test_colour_lies_along_the_components_of_a_full_covariance(colour, power):
    """One unit factor at a time: the outer products add up to a power of the covariance, whatever the signs."""
    train = replace(PAPER, colour=colour, colour_strength=0.3)
    shifts, _ = colour_shifts(train, COVARIANCE, np.eye(3))
    found = shifts.astype(np.float64).T @ shifts
    expected = (255 * 0.3) ** 2 * np.linalg.matrix_power(COVARIANCE, power)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_colour_of_gray_pictures_is_gray():
    """One component only: R = G = B in every picture, so every shift moves the three alike."""
    shifts, _ = colour_shifts(PAPER, np.full((3, 3), 0.05), np.random.default_rng(0).standard_normal((9, 3)))
    np.testing.assert_allclose(shifts, shifts[:, :1].repeat(3, 1), atol=1e-5)
    assert abs(shifts).max() > 0.5


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 24, 24, 3), np.float32),
        np.zeros((2, 24, 24), np.uint8),
        np.zeros((2, 20, 24, 3), np.uint8),
    ],
)
def test_pictures_of_another_type_or_shape_are_refused(images):
    draws = Draws(centre(2, 24, 16), np.zeros((2, 3), np.float32), np.ones(2, np.float32))
    with pytest.raises(UsageError, match="pictures must be uint8"):
        augment(images, draws, torch.zeros(24, 24, 3), 16, torch.float32)


def test_a_crop_beyond_the_picture_repeats_its_edge():
    images, mean = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3), np.zeros((8, 8, 3), np.float32)
    draws = Draws(centre(2, 8, 12), np.zeros((2, 3), np.float32), np.ones(2, np.float32))
    found = kernel(images, draws, mean, 12)
    assert torch.equal(found, tensors(images, draws, mean, 12))
    assert torch.equal(found[:, :, 2:10, 2:10], torch.from_numpy(images).permute(0, 3, 1, 2).float())
