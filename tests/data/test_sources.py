import errno
import gzip
import hashlib
import io
import os
import sys
import tarfile
import unicodedata

import numpy as np
import pytest
from evil import CHAIN, tar_header
from pictures import encoded, tree

from alexnet.data.sources import open_source
from alexnet.errors import AlexNetError, DataError, UsageError


def tarred(folder, path, mode="w"):
    with tarfile.open(path, mode) as tar:
        tar.add(folder, folder.name)
    return path


def contents(source):
    return {
        split: [(listing.name(i), int(listing.labels[i]), listing.read(i)) for i in range(len(listing))]
        for split, listing in source.splits.items()
    }


def snapshot(root):
    return {
        path: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None)
        for path in sorted(root.rglob("*"))
    }


def test_a_tree_with_splits_is_read_as_it_lies(small):
    source = open_source(small)
    assert (source.name, source.kind, source.classes) == ("pets", "folder", ("cat", "dog"))
    assert {split: listing.labels.tolist() for split, listing in source.splits.items()} == {
        "train": [0] * 5 + [1] * 4,
        "val": [0, 0, 1, 1],
    }
    train = source.splits["train"]
    assert train.name(5) == "train/dog/0000.jpg"
    assert train.read(5) == (small / "train/dog/0000.jpg").read_bytes()
    assert train.labels.dtype == np.int64


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_every_name_of_the_validation_folder_is_known(tmp_path, name):
    tree(tmp_path, {"train/a": 1, "train/b": 1, f"{name}/a": 1})
    assert set(open_source(tmp_path).splits) == {"train", "val"}


def test_a_tar_file_gives_what_its_folder_gives(small, tmp_path):
    wrapped = open_source(tarred(small, tmp_path / "pets.tar"))
    for split, pictures in contents(open_source(small)).items():
        assert contents(wrapped)[split] == [("pets/" + name, label, data) for name, label, data in pictures]


def test_hidden_files_and_non_pictures_are_ignored_and_listed(small):
    for name in (".DS_Store", "train/.ipynb_checkpoints/x.jpg", "train/cat/Thumbs.db", "train/cat/._0000.jpg",
                 "__MACOSX/train/cat/1.jpg", "README.md", "stray.jpg", "train/stray.png"):  # fmt: skip
        (small / name).parent.mkdir(parents=True, exist_ok=True)
        (small / name).write_bytes(encoded())
    source = open_source(small)
    assert source.classes == ("cat", "dog")
    assert len(source.splits["train"]) == 9
    assert sorted(source.ignored) == [
        ".DS_Store", "README.md", "__MACOSX", "stray.jpg", "train/.ipynb_checkpoints",
        "train/cat/._0000.jpg", "train/cat/Thumbs.db", "train/stray.png",
    ]  # fmt: skip


def test_pictures_below_a_class_folder_belong_to_it(tmp_path):
    tree(tmp_path, {"train/a/x/y/z": 2, "train/a": 1, "train/b": 1})
    assert open_source(tmp_path).splits["train"].labels.tolist() == [0, 0, 0, 1]


def test_labels_follow_names_where_a_class_is_missing_in_val(tmp_path):
    tree(tmp_path, {"train/a": 1, "train/b": 1, "train/c": 1, "val/c": 2})
    assert open_source(tmp_path).splits["val"].labels.tolist() == [2, 2]


def test_train_may_be_a_class(tmp_path):
    tree(tmp_path / "one", {"bus": 4, "car": 4, "train": 4})
    assert open_source(tmp_path / "one").classes == ("bus", "car", "train")
    tree(tmp_path / "two", {"train/bus": 1, "train/train": 1, "val/train": 1, "extra": 1})
    assert open_source(tmp_path / "two").classes == ("bus", "train")


def test_accents_are_the_same_however_they_are_written(tmp_path):
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    tree(tmp_path, {f"train/{apart}": 1, "train/bar": 1, f"val/{composed}": 1, f"test/{apart}": 1})
    source = open_source(tmp_path)
    assert source.classes == ("bar", apart)
    assert [source.splits[split].labels.tolist() for split in ("train", "val", "test")] == [[0, 1], [1], [1]]


@pytest.mark.parametrize("names", [(b"caf\xe8", b"caf\xe9"), ("café".encode(), "cafe\u0301".encode())])
@pytest.mark.parametrize("top", ["", "train/"])
def test_classes_that_are_printed_alike_are_refused(tmp_path, names, top):
    tree(tmp_path, {top + os.fsdecode(name): 4 for name in names})
    with pytest.raises(DataError, match=r"class folders b'.*' and b'.*' are both printed 'caf.+': rename one"):
        open_source(tmp_path)


