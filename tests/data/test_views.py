"""The test views: where they lie."""

import numpy as np
import pytest

from alexnet.data.augment import views
from alexnet.errors import UsageError


def places(draws):
    (crop,) = np.unique(draws.crops)
    return tuple(crop[name].item() for name in ("top", "left", "side", "turn"))


def test_ten_views_are_corners_and_centre_then_mirrored():
    corners = [(0, 0), (0, 32), (16, 16), (32, 0), (32, 32)]
    found = [places(draws) for draws in views(3, 10, 256, 224, 1.0)]
    assert found == [(*corner, 224, turn) for turn in (0, 1) for corner in corners]


def test_one_view_is_the_centre():
    assert [places(draws) for draws in views(2, 1, 256, 227, 1.0)] == [(14, 14, 227, 0)]


@pytest.mark.parametrize("number", [1, 10])
def test_views_have_no_colour_and_the_training_scale(number):
    for draws in views(4, number, 80, 67, 64.0):
        assert len(draws) == 4
        assert not draws.shifts.any()
        assert (draws.gains == np.float32(1 / 64)).all()


def test_pictures_as_large_as_the_input_have_two_different_views():
    assert {places(draws) for draws in views(1, 10, 67, 67, 1.0)} == {(0, 0, 67, 0), (0, 0, 67, 1)}


@pytest.mark.parametrize("number", [0, 2, 5, 11])
def test_other_numbers_of_views_are_refused(number):
    with pytest.raises(UsageError, match=rf"1 view \(the centre\) or 10 .*, got {number}"):
        views(1, number, 80, 67, 1.0)
