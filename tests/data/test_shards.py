import errno
import json
import shutil
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

import numpy as np
import pytest
import simplejpeg
from damage import harm, unsealed

from alexnet.data import commit
from alexnet.data.manifest import is_store
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.data.store import INDEX, Store
from alexnet.data.verify import verify
from alexnet.errors import DataError


@pytest.fixture(autouse=True)
def little_shards(monkeypatch):
    """Lets five small pictures fill two shards."""
    monkeypatch.setattr(commit, "EXAMPLES_PER_SHARD", 3)


@pytest.fixture
def source(small):
    return open_source(small)


def test_negative_and_wrong_positions_behave_as_in_a_list(source, tmp_path):
    train = pack(source, tmp_path / "store", size=16).splits["train"]
    assert train.name(-1) == train.name(8) == "train/dog/0003.jpg"
    assert train.jpeg(-1) == train.jpeg(8)
    with pytest.raises(IndexError):
        train.jpeg(9)
    with pytest.raises(IndexError):
        train.name(9)


@pytest.mark.parametrize("name", ["train-000000.tar", "train.index.npy", "val.names", "mean_image.npy"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "empty"])
def test_a_harmed_file_is_named_when_the_store_is_opened(source, tmp_path, name, harm):
    pack(source, tmp_path / "store", size=16)
    path = tmp_path / "store" / name
    content = path.read_bytes()
    path.unlink() if harm == "missing" else path.write_bytes(content[: len(content) // 2 if harm == "truncated" else 0])
    with pytest.raises(DataError, match=name):
        Store(tmp_path / "store")


def test_a_flipped_bit_in_the_index_is_found_when_the_store_is_opened(source, tmp_path):
    pack(source, tmp_path / "store", size=16)
    path = tmp_path / "store/train.index.npy"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"train\.index\.npy is damaged"):
        Store(tmp_path / "store")


@pytest.mark.parametrize("name", ["../evil.tar", "/tmp/evil.tar", "a/b.tar", "..", "", "a\nb"])
@pytest.mark.parametrize("part", ["files", "splits"])
def test_a_manifest_names_files_of_its_own_folder_only(source, tmp_path, part, name):
    pack(source, tmp_path / "store", size=16)
    path = tmp_path / "store" / "dataset.json"
    manifest = unsealed(path.read_text())
    manifest[part][name] = next(iter(manifest[part].values()))
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"dataset\.json is incomplete"):
        Store(tmp_path / "store")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"version": 1, "format": "coco"}', b"null"])
def test_a_manifest_of_another_program_is_none(tmp_path, content):
    (tmp_path / "dataset.json").write_bytes(content)
    assert not is_store(tmp_path)
    with pytest.raises(DataError, match=r"is no packed store \(no dataset\.json of one in it\)") as error:
        Store(tmp_path)
    assert "delete" not in str(error.value)


OURS = b'{\n "format": "alexnet packed store"'


@pytest.mark.parametrize(
    "rest", [b"", b', "version"', b"}", b', "version": 99}', b', "version": 1}', b',"a":' + b"[" * 9999]
)
def test_a_damaged_manifest_is_named(tmp_path, rest):
    (tmp_path / "dataset.json").write_bytes(OURS + rest)
    assert is_store(tmp_path)
    with pytest.raises(DataError, match=r"dataset\.json is (damaged|incomplete|of version 99)"):
        Store(tmp_path)


def test_a_manifest_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "dataset.json").write_bytes(OURS)
    monkeypatch.setattr(type(tmp_path), "open", refuse)
    with pytest.raises(DataError, match=r"dataset\.json cannot be read \(Permission denied\): change"):
        is_store(tmp_path)


def files_of(packed):
    """The files of a store, as its manifest has them."""
    return json.loads((packed.directory / "dataset.json").read_text())["files"]


def file_facts(path):
    """What a manifest says of a file."""
    return {"bytes": path.stat().st_size, "blake2b": blake2b(path.read_bytes(), digest_size=16).hexdigest()}


