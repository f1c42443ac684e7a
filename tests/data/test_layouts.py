"""What trees of folders are understood to be, and what is said of everything that is left out."""

import os
import tarfile

import numpy as np
import pytest
from pictures import encoded, tree

from alexnet.data.sources import open_source
from alexnet.errors import DataError
from alexnet.records import Selection


def left_out(source):
    return {entry.path: (entry.cause, entry.reason) for entry in source.left_out}


def put(folder, *names, content=None):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(encoded() if content is None else content)


BINS = ("#recycle", "@Recycle", "$RECYCLE.BIN", ".Trash-1000", "#snapshot", ".snapshot", "lost+found", "@eaDir",
        "System Volume Information", ".thumbnails", "__MACOSX")  # fmt: skip


@pytest.mark.parametrize("name", BINS)
@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_bins_snapshots_and_thumbnails_of_systems_are_no_classes(tmp_path, name, kind):
    folder = tree(tmp_path / "pets", {"cat": 4, "dog": 4, f"{name}/old": 4})
    if kind == "tar":
        with tarfile.open(tmp_path / "pets.tar", "w") as tar:
            for entry in folder.iterdir():
                tar.add(entry, entry.name)
        folder = tmp_path / "pets.tar"
    source = open_source(folder)
    assert source.classes == ("cat", "dog")
    assert left_out(source) == {name: ("bin", "a bin, snapshots or thumbnails of the system")}


def test_pictures_without_an_ending_are_known_by_their_first_bytes(tmp_path):
    tree(tmp_path, {"cat": 4})
    put(tmp_path / "bird", "image1", "image2", "photo.jpg_large", "photo.2")
    put(tmp_path / "bird", "notes", "photo.bak", content=b"seen at the lake")
    source = open_source(tmp_path)
    assert source.classes == ("bird", "cat")
    assert sum(int((listing.labels == 0).sum()) for listing in source.splits.values()) == 4
    assert set(left_out(source)) == {"bird/notes", "bird/photo.bak"}


def test_everything_that_is_no_picture_is_listed_with_its_reason(tmp_path):
    tree(tmp_path, {"cat": 4, "dog": 4})
    put(tmp_path / "cat", "drawing.svg", "list.csv", content=b"x")
    (tmp_path / "cat/lost.jpg").symlink_to("/mnt/away/lost.jpg")
    os.mkfifo(tmp_path / "dog/pipe.jpg")
    assert left_out(open_source(tmp_path)) == {
        "cat/drawing.svg": ("kind", "SVG, a drawing: export it as PNG"),
        "cat/list.csv": ("kind", "a table, not a picture"),
        "cat/lost.jpg": ("link", "a dead link to /mnt/away/lost.jpg"),
        "dog/pipe.jpg": ("special", "a pipe, which is never opened"),
    }


def meaning(source):
    """The classes, and of each split the number of pictures of every class."""
    counts = {
        split: np.bincount(listing.labels, minlength=len(source.classes)) for split, listing in source.splits.items()
    }
    return source.classes, {split: count.tolist() for split, count in counts.items()}


TRAIN_AND_TEST = {"train": [4, 5], "test": [2, 3]}
SPELLINGS = [
    ("Training", "Testing"), ("TRAIN", "TEST"), ("train_set", "test_set"), ("trainset", "testset"),
    ("Train_Images", "Test_Images"),
    ("trainingData", "testingData"), ("images/train", "images/test"), ("pets/data/train", "pets/data/test"),
    ("dataset-train", "dataset-test"), ("seg_train/seg_train", "seg_test/seg_test"), ("train/train", "test/test"),
    ("training_set/training_set", "test_set/test_set"), ("train/images", "test/images"), ("01_training", "02_testing"),
    ("train2017", "test2017"),
]  # fmt: skip


@pytest.mark.parametrize(("train", "test"), SPELLINGS)
def test_splits_are_known_however_they_are_spelt(tmp_path, train, test):
    tree(tmp_path / "set", {f"{train}/none": 5, f"{train}/glioma": 4, f"{test}/none": 3, f"{test}/glioma": 2}, 4, 4)
    source = open_source(tmp_path / "set")
    assert meaning(source) == (("glioma", "none"), TRAIN_AND_TEST)


@pytest.mark.parametrize(
    "name", ["val", "valid", "Validation", "dev", "eval", "val_set", "validation-images", "evaluation"]
)
def test_validation_splits_are_known_however_they_are_spelt(tmp_path, name):
    tree(tmp_path, {"Training/a": 2, "Training/b": 2, f"{name}/a": 1, f"{name}/b": 1}, 4, 4)
    assert meaning(open_source(tmp_path)) == (("a", "b"), {"train": [2, 2], "val": [1, 1]})


