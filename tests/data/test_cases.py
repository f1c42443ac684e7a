"""The layouts of `../shared/cases`, each with what is right for it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.imagenet import read_classes
from alexnet.data.sources import open_source
from alexnet.errors import DataError, UsageError

MAKER = Path(__file__).parents[2].parent / "shared" / "cases" / "make_cases.py"


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    if not MAKER.is_file():
        pytest.skip(f"{MAKER} is not here")
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, MAKER, folder], check=True, capture_output=True)
    return folder


TWO = ("cat", "dog")
CIFAR = (tuple(f"c{i}" for i in range(10)), {"train": [10] * 10, "test": [2] * 10}, [])
RIGHT = {
    "01-training-testing": (("glioma", "none"), {"train": [12, 12], "test": [4, 4]}, []),
    "07-nested-copy": (("Parasitized", "Uninfected"), {"train": [6, 6], "val": [2, 2]}, ["cell_images"]),
    "08b-recycle": (TWO, {"train": [6, 6], "val": [2, 2]}, ["#recycle"]),
    "09-linked/data": (TWO, {"train": [6, 6], "val": [2, 2]}, []),
    "14-flat-test": (TWO, {"train": [6, 6], "val": [2, 2]}, ["test"]),
    "17-no-ending": (("bird", *TWO), {"train": [6, 6, 6], "val": [2, 2, 2]}, []),
    "20-case": (("Cat", "cat", "cat ", "dog"), {"train": [6] * 4, "val": [2] * 4}, []),
    "21-pets.zip": (TWO, {"train": [6, 6], "val": [2, 2]}, []),
    "24-cifar/cifar-10-python.tar": CIFAR,
    "24-cifar/cifar-10-python (1).tar.gz": CIFAR,
}


def counts(source):
    labels = {split: listing.labels for split, listing in source.splits.items()}
    return {split: np.bincount(each, minlength=len(source.classes)).tolist() for split, each in labels.items()}


@pytest.mark.parametrize("case", RIGHT)
def test_a_reported_layout_is_understood_as_it_was_meant(cases, case):
    source = open_source(cases / case, draw="names")
    assert (source.classes, counts(source), source.ignored) == RIGHT[case]


def test_reported_classes_that_are_alike_are_named(cases):
    assert open_source(cases / "20-case").notes[0].startswith("classes 'Cat' and 'cat' and 'cat ' are alike")


def test_a_reported_dead_link_stops(cases):
    with pytest.raises(DataError, match="train/bird is a dead link to /mnt/not-mounted/bird: mount"):
        open_source(cases / "03-dead-class-link")


@pytest.mark.parametrize(("case", "count"), [("15-new-test-set", 1), ("15c-test-set", 8)])
def test_all_of_a_reported_test_set_is_measured(cases, case, count):
    assert counts(open_source(cases / case, is_measured=True)) == {"test": [count, count]}


def test_a_reported_list_of_words_is_refused_with_the_remedy(cases):
    with pytest.raises(UsageError, match=r"'crane' twice .* or give `classes=imagenet-wordnet`"):
        read_classes(str(cases / "25-imagenet_classes.txt"), 1000)