def changed(directory, **facts):
    """Changes what the manifest says."""
    path = directory / "dataset.json"
    path.write_text(json.dumps(unsealed(path.read_text()) | facts))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 1),
        ("classes", None),
        ("classes", ["cat", 2]),
        ("splits", {"a": 1}),
        ("splits", {"val": 4}),
        ("splits", {"train": "9"}),
        ("splits", {"train": 9, "a": 1}),
        ("size", "16"),
        ("size", 0),
        ("covariance", "x"),
        ("covariance", [[1.0, 2.0, 3.0]]),
        ("covariance", [[1.0, 2.0, "x"]] * 3),
        ("covariance", [[1.0, 2.0, float("nan")]] * 3),
        ("content_hash", None),
        ("quarantine", None),
        ("quarantine", ["x"]),
        ("quarantine", [{"split": "train", "name": 1}]),
        ("ignored", "1"),
        ("is_split_drawn", "no"),
        ("licence", 1),
        ("details", {"words": "x"}),
        ("details", {"words": ["x"]}),
        ("details", {"words": [None, None]}),
        ("decoding", 1),
        ("files", []),
        ("files", {}),
    ],
)
def test_a_manifest_of_wrong_kinds_is_refused(source, tmp_path, key, value):
    changed(pack(source, tmp_path / "store", size=16).directory, **{key: value})
    with pytest.raises(DataError, match=rf"dataset\.json is incomplete or damaged \(.*{key}.*\): delete the store"):
        Store(tmp_path / "store")


@pytest.mark.parametrize("size", [-1, 0, 1 << 70, 1.5, None])
def test_a_manifest_with_a_file_of_impossible_size_is_refused(source, tmp_path, size):
    packed = pack(source, tmp_path / "store", size=16)
    changed(packed.directory, files=files_of(packed) | {"train-000000.tar": {"bytes": size, "blake2b": "0"}})
    with pytest.raises(DataError, match=r"dataset\.json is incomplete or damaged \(.*bytes"):
        Store(packed.directory)


def test_a_manifest_that_names_a_class_twice_is_refused(source, tmp_path):
    changed(pack(source, tmp_path / "store", size=16).directory, classes=["cat", "cat"])
    with pytest.raises(DataError, match=r"dataset\.json names a class twice: rename one"):
        Store(tmp_path / "store")


def replaced(packed, name, array):
    """Puts another array into a store, and its hash into the manifest."""
    np.save(packed.directory / name, array)
    changed(packed.directory, files=files_of(packed) | {name: file_facts(packed.directory / name)})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", -1),
        ("label", 2),
        ("shard", -1),
        ("shard", 3),
        ("length", 0),
        ("length", -1),
        ("length", 1 << 30),
        ("offset", -1),
        ("offset", (1 << 63) - 1),
        ("name_end", -1),
        ("name_end", 1),
        ("name_end", 1 << 40),
    ],
)
def test_an_index_that_points_beyond_the_store_is_refused(source, tmp_path, field, value):
    packed = pack(source, tmp_path / "store", size=16)
    index = np.load(packed.directory / "train.index.npy")
    index[field][4] = value
    replaced(packed, "train.index.npy", index)
    with pytest.raises(DataError, match=r"train\.index\.npy points beyond classes, shards or names: copy it again"):
        Store(packed.directory)


@pytest.mark.parametrize("name", ["train.index.npy", "mean_image.npy"])
@pytest.mark.parametrize(
    "array", [np.zeros(9), np.zeros((9, 1), INDEX), np.zeros((8, 8, 3), np.float32), np.array([{}])]
)
def test_an_array_of_another_kind_is_refused(source, tmp_path, name, array):
    packed = pack(source, tmp_path / "store", size=16)
    replaced(packed, name, array)
    with pytest.raises(DataError, match=rf"{name} is (not the array that it should be|damaged): copy it again"):
        Store(packed.directory)


def test_a_file_that_is_no_array_is_refused(source, tmp_path):
    packed = pack(source, tmp_path / "store", size=16)
    (packed.directory / "mean_image.npy").write_bytes(b"PK\3\4 rubbish")
    facts = file_facts(packed.directory / "mean_image.npy")
    changed(packed.directory, files=files_of(packed) | {"mean_image.npy": facts})
    with pytest.raises(DataError, match=r"mean_image\.npy is damaged"):
        Store(packed.directory)


