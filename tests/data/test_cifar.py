"""CIFAR on stand-ins: pickles of the official layout, with a few pictures each."""

import gzip
import io
import pickle
import re
import tarfile

import numpy as np
import pytest
from evil import CHAIN
from PIL import Image

from alexnet.data import cifar
from alexnet.data.sources import open_source
from alexnet.errors import DataError

NAMES = [b"airplane", b"automobile", b"bird"]


def batch(seed, key=b"labels", count=4):
    dice = np.random.default_rng(seed)
    pixels = dice.integers(0, 256, (count, 3072)).astype(np.uint8)
    return {b"data": pixels, key: dice.integers(0, 3, count).tolist(), b"batch_label": b"some batch"}


def cifar_10():
    files = {f"data_batch_{k}": batch(k) for k in range(1, 6)}
    return files | {"test_batch": batch(6), "batches.meta": {b"label_names": NAMES, b"num_vis": 3072}}


def cifar_100():
    return {
        "train": batch(1, b"fine_labels"),
        "test": batch(2, b"fine_labels"),
        "meta": {b"fine_label_names": NAMES, b"coarse_label_names": [b"things"]},
    }


@pytest.mark.parametrize("name", ["cifar-10-python (1).tar.gz", "cifar-10-python.tar", "download", "CIFAR.tgz"])
@pytest.mark.parametrize("files", ["cifar_10", "cifar_100"])
def test_archives_are_known_by_what_they_hold(tmp_path, name, files):
    content = cifar_10() if files == "cifar_10" else cifar_100()
    folder = write(tmp_path / "cifar-10-batches-py", content)
    with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as tar:
        tar.add(folder, folder.name)
    source = open_source(tmp_path / name)
    assert (source.kind, source.classes) == ("cifar", ("airplane", "automobile", "bird"))


def test_cifar_for_other_programs_is_refused(tmp_path):
    folder = write(tmp_path / "cifar-10-batches-bin", {"data_batch_1.bin": b"x"})
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as tar:
        tar.add(folder, folder.name)
    with pytest.raises(DataError, match="fetch the version for Python"):
        open_source(tmp_path / "cifar-10-binary.tar.gz")


def write(root, files):
    root.mkdir(parents=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else pickle.dumps(content, protocol=2)
        (root / name).write_bytes(data)
    return root


@pytest.mark.parametrize(("name", "files"), [("cifar-10", cifar_10()), ("cifar-100", cifar_100())])
def test_archive_and_unpacked_folder_give_the_same_pictures(tmp_path, name, files):
    folder = write(tmp_path / "unpacked" / f"{name}-py", files)
    archive = tmp_path / f"{name}-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    for path in (folder, archive, tmp_path):
        source = open_source(path)
        assert (source.name, source.kind, source.classes) == (name, "cifar", ("airplane", "automobile", "bird"))
        first = files["data_batch_1" if name == "cifar-10" else "train"]
        png = source.splits["train"].read(1)
        pixels = np.asarray(Image.open(io.BytesIO(png)))
        assert np.array_equal(pixels, first[b"data"][1].reshape(3, 32, 32).transpose(1, 2, 0))
        assert source.splits["train"].labels[:4].tolist() == first[b"labels" if name == "cifar-10" else b"fine_labels"]
        assert set(source.splits) == {"train", "test"}


def test_the_five_batches_stand_one_after_the_other(tmp_path):
    train = open_source(write(tmp_path / "c", cifar_10())).splits["train"]
    assert len(train) == 20
    assert train.name(19) == "data_batch_5/00003.png"


def test_arrays_as_python_2_pickled_them_are_read(tmp_path):
    files = cifar_10()
    old = pickle.dumps(files["data_batch_1"], protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in old
    assert len(open_source(write(tmp_path / "c", files | {"data_batch_1": old})).splits["train"]) == 20


def archived(tmp_path, files):
    folder = write(tmp_path / "c", files)
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, "c")
    return path


def test_a_flipped_bit_anywhere_in_the_archive_is_noticed(tmp_path):
    path = archived(tmp_path, cifar_10())
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(20, len(whole) - 8, 20):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataError):
            open_source(path)


def test_a_file_larger_than_any_of_cifars_is_refused_unread(tmp_path, monkeypatch):
    path = archived(tmp_path, cifar_10())
    monkeypatch.setattr(cifar, "MAX_BYTES", 10_000)
    with pytest.raises(DataError, match="holds c/data_batch_1 of"):
        open_source(path)


def test_names_as_python_2_pickled_them_are_read(tmp_path):
    """Text of Python 2 is neither bytes nor str."""
    meta = pickle.dumps({"label_names": ["airplane", "automobile", "bird"]}, protocol=2)
    meta = re.sub(rb"X(.)\0\0\0", rb"U\1", meta)
    assert open_source(write(tmp_path / "c", cifar_10() | {"batches.meta": meta})).classes[0] == "airplane"


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("file", ["batches.meta", "data_batch_3"])
def test_a_pickle_never_runs_code(tmp_path, file):
    trap = tmp_path / "trap"
    folder = write(tmp_path / "c", cifar_10() | {file: {b"label_names": Evil(trap), b"data": Evil(trap)}})
    with pytest.raises(DataError, match=f"{file} is damaged or no CIFAR file"):
        open_source(folder)
    assert not trap.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"rubbish",
        [1, 2],
        {b"data": np.zeros((4, 3072), np.uint8)},
        {b"data": np.zeros((4, 3000), np.uint8), b"labels": [0] * 4},
        {b"data": np.zeros((3, 3072), np.uint8), b"labels": [0] * 4},
        {b"data": np.zeros((4, 3072), np.float32), b"labels": [0] * 4},
        {b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, 1, 2, 3]},
        {b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, 1, 2, -1]},
        {b"data": b"text", b"labels": [0] * 4},
        {b"data": np.zeros((4, 3072), np.uint8), b"labels": [[0], [1], [2], [0]]},
    ],
)
def test_a_damaged_batch_is_named(tmp_path, content):
    folder = write(tmp_path / "c", cifar_10() | {"data_batch_2": content})
    with pytest.raises(DataError, match="data_batch_2"):
        open_source(folder)


def test_a_missing_batch_is_named(tmp_path):
    folder = write(tmp_path / "c", cifar_10())
    (folder / "data_batch_4").unlink()
    with pytest.raises(DataError, match="data_batch_4"):
        open_source(folder)


@pytest.mark.parametrize("names", [[], [b"a", b"a", b"b"], [1, 2, 3]])
def test_class_names_must_name_the_classes(tmp_path, names):
    with pytest.raises(DataError, match="does not name the classes"):
        open_source(write(tmp_path / "c", cifar_10() | {"batches.meta": {b"label_names": names}}))


def test_a_forged_archive_is_refused(tmp_path):
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(gzip.compress(CHAIN))
    with pytest.raises(DataError, match=r"is damaged \(.+\): fetch it again"):
        open_source(path)


def test_a_truncated_archive_is_refused(tmp_path):
    path = archived(tmp_path, cifar_10())
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(DataError, match="is damaged"):
        open_source(path)