TROUBLE = {
    "unknown class": ({"train/dress": 1, "train/hat": 1, "val/dres": 1}, "'dres' of val .*did you mean 'dress'"),
    "one class": ({"train/a": 2, "val/a": 1}, "one class only .*'a'"),
    "one class, unsplit": ({"a": 2}, "one class only"),
    "empty class": ({"train/a": 2, "train/b": 2, "train/c": 0}, "'c' holds no pictures"),
    "empty class, unsplit": ({"a": 2, "b": 2, "c": 0}, "'c' holds no pictures"),
    "empty split": ({"train/a": 2, "train/b": 2, "val": 0}, "'val' holds no pictures"),
    "empty train": ({"train": 0, "val/a": 2, "val/b": 2}, "'train' holds no pictures"),
    "no train": ({"test/a": 2, "val/a": 2}, "test and val but no train"),
    "no pictures": ({"a": 0, "b": 0}, "no pictures"),
    "nothing": ({".": 0}, "no pictures"),
    "no class folders": ({".": 3}, "no class folder"),
    "no class folders in train or val": ({"train": 3, "val": 3}, "no class folder"),
    "no class folders in train, val or another": ({"train": 3, "val": 3, "masks": 3}, "no class folder"),
    "flat train and test under other names": ({"train": 3, "test1": 3, "test2": 3}, "no class folder"),
    "no class folders in train": ({"train": 3, "val/a": 1}, "'train' holds no pictures"),
    "a single picture": ({"a": 1, "b": 3}, "'a' has 1 picture"),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_tree_that_cannot_serve_is_refused_in_one_line(tmp_path, kind):
    folders, message = TROUBLE[kind]
    with pytest.raises(DataError, match=message) as error:
        open_source(tree(tmp_path / "pets", folders))
    assert "\n" not in str(error.value)


def test_a_wrong_path_is_refused_with_a_near_one(small):
    with pytest.raises(UsageError, match="did you mean 'pets'"):
        open_source(small.parent / "pest")


def test_a_misspelt_built_in_source_is_recognised():
    with pytest.raises(UsageError, match="'solar-cells'"):
        open_source("solar-cell")


def test_a_packed_store_is_no_source(tmp_path):
    (tmp_path / "dataset.json").write_text('{"format": "alexnet packed store", "ver')
    with pytest.raises(UsageError, match="packed store"):
        open_source(tmp_path)


def test_a_text_file_is_no_source(tmp_path):
    (tmp_path / "list.txt").write_text("a.jpg 0")
    with pytest.raises(UsageError, match="no known source"):
        open_source(tmp_path / "list.txt")


def test_links_are_followed_and_loops_end(small):
    (small / "train/cat/up").symlink_to(small)
    (small / "train/cat/self").symlink_to("self")
    (small / "train/bird").symlink_to(small / "val/dog")
    assert open_source(small).classes == ("bird", "cat", "dog")


def test_an_unreadable_folder_is_named(small, monkeypatch):
    scandir = os.scandir

    def scan_or_fail(folder):
        if folder == small / "train/cat":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", scan_or_fail)
    with pytest.raises(DataError, match="train/cat cannot be read"):
        open_source(small)


def test_names_that_are_no_utf8_can_be_read_and_printed(tmp_path):
    tree(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "a/0000.jpg").rename(tmp_path / "a" / os.fsdecode(b"caf\xe9.jpg"))
    splits = open_source(tmp_path).splits
    names = {x.name(i): x.read(i) for x in splits.values() for i in range(len(x))}
    assert names["a/caf\ufffd.jpg"]


def test_reading_a_source_changes_nothing(small):
    before = snapshot(small)
    contents(open_source(small))
    assert snapshot(small) == before


def test_the_fingerprint_follows_content_and_seed(small, tmp_path):
    first = open_source(small).fingerprint
    assert open_source(small, seed=1).fingerprint == first  # it brings its own split
    (small / "val/cat/0000.jpg").write_bytes(encoded(quality=50))
    assert open_source(small).fingerprint != first
    flat = tree(tmp_path / "flat", {"a": 4, "b": 4})
    assert open_source(flat).fingerprint != open_source(flat, seed=1).fingerprint


def test_a_compressed_tar_asks_to_be_uncompressed(small, tmp_path):
    with pytest.raises(DataError, match="uncompress"):
        open_source(tarred(small, tmp_path / "pets.tar.gz", "w:gz"))


@pytest.mark.parametrize("length", [12, 30])
def test_a_compressed_file_that_ends_early_is_refused(tmp_path, length):
    path = tmp_path / "pets.tar.gz"
    path.write_bytes(gzip.compress(np.random.default_rng(0).bytes(20_000))[:length])
    with pytest.raises(DataError, match="uncompress it or fetch it again"):
        open_source(path)


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.8])
def test_a_truncated_tar_is_refused(small, tmp_path, keep):
    path = tarred(small, tmp_path / "pets.tar")
    with tarfile.open(path) as tar:
        end = tar.getmembers()[-1].offset_data
    for cut in (int(end * keep), int(end * keep) // 512 * 512, end):
        short = tmp_path / "short.tar"
        short.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(DataError, match=r"short\.tar"):
            open_source(short)


def test_a_tar_cut_between_two_members_is_refused(small, tmp_path):
    path = tarred(small, tmp_path / "pets.tar")
    with tarfile.open(path) as tar:
        place = tar.getmembers()[-1].offset
    path.write_bytes(path.read_bytes()[:place])
    with pytest.raises(DataError, match="truncated"):
        open_source(path)


FORGED = {
    "a chain of long names": CHAIN,
    "a pax header of no numbers": tar_header("x", tarfile.XHDTYPE, b"20 GNU.sparse.map=x\n"),
    "a pax header of a huge size": tar_header("x", tarfile.XHDTYPE, b"49 size=%d\n" % 10**40),
    "a pax header of a negative size": tar_header("x", tarfile.XHDTYPE, b"15 size=-1000\n"),
    "a huge member": tar_header("a/0.jpg", size=1 << 80),
    "a negative member": tar_header("a/0.jpg", size=-512),
    "a huge long name": tar_header("x", tarfile.GNUTYPE_LONGNAME, size=1 << 80),
    "a long name": tar_header("x", tarfile.GNUTYPE_LONGNAME, b"a/" + b"y" * 4091 + b".jpg"),
    "a long name for all": tar_header("x", tarfile.XGLTYPE, b"5012 path=%s\n" % (b"y" * 5001)),
}


REFUSED = r"forged\.tar is (no plain tar \(.+\): uncompress it|damaged or truncated at byte [\d,]+: fetch it again)"
"""Later versions of Python end where a header is forged, as if the file did; the rest gives it away."""


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_tar_is_refused_in_one_line(tmp_path, kind):
    pictures = b"".join(tar_header(f"{label}/{i}.jpg", data=encoded()) for label in "ab" for i in range(4))
    path = tmp_path / "forged.tar"
    for before in (b"", pictures):
        path.write_bytes(before + FORGED[kind] + pictures + bytes(1024))
        with pytest.raises(DataError, match=REFUSED) as error:
            open_source(path)
        assert len(str(error.value)) < 1000


def test_a_name_in_a_tar_may_be_as_long_as_a_path(tmp_path):
    long = "a/" + "y" * 4090 + ".jpg"
    with tarfile.open(tmp_path / "long.tar", "w") as tar:
        for name in (long, "a/1.jpg", "b/1.jpg", "b/2.jpg"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    splits = open_source(tmp_path / "long.tar").splits
    assert long in {listing.name(i) for listing in splits.values() for i in range(len(listing))}


@pytest.mark.parametrize("names", [("/a/1.jpg", "/a/2.jpg", "b/1.jpg"), ("//1.jpg", "//2.jpg", "/a/1.jpg")])
def test_a_class_without_a_name_is_refused(tmp_path, names):
    path = tmp_path / "absolute.tar"
    path.write_bytes(b"".join(tar_header(name) for name in names) + bytes(1024))
    with pytest.raises(DataError, match=r"absolute\.tar: a class folder has no name, as in absolute paths"):
        open_source(path)


def test_links_in_a_tar_are_ignored(small, tmp_path):
    (small / "train/cat/link.jpg").symlink_to("/etc/passwd")
    source = open_source(tarred(small, tmp_path / "pets.tar"))
    assert source.ignored == ["pets/train/cat/link.jpg"]


def test_thousands_of_pictures_are_a_few_arrays(tmp_path):
    path = tmp_path / "many.tar"
    with path.open("wb") as file:
        for split in ("train", "val"):
            for label in "ab":
                for i in range(1000):
                    file.write(tarfile.TarInfo(f"{split}/{label}/{i:06d}.jpg").tobuf())
        file.write(bytes(1024))
    train = open_source(path).splits["train"]
    assert sys.getsizeof(train.names._buffer) < 40 * 4000
    assert train.names._ends.itemsize * len(train.names._ends) == 8 * 4001
    assert isinstance(train.rows, np.ndarray)


def test_the_clothing_archive_is_read_as_it_is(shared):
    source = open_source(shared / "clothing.tar")
    assert {split: len(listing) for split, listing in source.splits.items()} == {
        "train": 3068,
        "val": 341,
        "test": 372,
    }
    assert len(source.classes) == 10
    assert source.ignored == ["clothing/LICENSE", "clothing/README.md"]
    assert source.splits["test"].read(371)[:2] == b"\xff\xd8"


def test_the_solar_cells_are_split_by_the_published_labels():
    pytest.importorskip("elpv_dataset")
    source = open_source("solar-cells")
    train, val = source.splits["train"].labels, source.splits["val"].labels
    assert source.classes == ("functional", "defective")
    assert (len(train) + len(val), (train == 1).sum() + (val == 1).sum()) == (2624, 821)
    assert np.bincount(val).tolist() == [451, 205]
    assert source.splits["val"].read(0)[:4] == b"\x89PNG"
    assert "CC BY-NC-SA 4.0" in source.licence
    assert "Solar Energy" in source.licence


def test_missing_solar_cells_say_how_to_get_them(monkeypatch):
    monkeypatch.setattr("alexnet.data.sources.find_spec", lambda name: None)
    with pytest.raises(AlexNetError, match=r"pip install 'alexnet\[solar-cells\]'"):
        open_source("solar-cells")
