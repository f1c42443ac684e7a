import io
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import PIL
import pytest
from evil import DAMAGED, ODD, jpeg_header, png_header
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encoded, photograph
from PIL import Image

from alexnet.data import decode
from alexnet.data.decode import fit, load
from alexnet.errors import BadImage


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int)).mean()


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_data_is_refused_with_its_name_in_one_line(kind):
    with pytest.raises(BadImage, match=r"^pets/cat\.jpg: .+$") as error:
        decode.decode(DAMAGED[kind], "pets/cat.jpg")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", DAMAGED)
def test_loading_refuses_what_decoding_refuses(kind):
    with pytest.raises(BadImage):
        load(DAMAGED[kind], "x", 16)


@pytest.mark.parametrize("kind", ODD)
def test_odd_but_sound_data_is_decoded_without_a_warning(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = decode.decode(ODD[kind], "x")
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert load(ODD[kind], "x", 32).shape == (32, 32, 3)


def test_html_is_called_html():
    with pytest.raises(BadImage, match="HTML"):
        decode.decode(DAMAGED["html"], "x")


@pytest.mark.parametrize(("kind", "most"), [("png bomb", "64,000,000"), ("jpeg bomb", "178,956,970")])
def test_a_bomb_is_refused_by_its_header(kind, most):
    with pytest.raises(BadImage, match=f"more than {most} pixels: make it smaller"):
        decode.decode(DAMAGED[kind], "x")


def test_only_a_jpeg_may_have_more_pixels_than_are_decoded_whole():
    with pytest.raises(BadImage, match="more than 64,000,000 pixels"):
        decode.decode(png_header(8001, 8000), "x")
    for data in (png_header(8000, 8000), jpeg_header(13_300, 13_300)):
        with pytest.raises(BadImage, match="damaged"):
            load(data, "x", 16)


def test_the_pixel_limit_holds_even_if_pillow_has_another(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(BadImage, match="64,000,000 pixels"):
        decode.decode(DAMAGED["png bomb"], "x")
    with pytest.raises(BadImage, match="178,956,970 pixels"):
        decode.decode(DAMAGED["jpeg bomb"], "x")


def test_a_picture_larger_than_pillow_warns_about_is_decoded_quietly(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    assert decode.decode(encoded(photograph(60, 80), kind="PNG"), "x").shape == (60, 80, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(kind, orientation):
    upright = photograph(48, 64)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # EXIF number -> Pillow's transposition that stores it so
    image = Image.fromarray(upright)
    stored = image.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, kind, exif=exif, **({} if kind in ("TIFF", "PNG") else {"quality": 98}))
    assert difference(decode.decode(buffer.getvalue(), "x"), upright) < 5


def test_broken_exif_counts_as_upright():
    assert difference(decode.decode(ODD["broken exif"], "x"), photograph(40, 60)) < 5


@pytest.mark.parametrize("level", [0, 257, 30_000, 65_278, 65_535])
def test_16_bit_gray_is_scaled_and_not_clipped(level):
    pixels = decode.decode(encoded(np.full((4, 4), level, np.uint16), kind="PNG"), "x")
    assert (pixels == round(level / 257)).all()


def test_alpha_is_laid_over_white():
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[..., 3] = [[0, 255], [128, 64]]
    pixels = decode.decode(encoded(rgba, kind="PNG"), "x")
    assert pixels[..., 0].tolist() == [[255, 0], [127, 191]]


def test_a_transparent_palette_colour_is_laid_over_white():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=1)
    assert (decode.decode(buffer.getvalue(), "x") == 255).all()


def test_cmyk_jpeg_has_the_colours_of_its_rgb_original():
    assert difference(decode.decode(ODD["CMYK jpeg"], "x"), photograph(120, 160)) < 5


def test_of_an_animation_the_first_frame_is_taken():
    assert difference(decode.decode(ODD["animation"], "x"), photograph(40, 60, 0)) < 20


def test_fit_keeps_the_central_square():
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 200
    assert (fit(image, 20) == 200).all()
    assert (fit(image.transpose(1, 0, 2), 20) == 200).all()


def test_fit_equals_resizing_all_and_cropping():
    image = photograph(90, 150)
    whole = np.asarray(Image.fromarray(image).resize((100, 60), Image.Resampling.BILINEAR))
    assert difference(fit(image, 60), whole[:, 20:80]) < 0.6


def test_fit_is_antialiased():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(fit(stripes, 64)[:, 4:-4].astype(int)) < 4


@pytest.mark.skipif(PIL.__version__ < "13", reason="earlier versions of Pillow round tall pictures otherwise")
@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (37, 50, 16),
        (50, 37, 16),
        (90, 40, 17),
        (75, 56, 38),
        (40, 300, 41),
        (9, 8, 64),
        (1, 5, 3),
        (5, 1, 2),
        (700, 500, 5),
        (18, 33, 1),
    ],
)
def test_fit_has_the_bits_of_pillow(height, width, size):
    edge = min(height, width)
    left, top = (width - edge) // 2, (height - edge) // 2
    for image in (np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8), photograph(height, width)):
        box = (left, top, left + edge, top + edge)
        theirs = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box))
        np.testing.assert_array_equal(fit(image, size), theirs)


def test_a_large_jpeg_is_shrunk_in_its_dct_to_the_same_picture():
    data = encoded(photograph(1200, 1600), quality=95)
    assert difference(load(data, "x", 128), fit(decode.decode(data, "x"), 128)) < 1


def test_the_dct_never_shrinks_below_twice_the_size(monkeypatch):
    sides = []
    monkeypatch.setattr(decode, "fit", lambda image, size: sides.append(min(image.shape[:2])))
    for side in (511, 512, 1000, 1024, 3000):
        load(encoded(photograph(side, side + 7)), "x", 128)
    assert sides[0] == 511
    assert all(256 <= side <= 400 for side in sides[1:])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.binary(min_size=0, max_size=4))
def test_random_damage_raises_nothing_but_bad_image(where, length, insert):
    for data in (ODD["progressive"], ODD["palette"], ODD["animation"], ODD["tiff"]):
        place = where % len(data)
        with suppress(BadImage):
            assert load(data[:place] + insert + data[place + length :], "x", 16).shape == (16, 16, 3)


def test_threads_decode_the_same_pictures():
    data = [encoded(photograph(200, 300, seed)) for seed in range(8)]
    alone = [load(one, "x", 64) for one in data]
    start = threading.Barrier(4)

    def work(_):
        start.wait()
        return [load(one, "x", 64) for one in data]

    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(work, range(4)):
            assert np.array_equal(result, alone)
