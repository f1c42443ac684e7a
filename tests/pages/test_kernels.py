"""The kernel pictures, pixel by pixel."""

import io

import numpy as np
import pytest
from PIL import Image

from alexnet.pages.kernels import Kernels, blocks, enlarged, grid, scaled


def weights(count=96, side=11, channels=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, channels, side, side)).astype(np.float32)


def test_one_scale_holds_for_all_kernels():
    kernels = weights(2, 3)
    kernels[1] *= 0.01
    pixels = scaled(kernels)
    low, high = kernels.min(), kernels.max()
    for o in range(2):
        for row in range(3):
            for column in range(3):
                expected = (kernels[o, :, row, column] - low) / (high - low) * 255
                np.testing.assert_allclose(pixels[o, row, column], expected, atol=0.5001)
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert np.ptp(pixels[1]) < 10


def test_equal_weights_are_gray():
    assert (scaled(np.zeros((4, 3, 5, 5), np.float32)) == 128).all()


def test_a_gray_kernel_has_three_equal_channels():
    pixels = scaled(weights(4, channels=1))
    assert pixels.shape == (4, 11, 11, 3)
    assert (pixels == pixels[..., :1]).all()


def test_the_papers_96_kernels_lie_in_6_rows_of_16_with_one_pixel_between():
    kernels = scaled(weights())
    canvas = grid(kernels)
    assert canvas.shape == (6 * 12 - 1, 16 * 12 - 1, 4)
    for i in range(96):
        top, left = i // 16 * 12, i % 16 * 12
        np.testing.assert_array_equal(canvas[top : top + 11, left : left + 11, :3], kernels[i])
    assert (canvas[11::12, :, 3] == 0).all()
    assert (canvas[:, 11::12, 3] == 0).all()
    assert (canvas[..., 3] == 255).sum() == 96 * 11 * 11


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (15, 1, 15), (17, 2, 16), (64, 4, 16)])
def test_any_number_of_kernels_has_a_grid(count, rows, columns):
    canvas = grid(scaled(weights(count, 5)))
    assert canvas.shape == (rows * 6 - 1, columns * 6 - 1, 4)
    assert (canvas[..., 3] == 255).sum() == count * 25


def test_enlargement_repeats_pixels():
    canvas = grid(scaled(weights(3, 5)))
    large = enlarged(canvas, 7)
    rows, columns = (np.arange(n) // 7 for n in large.shape[:2])
    np.testing.assert_array_equal(large, canvas[rows][:, columns])


def test_two_towers_have_a_block_each_under_the_common_scale():
    kernels = weights()
    whole = scaled(kernels)
    for tower, data in enumerate(blocks(Kernels(kernels, towers=2))):
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(pixels, enlarged(grid(whole[tower * 48 : tower * 48 + 48]), 8))
