"""Pictures of more than 8 bits: what they become, and which have no stated white."""

import numpy as np
import pytest
from pictures import encoded

from alexnet.data.decode import decode
from alexnet.errors import BadImage


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_gray_is_rounded_to_the_nearest_of_256_levels(kind):
    """A level is 257 of 65,536: 128 rounds down and 129 up, and white is white."""
    levels = np.array([[0, 128, 129, 385, 386, 32_767, 32_768, 65_406, 65_407, 65_535]], np.uint16)
    pixels = decode(encoded(levels, kind=kind), "x")
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 1, 2, 127, 128, 254, 255, 255]
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("level", [-1, 65_536, 2**31 - 1, -(2**31)])
def test_32_bit_pixels_beyond_16_bits_are_refused(level):
    levels = np.array([[0, level], [1, 2]], np.int32)
    with pytest.raises(BadImage, match="32-bit pixels have no stated white"):
        decode(encoded(levels, kind="TIFF"), "x")


def test_32_bit_pixels_that_16_bits_hold_are_read_as_such():
    levels = np.array([[0, 65_535], [25_700, 30_000]], np.int32)
    assert decode(encoded(levels, kind="TIFF"), "x")[..., 0].tolist() == [[0, 255], [100, 117]]
