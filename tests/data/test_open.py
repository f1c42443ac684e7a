from dataclasses import replace
from pathlib import Path

import pytest
from pictures import encoded, tree

from alexnet.data.decode import load
from alexnet.data.open import (
    cache_directory,
    check_square,
    default_split,
    open_data,
    open_undecoded,
    refuse_inside,
    source_of,
    warped,
)
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.errors import UsageError
from alexnet.observer import Observer
from alexnet.records import Dataset


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def source(small):
    return open_source(small)


class Listener(Observer):
    def __init__(self):
        self.heard = []

    def began(self, what):
        self.heard.append(what)

    def advanced(self, done, total):
        self.heard.append((done, total))


def test_a_source_is_packed_into_the_cache_once(small, tmp_path):
    listener, again = Listener(), Listener()
    first = open_data(small, size=16, observer=listener)
    assert (listener.heard[0], listener.heard[-1]) == ("packing", (13, 13))
    assert first.directory == cache_directory(open_source(small), 16)
    assert first.directory.parent == tmp_path / "cache"
    assert open_data(small, size=16, observer=again).content_hash == first.content_hash
    assert open_data(first.directory, observer=again).content_hash == first.content_hash
    assert again.heard == []


def test_the_cache_keeps_apart_what_differs(tmp_path):
    flat = tree(tmp_path / "flat", {"a": 8, "b": 8})
    places = [cache_directory(open_source(flat, seed=seed), size) for seed in (0, 1) for size in (16, 32)]
    (flat / "a/0000.jpg").write_bytes(encoded(quality=30))
    places.append(cache_directory(open_source(flat), 16))
    flat.rename(tmp_path / "moved")
    places.append(cache_directory(open_source(tmp_path / "moved"), 16))
    assert len(set(places)) == 6


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("solar-cells", "solar-cells"),
        ("café_2.1", "café_2.1"),
        ("../../x", "_._.._x"),
        ("..", "_."),
        (".hidden", "_hidden"),
        ("a/b\\c\n\ud800", "a_b_c__"),
        ("x" * 300, "x" * 60),
    ],
)
def test_no_name_leaves_the_cache(source, tmp_path, name, kept):
    place = cache_directory(replace(source, name=name), 16)
    ordinary = cache_directory(source, 16)
    assert place.parent == tmp_path / "cache"
    assert place.name == kept + ordinary.name.removeprefix("pets")
    place.mkdir(parents=True)


def test_a_folder_with_the_manifest_of_another_program_is_a_source(small):
    (small / "dataset.json").write_text('{"version": 1, "format": "coco", "name": "pets"}')
    assert open_data(small, size=16).name == "pets"


def test_the_cache_lies_at_home_by_default(source, monkeypatch):
    monkeypatch.delenv("ALEXNET_CACHE", raising=False)
    assert cache_directory(source).parent == Path.home() / ".cache/alexnet"


def test_a_network_that_wants_warped_pictures_gets_them(small):
    store = open_data(small, size=16, square="warp")
    assert store.square == "warp"
    assert store.directory != open_data(small, size=16).directory
    stored, data = store.splits["val"].read(0).astype(int), open_source(small).splits["val"].read(0)
    stretched, centre = (abs(stored - load(data, "x", 16, square)).mean() for square in ("warp", "centre"))
    assert stretched < centre / 2


def test_a_packed_store_of_other_squares_is_refused(small, tmp_path):
    centres = pack(open_source(small), tmp_path / "centres", size=16)
    stretched = pack(warped(open_source(small), 16), tmp_path / "stretched", size=16)
    assert open_data(centres.directory).square == "centre"
    assert open_data(stretched.directory, square="warp").square == "warp"
    with pytest.raises(
        UsageError,
        match=r"centres holds the centre squares of its pictures, but the network was trained on its pictures "
        r"warped to squares: give the source that the store was packed from",
    ):
        open_data(centres.directory, square="warp")
    with pytest.raises(UsageError, match="stretched holds its pictures warped to squares, but"):
        check_square(stretched, "centre")


def test_a_subset_and_another_size_of_a_store_are_packed_into_the_cache(small, tmp_path):
    store = pack(open_source(small), tmp_path / "store", size=32)
    assert open_data(store.directory, size=16).size == 32
    assert open_data(store.directory, size=32, is_resized=True).directory == store.directory
    assert open_data(store.directory, size=16, is_resized=True).size == 16
    assert len(open_data(store.directory, size=32, most=4).splits["train"]) == 4
    assert len(open_data(small, size=32, most=4).splits["train"]) == 4


def test_the_files_of_a_source_and_of_its_store_have_the_same_names(small, tmp_path):
    store = pack(open_source(small), tmp_path / "store", size=16)
    ours, theirs = open_undecoded(small).splits["val"], open_undecoded(store.directory).splits["val"]
    assert [ours.name(i) for i in range(4)] == [theirs.name(i) for i in range(4)]
    assert ours.read(0) == (small / "val/cat/0000.jpg").read_bytes()
    assert theirs.read(0) == store.splits["val"].jpeg(0)


@pytest.mark.parametrize(("splits", "measured"), [(("val",), "val"), (("test",), "test"), (("test", "val"), "val")])
def test_val_is_measured_by_default_or_else_test(splits, measured, tmp_path):
    folder = tree(tmp_path / "splits", {f"{split}/{name}": 2 for split in ("train", *splits) for name in "ab"})
    assert default_split(open_source(folder)) == measured


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "the run does not say what it was trained with; give `data`"),
        (Dataset(), "the run does not say what it was trained with; give `data`"),
        (Dataset(source="https://host/store"), "trained with https://host/store; give `data=https://host/store`"),
    ],
)
def test_a_run_that_does_not_say_its_data_or_names_an_address_is_refused(data, why):
    assert source_of(Dataset(source="/pictures")) == "/pictures"
    with pytest.raises(UsageError, match=why):
        source_of(data)


def test_a_run_inside_its_pictures_is_refused(small, tmp_path):
    refuse_inside(tmp_path / "run", str(small))
    with pytest.raises(UsageError, match=r"lies inside .*, which is only read: choose a folder outside of it"):
        refuse_inside(small / "run", str(small))
