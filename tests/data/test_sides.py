"""How large the pictures of a source are."""

from types import SimpleNamespace

import pytest
from odd_files import with_long_text
from pictures import encoded, photograph
from PIL import Image

from alexnet.auditing.odd import sizes_of
from alexnet.data import decode
from alexnet.data.listing import spread
from alexnet.data.sides import typical_side
from alexnet.errors import BadImage
from alexnet.observer import Observer


class Pictures:
    def __init__(self, sizes):
        self.files = [encoded(photograph(*size)) if size else b"no picture" for size in sizes]

    def __len__(self):
        return len(self.files)

    def name(self, i):
        return f"{i}.png"

    def read(self, i):
        return self.files[i]


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(30, 90), (90, 10), (20, 20)], 20),  # the median of the shorter sides
        ([(30, 40), (10, 40)], 10),  # the lower of two
        ([None, (64, 64), None], 64),
        ([None], None),
        ([(8, 8)] * 60 + [(99, 99)] * 40, 8),
        ([(8, 8)] * 40 + [(99, 99)] * 60, 99),
    ],
)
def test_the_typical_side_is_the_median_of_pictures_that_can_be_read(sizes, side):
    assert typical_side(SimpleNamespace(splits={"train": Pictures(sizes)})) == side


def test_a_header_states_the_format_and_the_size_as_it_is_stored():
    turned = Image.Exif()
    turned[0x0112] = 6
    header = decode.header(encoded(photograph(30, 90), exif=turned), "x.jpg")
    assert header == decode.Header("JPEG", (90, 30))


def test_a_header_is_read_of_every_picture_that_packing_reads():
    picture = with_long_text(encoded(photograph(30, 90), kind="PNG"))
    assert decode.load(picture, "x.png", 16).shape == (16, 16, 3)
    assert decode.header(picture, "x.png") == decode.Header("PNG", (90, 30))
    pictures = Pictures([(20, 20)])
    pictures.files = [picture]
    assert typical_side(SimpleNamespace(splits={"train": pictures})) == 30
    assert sizes_of({"train": pictures}, Observer()) == {"0.png": (90, 30)}


def test_readers_that_packing_does_not_use_never_see_the_data(monkeypatch):
    Image.init()
    tried = []
    monkeypatch.setitem(Image.OPEN, "DDS", (lambda file, name: tried.append(name), lambda prefix: True))
    pictures = Pictures([None])
    assert typical_side(SimpleNamespace(splits={"train": pictures})) is None
    with pytest.raises(BadImage, match=r"^x\.png: not a picture"):
        decode.header(pictures.files[0], "x.png")
    assert not tried


@pytest.mark.parametrize(
    ("count", "most", "right"),
    [
        (10, 4, [0, 3, 6, 9]),
        (9, 4, [0, 2, 5, 8]),
        (3, 4, [0, 1, 2]),
        (4, 4, [0, 1, 2, 3]),
        (1, 4, [0]),
        (0, 4, []),
        (5, 1, [0]),
    ],
)
def test_pictures_are_spread_evenly_and_none_comes_twice(count, most, right):
    assert spread(count, most) == right