UNDERSTOOD = {
    "train divided once more": (
        {"train/train/a": 3, "train/train/b": 3, "train/val/a": 1, "train/val/b": 2, "test/a": 1, "test/b": 1},
        {"train": [3, 3], "val": [1, 2], "test": [1, 1]},
    ),
    "train in several parts": (
        {"train.X1/a": 3, "train.X2/b": 4, "val.X/a": 1, "val.X/b": 2},
        {"train": [3, 4], "val": [1, 2]},
    ),
    "splits in classes": (
        {"a/train": 3, "a/test": 1, "b/train": 2, "b/test": 2},
        {"train": [3, 2], "test": [1, 2]},
    ),
    "classes beside a test folder": (
        {"a": 4, "b": 5, "test/a": 2, "test/b": 3},
        {"train": [4, 5], "test": [2, 3]},
    ),
    "class folders of a folder each": (
        {"train/a/images": 3, "train/b/images": 4, "val/a/images": 1, "val/b/images": 2},
        {"train": [3, 4], "val": [1, 2]},
    ),
    "documents beside the data": (
        {"data/train/a": 3, "data/train/b": 3, "data/val/a": 1, "data/val/b": 1, "docs/figures": 2},
        {"train": [3, 3], "val": [1, 1]},
    ),
    "empty folders of annotations": (
        {"images/train/a": 3, "images/train/b": 3, "images/val/a": 1, "images/val/b": 1, "labels/train": 0},
        {"train": [3, 3], "val": [1, 1]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNDERSTOOD)
def test_a_tree_is_understood_as_it_was_meant(tmp_path, kind):
    folders, splits = UNDERSTOOD[kind]
    assert meaning(open_source(tree(tmp_path / "set", folders, 4, 4))) == (("a", "b"), splits)


CLASSES_LIKE_SPLITS = {
    "faces": ({"training_fake": 4, "training_real": 4}, ("training_fake", "training_real")),
    "fruit": ({"valid": 4, "invalid": 4, "unsure": 4}, ("invalid", "unsure", "valid")),
    "places": ({"train station": 4, "airport": 4, "harbour": 4}, ("airport", "harbour", "train station")),
}


@pytest.mark.parametrize("kind", CLASSES_LIKE_SPLITS)
def test_classes_that_are_called_like_splits_stay_classes(tmp_path, kind):
    folders, classes = CLASSES_LIKE_SPLITS[kind]
    assert open_source(tree(tmp_path / "set", folders, 4, 4)).classes == classes


HARDLY_CLASSES = {
    "domains": {"amazon/bike": 2, "amazon/mug": 2, "dslr/bike": 2, "dslr/mug": 2},
    "folds": {f"fold{i}/{name}": 2 for i in (1, 2, 3) for name in ("cat", "dog")},
    "patients": {f"{patient}/{label}": 2 for patient in (8863, 8864, 8865) for label in (0, 1)},
    "below train": {f"train/{time}/{name}": 2 for time in ("day", "night") for name in ("car", "bus")},
    "domains of splits": {
        f"{place}/{split}/{name}": 2 for place in "ab" for split in ("train", "test") for name in "xy"
    },
}


@pytest.mark.parametrize("kind", HARDLY_CLASSES)
def test_folders_that_hold_the_same_folders_are_never_classes(tmp_path, kind):
    with pytest.raises(DataError, match=r"hold the same folders|holds splits") as error:
        open_source(tree(tmp_path / "set", HARDLY_CLASSES[kind], 4, 4))
    assert "\n" not in str(error.value)


def test_a_copy_of_the_tree_inside_itself_is_no_class(tmp_path):
    inner = {"cell_images/sick": 4, "cell_images/well": 4}
    source = open_source(tree(tmp_path, {"sick": 4, "well": 5, **inner}, 4, 4))
    assert source.classes == ("sick", "well")
    assert sum(map(len, source.splits.values())) == 9
    (entry,) = source.left_out
    assert (entry.path, entry.cause, entry.count) == ("cell_images", "copy", 8)


def test_a_copy_beside_the_splits_is_left_out(tmp_path):
    folders = {"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1}
    source = open_source(tree(tmp_path, {**folders, **{f"xray/{name}": n for name, n in folders.items()}}, 4, 4))
    assert meaning(source) == (("a", "b"), {"train": [3, 3], "val": [1, 1]})
    (entry,) = source.left_out
    assert (entry.path, entry.cause, entry.count) == ("xray", "outside", 8)


@pytest.mark.parametrize("test", ["test", "Testing/images", "test/test", "test1"])
def test_an_unlabelled_test_folder_is_left_out_with_a_word(tmp_path, test):
    source = open_source(tree(tmp_path, {"train/cat": 8, "train/dog": 8, test: 5}, 4, 4), draw="names")
    assert meaning(source) == (("cat", "dog"), {"train": [6, 6], "val": [2, 2]})
    top = test.split("/")[0]
    assert left_out(source) == {top: ("unlabelled", f"in no class folders of {top}")}
    assert source.left_out[0].count == 5


def test_an_unlabelled_test_folder_beside_classes_is_no_class(tmp_path):
    source = open_source(tree(tmp_path, {"cat": 4, "dog": 4, "test": 3}, 4, 4))
    assert source.classes == ("cat", "dog")
    assert left_out(source) == {"test": ("unlabelled", "in no class folders of test")}


def test_an_unlabelled_validation_folder_is_refused_with_the_remedy(tmp_path):
    tree(tmp_path, {"train/cat": 2, "train/dog": 2, "val": 3}, 4, 4)
    with pytest.raises(DataError, match="'val' holds no pictures in class folders: give a table of `labels`"):
        open_source(tmp_path)
    source = open_source(tmp_path, selection=Selection(exclude=("val",)))
    assert meaning(source)[0] == ("cat", "dog")


@pytest.mark.parametrize("link", ["train/bird", "val", "val/bird"])
def test_a_dead_link_to_a_class_folder_stops_with_where_it_leads_and_what_to_do(tmp_path, link):
    tree(tmp_path, {"train/cat": 2, "train/dog": 2, "test/cat": 1}, 4, 4)
    (tmp_path / link).parent.mkdir(exist_ok=True)
    put(tmp_path / "val/cat", "0.jpg") if link == "val/bird" else None
    (tmp_path / link).symlink_to("/mnt/away/bird")
    message = f"a link leads nowhere: {link} is a dead link to /mnt/away/bird: mount .*`exclude={link}`"
    with pytest.raises(DataError, match=message):
        open_source(tmp_path)
    assert open_source(tmp_path, selection=Selection(exclude=(link,))).classes == ("cat", "dog")


def test_all_dead_links_to_class_folders_are_counted(tmp_path):
    tree(tmp_path, {"cat": 4, "dog": 4})
    for name in ("bird", "fish", "fox", "owl"):
        (tmp_path / name).symlink_to(f"/mnt/away/{name}")
    with pytest.raises(DataError, match="4 links lead nowhere: bird is a dead link to /mnt/away/bird; fish is"):
        open_source(tmp_path)


def test_a_class_folder_without_pictures_says_what_is_in_it(tmp_path):
    tree(tmp_path, {"cat": 4, "dog": 4})
    put(tmp_path / "bird", "a.svg", "b.svg", content=b"<svg/>")
    with pytest.raises(
        DataError, match=r"'bird' holds no pictures \(bird/a.svg: SVG.*; bird/b.svg: SVG.*\): fill or remove"
    ):
        open_source(tmp_path)


def test_linked_class_folders_are_read(tmp_path):
    tree(tmp_path / "real", {"cat": 4, "dog": 4})
    (tmp_path / "data").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "real" / name)
    assert sum(map(len, open_source(tmp_path / "data").splits.values())) == 8


@pytest.mark.parametrize("names", [("Cat", "cat", "cat "), ("two words", "twowords"), ("ﬁsh", "fish")])
def test_classes_that_are_alike_are_named(tmp_path, names):
    source = open_source(tree(tmp_path, {**dict.fromkeys(names, 4), "dog": 4}, 4, 4))
    assert len(source.classes) == len(names) + 1
    (note,) = source.notes
    assert all(repr(name) in note for name in names)
    assert "to join them, put their pictures into one folder" in note


EXCLUDED = [
    (("masks",), {"masks": 3, "a/masks": 1}),
    (("a/masks",), {"a/masks": 1}),
    (("*s/old*", "0003.jpg"), {"masks/old": 1, "a/0003.jpg": 1, "b/0003.jpg": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("patterns", "entries"), EXCLUDED)
def test_what_exclude_names_is_left_out_and_listed(tmp_path, patterns, entries):
    tree(tmp_path, {"a": 4, "b": 4, "a/masks": 1, "masks": 2, "masks/old": 1}, 4, 4)
    source = open_source(tmp_path, selection=Selection(exclude=patterns))
    assert {entry.path: entry.count for entry in source.left_out} == entries
    assert {entry.cause for entry in source.left_out} == {"excluded"}
    assert sum(map(len, source.splits.values())) == 12 - sum(entries.values())


def test_what_is_excluded_is_part_of_the_fingerprint(small):
    plain, without = open_source(small), open_source(small, selection=Selection(exclude=("x",)))
    assert plain.fingerprint != without.fingerprint


MEASURED = {
    "one picture a class": ({"cat": 1, "dog": 1}, (("cat", "dog"), {"test": [1, 1]})),
    "one class": ({"cat": 3}, (("cat",), {"test": [3]})),
    "without splits": ({"cat": 8, "dog": 8}, (("cat", "dog"), {"test": [8, 8]})),
    "test alone": ({"test/cat": 2, "test/dog": 1}, (("cat", "dog"), {"test": [2, 1]})),
}


@pytest.mark.parametrize("kind", MEASURED)
def test_all_of_a_folder_to_measure_on_is_taken(tmp_path, kind):
    folders, right = MEASURED[kind]
    assert meaning(open_source(tree(tmp_path / "new", folders, 4, 4), is_measured=True)) == right
