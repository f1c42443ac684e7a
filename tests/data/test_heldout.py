"""The held-out quarter: the bytes of a picture decide, and nothing else does."""

import hashlib
import shutil
import tarfile

import numpy as np
import pytest
from pictures import tree

from alexnet.data.listing import digest
from alexnet.data.open import from_store, open_data, warped
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.errors import DataError


def folder(root, counts):
    """Writes files named as pictures, whose bytes are a class and a number."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (root / name / f"{i:03d}.jpg").write_bytes(f"{name} {i}".encode())
    return root


def sides(root, **options):
    """Gives the bytes of the pictures of each split."""
    splits = open_source(root, **options).splits
    return {split: {listing.read(i) for i in range(len(listing))} for split, listing in splits.items()}


def held(root, **options):
    return sides(root, **options)["val"]


def test_the_pictures_that_are_held_out_are_these(tmp_path):
    expected = {b"a 2", b"a 3", b"a 5", b"a 9", b"a 11", b"b 1", b"b 3", b"b 5", b"b 6"}
    assert held(folder(tmp_path, {"a": 12, "b": 12})) == expected


def test_about_a_quarter_of_every_class_is_held_out(tmp_path):
    splits = open_source(folder(tmp_path, {"a": 1000, "b": 400})).splits
    counts = np.bincount(splits["val"].labels)
    assert counts[0] == pytest.approx(250, abs=28)  # two standard deviations
    assert counts[1] == pytest.approx(100, abs=18)
    assert len(splits["train"]) + len(splits["val"]) == 1400


@pytest.mark.parametrize("count", range(2, 12))
def test_every_class_however_small_has_pictures_on_both_sides(tmp_path, count):
    splits = open_source(folder(tmp_path, {f"class {i}": count for i in range(40)})).splits
    for listing in splits.values():
        assert np.bincount(listing.labels, minlength=40).min() >= 1
    assert len(splits["train"]) + len(splits["val"]) == 40 * count


def test_pictures_that_come_or_go_move_no_others(tmp_path):
    root = folder(tmp_path, {"a": 100, "b": 100})
    before = sides(root)
    for i in range(0, 100, 3):
        (root / "a" / f"{i:03d}.jpg").unlink()
    folder(root, {"a/more": 50, "c": 30})
    after = sides(root)
    assert not before["train"] & after["val"]
    assert not before["val"] & after["train"]


def test_neither_the_name_of_a_picture_nor_that_of_its_class_matters(tmp_path):
    root = folder(tmp_path / "one", {"a": 50, "b": 50})
    before = held(root)
    (root / "a").rename(root / "z")
    for i, path in enumerate(sorted((root / "b").iterdir())):
        path.rename(path.with_name(f"renamed {(7 * i) % 50}.png"))
    assert held(root) == before
    with tarfile.open(tmp_path / "one.tar", "w") as tar:
        tar.add(root, "one")
    assert held(tmp_path / "one.tar") == before


def test_copies_of_a_picture_lie_on_one_side(tmp_path):
    root = folder(tmp_path, {"a": 60, "b": 60})
    for path in list((root / "a").iterdir()):
        shutil.copy(path, root / "b" / f"copy of {path.name}")
        shutil.copy(path, root / "a" / f"copy of {path.name}")
    splits = sides(root)
    assert not splits["train"] & splits["val"]
    assert len(splits["train"] | splits["val"]) == 120


def test_of_a_class_of_copies_a_quarter_is_held_out(tmp_path):
    root = folder(tmp_path, {"a": 20})
    (root / "b").mkdir()
    for i in range(8):
        (root / "b" / f"{i}.jpg").write_bytes(b"one picture")
    splits = open_source(root).splits
    assert np.bincount(splits["val"].labels)[1] == 2
    assert np.bincount(splits["train"].labels)[1] == 6


def test_another_seed_holds_out_other_pictures(tmp_path):
    root = folder(tmp_path, {"a": 200, "b": 200})
    assert held(root, seed=1) == held(root, seed=1)
    both = held(root, seed=1) & held(root, seed=2)
    assert len(both) == pytest.approx(400 / 16, abs=12)


def test_a_class_of_one_picture_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="class 'b' has 1 picture: a split needs at least 2"):
        open_source(folder(tmp_path, {"a": 3, "b": 1}))


def test_the_files_are_read_once_and_only_if_they_are_asked_for(tmp_path, monkeypatch):
    root, fetched = folder(tmp_path, {"a": 3, "b": 3}), []

    def open_counting():
        source = open_source(root)
        fetch = source.splits.whole.fetch
        source.splits.whole.__dict__["fetch"] = lambda row: fetched.append(row) or fetch(row)
        return source

    open_counting()
    assert fetched == []
    assert len(open_counting().splits["val"]) == 2
    assert sorted(fetched) == [0, 1, 2, 3, 4, 5]
    assert len(open_counting().splits["val"]) == 2
    assert len(fetched) == 6
    (root / "a" / "000.jpg").write_bytes(b"changed")
    assert len(open_counting().splits["val"])
    assert len(fetched) == 12


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "file"))
    assert len(held(folder(tmp_path / "source", {"a": 12, "b": 12}))) == 9


def test_an_unreadable_picture_is_left_to_training(tmp_path):
    root = folder(tmp_path, {"a": 12, "b": 12})
    source = open_source(root)
    (root / "a" / "000.jpg").unlink()
    names = {source.splits["val"].name(i) for i in range(len(source.splits["val"]))}
    assert "a/000.jpg" not in names
    assert len(source.splits["train"]) + len(names) == 24


def test_the_demos_photographs_are_held_out_as_published():
    pytest.importorskip("elpv_dataset")
    val = open_source("solar-cells").splits["val"]
    assert len(val) == 656
    names = "".join(val.name(i) for i in range(656))
    assert hashlib.md5(names.encode()).hexdigest() == "53f438316be10e01085e3f6b149efc35"


def test_a_source_without_splits_is_drawn_by_names_for_the_runs_of_version_0_1(tmp_path):
    root = folder(tmp_path, {"a": 12, "b": 12})
    assert sorted(held(root, draw="names")) == [b"a 2", b"a 4", b"a 8", b"b 1", b"b 10", b"b 7"]


def test_a_store_knows_its_pictures_by_the_bytes_of_their_files(tmp_path):
    root = tree(tmp_path / "pets", {"cat": 5, "dog": 4}, 20, 20)
    files = sorted(digest(path.read_bytes()) for path in root.rglob("*.jpg"))
    for store in (
        pack(open_source(root), tmp_path / "store", size=16),
        open_data(root, size=16, square="warp"),
        pack(warped(from_store(pack(open_source(root), tmp_path / "store", size=16)), 12), tmp_path / "again", size=12),
    ):
        known = [int(each) for split in store.splits.values() for each in split.digests]
        assert sorted(known) == files
