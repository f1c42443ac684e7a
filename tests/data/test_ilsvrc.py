"""ILSVRC-2012 on a stand-in: three classes in archives of the official layout."""

import gzip

import pytest
from evil import CHAIN
from pictures import encoded, photograph
from standin import COUNTS, TRUTH, tar_of, write_archives

from alexnet.data.sources import open_source
from alexnet.errors import DataError


@pytest.fixture
def archives(tmp_path):
    return write_archives(tmp_path / "ilsvrc")


def test_classes_are_sorted_wordnet_ids_and_devkit_ids_are_known(archives):
    source = open_source(archives)
    assert source.kind == "ilsvrc"
    assert source.classes == ("n01", "n02", "n03")
    assert source.details == {"devkit_ids": [2, 3, 1], "words": ["word n01", "word n02", "word n03"]}


def test_pictures_are_read_out_of_the_tar_of_tars(archives):
    train = open_source(archives).splits["train"]
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert train.name(8) == "n03/n03_1.JPEG"
    assert train.read(8) == encoded(photograph(seed=1))


def test_validation_labels_go_by_the_number_in_the_name(archives):
    val = open_source(archives).splits["val"]
    assert [val.name(i)[-6] for i in range(5)] == list("12345")
    assert [open_source(archives).details["devkit_ids"][label] for label in val.labels] == TRUTH
    assert val.read(1) == encoded(photograph(seed=92))


def test_the_training_archive_stands_for_its_folder(archives):
    assert open_source(archives / "ILSVRC2012_img_train.tar").kind == "ilsvrc"


@pytest.mark.parametrize("name", ["ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"])
def test_a_missing_archive_is_named(archives, name):
    (archives / name).unlink()
    with pytest.raises(DataError, match=name):
        open_source(archives)


def test_a_missing_training_picture_is_counted(archives):
    inner = {
        f"{wnid}.tar": tar_of({f"{wnid}_{i}.JPEG": encoded() for i in range(count - (wnid == "n02"))})
        for wnid, count in COUNTS.items()
    }
    (archives / "ILSVRC2012_img_train.tar").write_bytes(tar_of(inner))
    with pytest.raises(DataError, match=r"has 8 pictures instead of 9 \(3 instead of 4 of n02\)"):
        open_source(archives)


def test_a_missing_validation_picture_is_counted(archives):
    (archives / "ILSVRC2012_img_val.tar").write_bytes(tar_of({"ILSVRC2012_val_00000001.JPEG": encoded()}))
    with pytest.raises(DataError, match="has 1 pictures instead of 5"):
        open_source(archives)


def test_a_damaged_devkit_is_named(archives):
    path = archives / "ILSVRC2012_devkit_t12.tar.gz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"devkit_t12\.tar\.gz is damaged"):
        open_source(archives)


def test_a_forged_devkit_is_refused(archives):
    (archives / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(gzip.compress(CHAIN))
    with pytest.raises(DataError, match=r"devkit_t12\.tar\.gz is damaged"):
        open_source(archives)


def test_a_truncated_training_archive_is_refused(archives):
    path = archives / "ILSVRC2012_img_train.tar"
    path.write_bytes(path.read_bytes()[:-30_000])
    with pytest.raises(DataError, match=r"ILSVRC2012_img_train\.tar"):
        open_source(archives)
