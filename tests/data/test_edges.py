"""The edges of what is read: the last value on either side, and pictures of more than one strip."""

import numpy as np
import pytest
from odd_files import ADOBE_RGB, tiff
from pictures import encoded, photograph

from alexnet.data import rgb
from alexnet.data.decode import decode
from alexnet.errors import BadImage


@pytest.mark.parametrize("extra", [b"\0", b"rubbish behind the end of the picture", bytes(range(256)) * 4])
def test_what_follows_the_end_of_a_png_is_no_damage(extra):
    sound = encoded(kind="PNG")
    assert np.array_equal(decode(sound + extra, "x"), decode(sound, "x"))


@pytest.mark.parametrize(("greatest", "is_read"), [(4095, False), (16_383, False), (16_384, True), (65_535, True)])
def test_16_bits_are_read_where_more_than_14_of_them_are_used(greatest, is_read):
    data = encoded(np.array([[0, greatest]], np.uint16), kind="PNG")
    if is_read:
        assert decode(data, "x")[0, :, 0].tolist() == [0, round(greatest / 257)]
    else:
        with pytest.raises(BadImage, match=f"16-bit pixels of {greatest:,} or less, which would be nearly black"):
            decode(data, "x")


def test_floating_point_gray_is_rounded_to_the_nearest_of_256_levels():
    levels = np.array([[0, 0.25, 0.75, 0.998, 0.9981, 1]], np.float32)
    assert decode(encoded(levels, kind="TIFF"), "x")[0, :, 0].tolist() == [0, 64, 191, 254, 255, 255]


@pytest.mark.parametrize(("brightest", "shown"), [(255, 255), (256, 1), (0xC0FF, 0xC0)])
def test_a_tiff_palette_is_of_8_bits_where_no_colour_is_beyond_255(brightest, shown):
    palette = np.zeros((3, 256), int)
    palette[1, 1] = brightest
    data = tiff(np.array([[0, 1]], np.uint8), photometric=3, palette=palette.ravel().tolist())
    assert decode(data, "x")[0].tolist() == [[0, 0, 0], [0, shown, 0]]


def _deep():
    return np.arange(60 * 80, dtype=np.uint16).reshape(60, 80) * 13


def _alpha():
    return np.dstack([photograph(), np.arange(60 * 80).reshape(60, 80).astype(np.uint8)])


@pytest.mark.parametrize("kind", ["colours", "deep", "alpha", "palette"])
@pytest.mark.parametrize("strip", [1, 80, 81, 1000, 59 * 80])
def test_a_picture_of_many_strips_is_that_of_one(kind, strip, monkeypatch):
    pixels = {"deep": _deep, "alpha": _alpha}.get(kind, photograph)()
    data = encoded(pixels, kind="PNG", mode="P" if kind == "palette" else None)
    whole = decode(data, "x")
    monkeypatch.setattr(rgb, "_STRIP", strip)
    assert np.array_equal(decode(data, "x"), whole)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_every_strip_is_brought_to_srgb(kind, monkeypatch):
    data, plain = (encoded(photograph(), kind=kind, **options) for options in ({"icc_profile": ADOBE_RGB}, {}))
    whole = decode(data, "x")
    assert (whole != decode(plain, "x")).any(axis=(1, 2)).all()
    monkeypatch.setattr(rgb, "_STRIP", 100)
    assert np.array_equal(decode(data, "x"), whole)