def test_a_folder_without_manifest_is_no_store(tmp_path):
    with pytest.raises(DataError, match="no packed store"):
        Store(tmp_path)


def test_a_flipped_bit_in_a_shard_is_found_by_verify_and_named_by_read(source, tmp_path):
    packed = pack(source, tmp_path / "store", size=64)
    index = packed.splits["train"]._index[4]
    path = tmp_path / "store/train-000001.tar"
    content = bytearray(path.read_bytes())
    middle = index["offset"] + index["length"] // 2
    content[middle : middle + 60] = bytes(60)
    path.write_bytes(content)
    verified = verify(tmp_path / "store")
    assert [(file.file, file.pictures) for file in verified.damaged] == [("train-000001.tar", ("train/cat/0004.jpg",))]
    with pytest.raises(DataError, match=r"'train/cat/0004.jpg' in .*train-000001.tar is not as it was packed: pack"):
        Store(tmp_path / "store").splits["train"].read(4)


def test_a_damaged_part_of_an_interrupted_packing_is_packed_anew(source, tmp_path):
    def stop(done, total):
        if done == total:
            raise KeyboardInterrupt

    def again():
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        packed = pack(source, shutil.copytree(tmp_path / "store", tmp_path / "again"), size=16)
        return {file.name: file.read_bytes() for file in packed.directory.iterdir()}

    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "store", size=16, progress=stop)
    parts = sorted((tmp_path / "store/.pack").glob("*.npz"))
    assert len(parts) >= 3
    assert harm(parts[0], again, flips=16) == {"same": 25}


def test_a_shard_that_shrinks_after_opening_is_named(source, tmp_path):
    packed = pack(source, tmp_path / "store", size=16)
    (tmp_path / "store/train-000001.tar").write_bytes(b"short")
    with pytest.raises(DataError, match=r"train-000001\.tar is truncated"):
        packed.splits["train"].jpeg(4)


def test_few_shards_are_open_at_once_and_old_views_stay_good(source, tmp_path, monkeypatch):
    monkeypatch.setattr("alexnet.data.store.OPEN_SHARDS", 1)
    train = pack(source, tmp_path / "store", size=16).splits["train"]
    views = [train.jpeg(i) for i in range(9)]
    assert len(train._shards._views) == 1
    assert all(simplejpeg.decode_jpeg(view).shape == (16, 16, 3) for view in views)


def test_threads_read_the_same_pictures(source, tmp_path, monkeypatch):
    monkeypatch.setattr("alexnet.data.store.OPEN_SHARDS", 1)
    train = pack(source, tmp_path / "store", size=16).splits["train"]
    alone = [train.read(i) for i in range(9)]
    with ThreadPoolExecutor(4) as pool:
        for i, pixels in enumerate(pool.map(train.read, list(range(9)) * 30)):
            assert np.array_equal(pixels, alone[i % 9])


def test_a_million_examples_are_opened_at_once(source, tmp_path):
    pack(source, tmp_path / "store", size=16)
    manifest = unsealed((tmp_path / "store/dataset.json").read_text())
    index = np.load(tmp_path / "store/train.index.npy")
    long = np.resize(index, 1_000_000)
    long["name_end"] = np.arange(1, 1_000_001) * 20
    np.save(tmp_path / "store/train.index.npy", long)
    (tmp_path / "store/train.names").write_bytes(b"train/cat/000000.jpg" * 1_000_000)
    np.save(tmp_path / "store/train.digests.npy", np.zeros(1_000_000, np.uint64))
    checksums = np.load(tmp_path / "store/train.crc32.npy")
    np.save(tmp_path / "store/train.crc32.npy", np.resize(checksums, 1_000_000))
    for name in ("train.index.npy", "train.names", "train.digests.npy", "train.crc32.npy"):
        manifest["files"][name] = file_facts(tmp_path / "store" / name)
    (tmp_path / "store/dataset.json").write_text(json.dumps(manifest))
    tracemalloc.start()
    train = Store(tmp_path / "store").splits["train"]
    assert train.read(999_999).shape == (16, 16, 3)
    assert train.name(999_999) == "train/cat/000000.jpg"
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 20_000_000  # the labels are 8 MB, an object a picture would be 50
