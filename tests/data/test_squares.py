"""Warping, against OpenCV's resize, which Caffe's tools use."""

import numpy as np
import pytest
from PIL import Image

from alexnet.data import decode
from alexnet.data.open import warped
from alexnet.data.pack import pack
from alexnet.data.sources import open_source


@pytest.mark.parametrize("shape", [(300, 500), (97, 61), (256, 256), (1000, 333)])
def test_warping_is_opencvs_plain_resize(shape):
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    theirs = cv2.resize(image, (256, 256)).astype(int)
    assert np.abs(decode.warp(image, 256).astype(int) - theirs).max() <= 1


def test_a_square_is_the_centre_unless_it_is_to_be_warped(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert np.array_equal(decode.load(data, "a", 20), decode.load(data, "a", 20))
    assert np.array_equal(decode.load(data, "a", 20, "warp"), decode.warp(decode.decode(data, "a"), 20))


def test_a_warped_source_gives_what_load_gives_and_is_another_source(pictures, tmp_path):
    source = open_source(pictures)
    squares = warped(source, 50)
    assert squares.fingerprint != source.fingerprint
    store = pack(squares, tmp_path / "store", size=50)
    assert "both sides resized" in store.decoding
    expected = decode.load(source.splits["train"].read(3), "x", 50, "warp").astype(int)
    assert np.abs(store.splits["train"].read(3) - expected).mean() < 3  # one compression
