"""Which first-layer kernels count as clear: made-up kernels whose kind is known."""

import numpy as np
import pytest

from alexnet.pages.clarity import counts, kinds

Y, X = np.mgrid[:11, :11] - 5


def wave(angle, cycles=2.0, width=3.0):
    """A Gabor patch in gray: a wave under a bell."""
    along = X * np.cos(angle) + Y * np.sin(angle)
    return np.stack([np.cos(2 * np.pi * cycles / 11 * along) * np.exp(-(X**2 + Y**2) / 2 / width**2)] * 3)


def blob(colour):
    """A bell of one colour."""
    return np.array(colour, float)[:, None, None] * np.exp(-(X**2 + Y**2) / 2 / 3**2)


@pytest.mark.parametrize("angle", [0, 0.4, np.pi / 2, 2.5])
def test_a_wave_under_a_bell_is_oriented(angle):
    assert kinds(wave(angle)[None]) == ["oriented"]


def test_two_crossed_waves_have_no_one_orientation():
    assert kinds((wave(0) + wave(np.pi / 2))[None]) == ["neither"]


@pytest.mark.parametrize("colour", [(1, -1, 0), (1, -0.5, -0.5), (-1, -1, 1)])
def test_a_blob_of_colour_is_coloured(colour):
    assert kinds(blob(colour)[None]) == ["coloured"]


def test_a_gray_blob_and_a_fine_checkerboard_of_colour_are_neither():
    board = np.array([1, -1, 0])[:, None, None] * (-1.0) ** (X + Y)
    assert kinds(np.stack([blob((1, 1, 1)), board])) == ["neither", "neither"]


def test_noise_is_neither():
    noise = np.random.default_rng(0).standard_normal((200, 3, 11, 11))
    assert kinds(noise) == ["neither"] * 200


def test_a_kernel_too_weak_to_be_seen_is_neither():
    assert kinds(np.stack([wave(0), 0.09 * wave(0), 0.11 * wave(0)])) == ["oriented", "neither", "oriented"]


def test_towers_are_counted_apart_in_order():
    kernels = np.stack([wave(0), wave(1), blob((1, -1, 0)), blob((1, 1, 1))])
    assert counts(kernels, 2) == [{"oriented": 2}, {"coloured": 1, "neither": 1}]
    assert counts(kernels, 1) == [{"oriented": 2, "coloured": 1, "neither": 1}]


def test_gray_kernels_are_oriented_or_nothing_and_empty_ones_are_nothing():
    assert kinds(np.stack([wave(0)[:1], blob((1, 1, 1))[:1]])) == ["oriented", "neither"]
    assert kinds(np.zeros((2, 3, 11, 11))) == ["neither", "neither"]
