"""ILSVRC-2012 on a stand-in: three classes in archives of the official layout, with a devkit of its own."""

import io
import tarfile

import numpy as np
import pytest
from pictures import encoded, photograph

from alexnet.data.sources import open_source
from alexnet.errors import DataError

COUNTS = {"n03": 2, "n01": 3, "n02": 4}  # in the order of the devkit ids 1, 2, 3
TRUTH = [3, 1, 2, 2, 1]


def add(tar, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def tar_of(files, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, data in files.items():
            add(tar, name, data)
    return buffer.getvalue()


def meta():
    savemat = pytest.importorskip("scipy.io", reason="the stand-in's meta.mat needs scipy").savemat
    rows = [(k, wnid, f"word {wnid}", 0, count) for k, (wnid, count) in enumerate(COUNTS.items(), start=1)]
    rows.append((4, "n00", "an inner node", 3, 0))
    fields = ["ILSVRC2012_ID", "WNID", "words", "num_children", "num_train_images"]
    buffer = io.BytesIO()
    savemat(buffer, {"synsets": np.array(rows, dtype=[(name, object) for name in fields])})
    return buffer.getvalue()


@pytest.fixture
def archives(tmp_path):
    root = tmp_path / "ilsvrc"
    root.mkdir()
    inner = {
        f"{wnid}.tar": tar_of({f"{wnid}_{i}.JPEG": encoded(photograph(seed=i)) for i in range(count)})
        for wnid, count in COUNTS.items()
    }
    val = {f"ILSVRC2012_val_{i:08d}.JPEG": encoded(photograph(seed=90 + i)) for i in (2, 1, 4, 3, 5)}
    kit = "ILSVRC2012_devkit_t12/data/"
    truth = "\n".join(map(str, TRUTH)).encode() + b"\n"
    devkit = {kit + "meta.mat": meta(), kit + "ILSVRC2012_validation_ground_truth.txt": truth}
    (root / "ILSVRC2012_img_train.tar").write_bytes(tar_of(inner))
    (root / "ILSVRC2012_img_val.tar").write_bytes(tar_of(val))
    (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(tar_of(devkit, "w:gz"))
    return root


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


def test_a_truncated_training_archive_is_refused(archives):
    path = archives / "ILSVRC2012_img_train.tar"
    path.write_bytes(path.read_bytes()[:-30_000])
    with pytest.raises(DataError, match=r"ILSVRC2012_img_train\.tar"):
        open_source(archives)
