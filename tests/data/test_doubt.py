"""Pictures of one colour, and nearly black ones, are counted and named where they are packed."""

import json

import numpy as np
import pytest
from damage import unsealed
from pictures import encoded, photograph

from alexnet.commands.results import doubtful
from alexnet.data.doubt import doubt
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.records import Doubtful


def plain(level, height=40, width=40):
    return np.full((height, width, 3), level, np.uint8)


def with_a_spot(level):
    pixels = plain(0)
    pixels[5, 7] = level
    return pixels


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (plain(255), "one colour"),
        (plain((10, 200, 30)), "one colour"),
        (plain(0), "one colour"),
        (plain(100) + np.arange(3, dtype=np.uint8).repeat(40 * 40).reshape(3, 40, 40).transpose(1, 2, 0), "one colour"),
        (with_a_spot(2), "one colour"),
        (with_a_spot(3), "nearly black"),
        (with_a_spot(31), "nearly black"),
        (with_a_spot(32), None),
        (photograph(), None),
        (photograph() // 8, "nearly black"),
        (photograph() // 4, None),
    ],
)
def test_what_shows_nothing_is_told_from_what_does(pixels, expected):
    assert doubt(pixels) == expected


@pytest.fixture
def packed(tmp_path):
    for name, pixels in {
        "train/cat/a": photograph(seed=1),
        "train/cat/b": plain(255),
        "train/dog/c": photograph(seed=2),
        "train/dog/d": photograph(seed=3) // 10,
        "val/cat/e": plain(90),
        "val/dog/f": photograph(seed=4),
    }.items():
        path = tmp_path / "source" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(pixels, "PNG"))
    return pack(open_source(tmp_path / "source"), tmp_path / "store", size=32)


def test_a_store_names_the_pictures_that_may_show_nothing_and_holds_them(packed):
    def entry(split, kind, name, why):
        return Doubtful(split=split, class_name=kind, name=name, doubt=why)

    expected = (
        entry("train", "cat", "train/cat/b.png", "one colour"),
        entry("train", "dog", "train/dog/d.png", "nearly black"),
        entry("val", "cat", "val/cat/e.png", "one colour"),
    )
    assert packed.doubtful == Store(packed.directory).doubtful == expected
    assert len(packed.splits["train"]) == 4
    assert packed.quarantine == ()


def test_a_store_of_before_doubts_nothing(packed):
    path = packed.directory / "dataset.json"
    manifest = unsealed(path.read_text())
    del manifest["doubtful"]
    path.write_text(json.dumps(manifest))
    assert Store(packed.directory).doubtful == ()


def test_doubtful_pictures_are_told_in_a_line_for_each_doubt(packed):
    assert doubtful(packed.doubtful) == [
        "2 pictures are of one colour, such as train/cat/b.png",
        "1 picture is nearly black, such as train/dog/d.png",
    ]
    assert doubtful(()) == []
