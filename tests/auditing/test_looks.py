"""The figures of pictures, against numpy's own on single pictures."""

import numpy as np

from alexnet.auditing.looks import Looks, looks, thumbnails


def test_figures_are_what_they_are_of_each_picture_alone():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3)).astype(np.uint8)
    pictures[1] //= 8
    pictures[2, :, :, 1:] = 7
    for picture, figures in zip(pictures, map(Looks._make, looks(pictures)), strict=True):
        gray = picture @ np.array([0.299, 0.587, 0.114])
        laplacian = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:] - 4 * gray[1:-1, 1:-1]
        right = (
            picture.reshape(-1, 3).std(0).max(),
            *np.percentile(gray[::2, ::2], (5, 95)),
            laplacian.std() / gray.std(),
        )
        np.testing.assert_allclose(figures, right, rtol=1e-4)


def test_a_picture_of_one_colour_has_no_detail():
    figures = Looks._make(looks(np.full((1, 8, 8, 3), 90, np.uint8))[0])
    assert figures == (0, 90, 90, 0)


def test_a_thumbnail_is_means_of_gray():
    picture = np.zeros((1, 4, 4, 3), np.uint8)
    picture[0, :2, :2, 1] = 201
    assert thumbnails(picture, 2).tolist() == [[[118, 0], [0, 0]]]
