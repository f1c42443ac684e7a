"""Folders as nodes, and names of splits, by trees that are written out."""

import pytest

from alexnet.data.nodes import grown
from alexnet.data.splits import split_of

CAT, DOG = ("pets", "cat"), ("pets", "dog")


@pytest.mark.parametrize(
    ("pictures", "empty", "path"),
    [
        ({CAT: 3, DOG: 3}, [], ("pets",)),
        ({CAT: 3, DOG: 3, (): 1}, [], ("pets",)),  # a picture beside the wrapping, as a logo is
        ({CAT: 3, DOG: 3, (): 2}, [], ()),  # as many as there are folders: they are meant
        ({CAT: 3, DOG: 3, ("pets",): 1}, [], ("pets",)),
        ({CAT: 3, DOG: 3, ("pets",): 2}, [], ()),
        ({CAT: 3, DOG: 3}, [("docs",)], ()),  # an empty folder beside it may be a class too
        ({("pets", "train", "cat"): 3, ("pets", "test", "cat"): 3}, [("docs",)], ("pets",)),
        ({("train", "cat"): 3, ("train", "dog"): 3}, [], ()),
        ({("a", "b", *CAT): 1, ("a", "b", *DOG): 1}, [], ("a", "b", "pets")),
        ({("cat", "images"): 3}, [], ()),
    ],
)
def test_only_folders_that_wrap_everything_are_taken_off(pictures, empty, path):
    assert grown(pictures, empty).unwrapped().path == path


def test_a_class_that_is_known_is_no_wrapping():
    tree = grown({CAT: 3, DOG: 3}, [])
    assert tree.unwrapped(frozenset({"pets"})).path == ()
    assert tree.unwrapped(frozenset({"cat"})).path == ("pets",)


@pytest.mark.parametrize(
    ("folder", "is_flat"),
    [(("images",), True), (("Images",), True), (("JPEGImages", "raw"), True), (("tabby",), False)],
)
def test_folders_that_say_nothing_leave_a_class_flat(folder, is_flat):
    assert grown({("cat", *folder): 3, ("cat",): 1}, [("cat", "empty")]).at(("cat",)).is_flat == is_flat


def test_pictures_are_counted_in_a_folder_and_below_it():
    tree = grown({CAT: 3, DOG: 4, ("pets",): 5, (): 6}, [("pets", "bird")])
    assert [(node.name, node.own, node.whole) for node in (tree, tree.at(("pets",)), tree.at(CAT))] == [
        ("", 6, 18),
        ("pets", 5, 12),
        ("cat", 3, 3),
    ]
    assert list(tree.at(("pets",)).filled) == ["cat", "dog"]
    assert len(list(tree.below())) == 5


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *[
            (name, ("train", "exact"))
            for name in ("train", "Training", "TRAIN_SET", "trainImages", "train.X1", "1-train")
        ],
        *[(name, ("val", "exact")) for name in ("val2017", "dev", "validation data", "imgs-valid")],
        *[(name, ("test", "affixed")) for name in ("seg_test", "fruits-testing", "testA pigs")],
        *[(name, None) for name in ("train_val", "train+test", "trainer", "contest", "latest", "cat", "", "x")],
    ],
)
def test_a_name_stands_for_one_split_or_none(name, split):
    assert split_of(name) == split
