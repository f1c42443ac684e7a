import errno
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest
import simplejpeg
from damage import unsealed
from evil import DAMAGED
from pictures import encoded, photograph, tree
from PIL import Image

from alexnet import files as disk
from alexnet.data import commit
from alexnet.data import pack as packing
from alexnet.data.decode import load
from alexnet.data.listing import Listing
from alexnet.data.manifest import is_store, shard_name
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.errors import BadImage, DataError, UsageError


@pytest.fixture(autouse=True)
def little_shards(monkeypatch):
    """Lets five small pictures fill two shards."""
    monkeypatch.setattr(commit, "EXAMPLES_PER_SHARD", 3)


@pytest.fixture
def source(small):
    return open_source(small)


def files(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(Path(directory).rglob("*")) if p.is_file()}


class Stopper:
    """A progress callback that raises at its n-th call, as Ctrl-C would."""

    def __init__(self, n, error=KeyboardInterrupt):
        self.n, self.error = n, error

    def __call__(self, done, total):
        self.n -= 1
        if self.n == 0:
            raise self.error


def test_a_store_gives_back_pictures_labels_and_names(source, tmp_path):
    packed = pack(source, tmp_path / "store", size=32, quality=98)
    assert packed.classes == ("cat", "dog")
    for split, listing in source.splits.items():
        assert packed.splits[split].labels.tolist() == listing.labels.tolist()
        assert len(packed.splits[split]) == len(listing)
        for i in range(len(listing)):
            assert packed.splits[split].name(i) == listing.name(i)
            expected = load(listing.read(i), "x", 32).astype(int)
            assert np.abs(packed.splits[split].read(i) - expected).mean() < 8


def test_mean_image_and_covariance_are_those_of_the_training_pixels(source, tmp_path):
    packed = pack(source, tmp_path / "store", size=32)
    listing = source.splits["train"]
    pixels = np.stack([load(listing.read(i), "x", 32) for i in range(len(listing))]).astype(np.float64)
    assert packed.mean_image.dtype == np.float32
    np.testing.assert_allclose(packed.mean_image, pixels.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(packed.covariance, np.cov(pixels.reshape(-1, 3).T / 255, bias=True), atol=1e-12)


def test_the_store_is_a_webdataset(source, tmp_path):
    pack(source, tmp_path / "store", size=16)
    with tarfile.open(tmp_path / "store/train-000001.tar") as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == [f"{i:09d}.{kind}" for i in (3, 4, 5) for kind in ("jpg", "json")]
        assert {(m.mtime, m.uid, m.gid, m.mode, m.uname) for m in members} == {(0, 0, 0, 0o644, "")}
        record = json.load(tar.extractfile("000000005.json"))
        assert record == {"label": 1, "split": "train", "class": "dog", "name": "train/dog/0000.jpg"}
        assert simplejpeg.decode_jpeg(tar.extractfile("000000005.jpg").read()).shape == (16, 16, 3)


def test_the_jpeg_of_an_example_is_the_member_of_its_shard(source, tmp_path):
    packed = pack(source, tmp_path / "store", size=16)
    with tarfile.open(tmp_path / "store/train-000001.tar") as tar:
        assert packed.splits["train"].jpeg(5) == tar.extractfile("000000005.jpg").read()


def test_gnu_tar_reads_a_shard_without_complaint(source, tmp_path):
    pack(source, tmp_path / "store", size=16)
    listing = subprocess.run(["tar", "tf", tmp_path / "store/val-000000.tar"], capture_output=True, text=True)
    assert (listing.returncode, listing.stderr, len(listing.stdout.split())) == (0, "", 6)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_bytes_do_not_depend_on_threads(source, tmp_path, threads):
    pack(source, tmp_path / "one", size=16, threads=1)
    pack(source, tmp_path / "many", size=16, threads=threads)
    assert files(tmp_path / "one") == files(tmp_path / "many")


@pytest.mark.parametrize("n", range(1, 19))
def test_a_packing_resumed_after_ctrl_c_equals_an_unbroken_one(source, tmp_path, n):
    pack(source, tmp_path / "unbroken", size=16)
    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "broken", size=16, progress=Stopper(n))
    assert not is_store(tmp_path / "broken")
    assert not [name for name in files(tmp_path / "broken") if name.endswith(".tmp")]
    for name, content in files(tmp_path / "broken").items():
        if not name.startswith(".pack"):
            assert content == files(tmp_path / "unbroken")[name]
    pack(source, tmp_path / "broken", size=16)
    assert files(tmp_path / "broken") == files(tmp_path / "unbroken")


def test_finished_shards_are_kept_and_a_damaged_one_is_redone(source, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "store", size=16, progress=Stopper(11))
    (tmp_path / "store/train-000001.tar").write_bytes(b"damage")
    redone = []
    write = packing._write_shard
    monkeypatch.setattr(packing, "_write_shard", lambda *a: redone.append(shard_name(*a[2:4])) or write(*a))
    pack(source, tmp_path / "store", size=16)
    assert redone == ["train-000001.tar", "train-000002.tar", "val-000000.tar", "val-000001.tar"]
    pack(source, tmp_path / "fresh", size=16)
    assert files(tmp_path / "store") == files(tmp_path / "fresh")


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\3\4 rubbish"),
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: rewrite(path, rest=b"{"),
        lambda path: rewrite(path, rest=b"[[], {}]"),
        lambda path: rewrite(path, rest=b'[[{"split": 1}], {"bytes": 1, "blake2b": ""}]'),
        lambda path: rewrite(path, rest=b"[" * 100_000),
        lambda path: rewrite(path, sums=np.zeros((8, 8, 3), np.uint32)),
        lambda path: rewrite(path, index=np.zeros(3)),
        lambda path: rewrite(path, products=np.array([{}])),
        lambda path: rewrite(path, names=None),
    ],
)
def test_a_damaged_part_is_redone(source, tmp_path, monkeypatch, harm):
    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "store", size=16, progress=Stopper(11))
    harm(tmp_path / "store/.pack/train-000001.tar.npz")
    pack(source, tmp_path / "store", size=16)
    pack(source, tmp_path / "fresh", size=16)
    assert files(tmp_path / "store") == files(tmp_path / "fresh")


def test_a_part_that_is_damaged_before_the_commit_is_one_line(source, tmp_path):
    def damage(done, total):
        if done == total:
            (tmp_path / "store/.pack/train-000001.tar.npz").write_bytes(b"rubbish")

    with pytest.raises(DataError, match=r"train-000001\.tar\.npz is damaged \(.*\): run it again$"):
        pack(source, tmp_path / "store", size=16, progress=damage)


def rewrite(path, **changes):
    """Puts other arrays, or bytes, into a part; None leaves one out."""
    arrays = dict(np.load(path)) | changes
    arrays = {name: np.frombuffer(each, np.uint8) if isinstance(each, bytes) else each for name, each in arrays.items()}
    np.savez(path, **{name: each for name, each in arrays.items() if each is not None})


def test_a_store_of_version_0_1_knows_which_pictures_could_not_be_read(source, tmp_path, broken):
    broken.add("train/cat/0001.jpg")
    path = pack(source, tmp_path / "store", size=16).directory / "dataset.json"
    manifest = unsealed(path.read_text())
    del manifest["quarantine"][0]["was_unread"]
    path.write_text(json.dumps(manifest, indent=1))
    assert is_store(tmp_path / "store")
    broken.clear()
    assert pack(source, tmp_path / "store", size=16).quarantine[0].was_unread
    assert pack(source, tmp_path / "store", size=16, retry=True).quarantine == ()


def test_a_killed_packing_is_resumed_to_the_same_bytes(small, tmp_path):
    code = (
        "import os, sys; from alexnet.data import commit, pack; from alexnet.data.sources import open_source\n"
        "commit.EXAMPLES_PER_SHARD = 3\n"
        "tell = lambda done, total: os.kill(os.getpid(), 9) if done == 8 else None\n"
        f"pack.pack(open_source({str(small)!r}), {str(tmp_path / 'killed')!r}, size=16, progress=tell)"
    )
    killed = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert killed.returncode == -9
    assert not is_store(tmp_path / "killed")
    pack(open_source(small), tmp_path / "killed", size=16)
    pack(open_source(small), tmp_path / "unbroken", size=16)
    assert files(tmp_path / "killed") == files(tmp_path / "unbroken")


def test_progress_ends_at_the_number_of_all_pictures(source, tmp_path):
    told = []
    pack(source, tmp_path / "store", size=16, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (13, 13)
    assert told == sorted(told)


def test_packing_does_not_change_the_source(small, tmp_path):
    (small / "train/cat/bad.jpg").write_bytes(DAMAGED["html"])
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in small.rglob("*")}, files(small)
    pack(open_source(small), tmp_path / "store", size=16)
    after = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in small.rglob("*")}, files(small)
    assert before == after


def test_every_bad_picture_is_named_and_skipped(small, tmp_path):
    for number, data in enumerate(DAMAGED.values()):
        (small / f"train/cat/bad{number:02d}.jpg").write_bytes(data)
    (small / "val/dog/0001.jpg").write_bytes(b"")
    packed = pack(open_source(small), tmp_path / "store", size=16)
    assert len(packed.splits["train"]) == 9
    assert len(packed.splits["val"]) == 3
    assert len(packed.quarantine) == len(DAMAGED) + 1
    bad = {"split": "val", "class": "dog", "name": "val/dog/0001.jpg", "reason": "the file is empty"}
    assert msgspec.to_builtins(packed.quarantine[-1]) == bad | {"was_unread": False}
    assert [packed.splits["train"].name(i) for i in (4, 5)] == ["train/cat/0004.jpg", "train/dog/0000.jpg"]
    assert packed.splits["train"].labels.tolist() == [0] * 5 + [1] * 4


def test_a_vanished_file_is_quarantined(small, tmp_path):
    source = open_source(small)
    (small / "train/cat/0001.jpg").unlink()
    assert "No such file" in pack(source, tmp_path / "store", size=16).quarantine[0].reason


@pytest.fixture
def broken(monkeypatch):
    """Names of pictures whose reading fails, as on a disk that is away."""
    names, read = set(), Listing.read

    def read_or_fail(listing, i):
        if listing.name(i) in names:
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(listing, i)

    monkeypatch.setattr(Listing, "read", read_or_fail)
    return names


def test_a_picture_that_could_not_be_read_comes_in_once_it_can_and_a_person_asks(source, tmp_path, broken):
    pack(source, tmp_path / "whole", size=16)
    broken.add("train/cat/0001.jpg")
    for _ in range(2):
        packed = pack(source, tmp_path / "store", size=16, retry=True)
        assert [bad.name for bad in packed.quarantine] == ["train/cat/0001.jpg"]
        assert packed.quarantine[0].reason == "cannot be read: Permission denied"
        assert packed.quarantine[0].was_unread
        assert len(packed.splits["train"]) == 8
    broken.clear()
    before = files(tmp_path / "store")
    pack(source, tmp_path / "store", size=16)
    assert files(tmp_path / "store") == before
    assert pack(source, tmp_path / "store", size=16, retry=True).quarantine == ()
    assert files(tmp_path / "store") == files(tmp_path / "whole")


def test_a_store_with_a_picture_that_still_cannot_be_read_is_not_packed_again(source, tmp_path, broken):
    broken.add("val/dog/0001.jpg")
    pack(source, tmp_path / "store", size=16)
    before = files(tmp_path / "store")
    pack(source, tmp_path / "store", size=16, progress=Stopper(1), retry=True)
    assert files(tmp_path / "store") == before


def test_an_interrupted_packing_tries_again_what_it_could_not_read(source, tmp_path, broken):
    broken.add("train/cat/0001.jpg")
    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "store", size=16, progress=Stopper(9))
    broken.clear()
    assert pack(source, tmp_path / "store", size=16).quarantine == ()


def test_an_interrupted_second_packing_leaves_no_store_and_can_be_resumed(source, tmp_path, broken):
    broken.add("train/cat/0001.jpg")
    pack(source, tmp_path / "store", size=16)
    broken.clear()
    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "store", size=16, progress=Stopper(2), retry=True)
    assert not is_store(tmp_path / "store")
    assert pack(source, tmp_path / "store", size=16).quarantine == ()


def test_a_picture_that_can_be_read_but_not_decoded_now_is_bad(source, small, tmp_path, broken):
    broken.add("train/cat/0001.jpg")
    pack(source, tmp_path / "store", size=16)
    broken.clear()
    (small / "train/cat/0001.jpg").write_bytes(b"")
    assert pack(source, tmp_path / "store", size=16, retry=True).quarantine[0].reason == "the file is empty"


def test_stop_leaves_a_store_whole_that_has_another_bad_picture(source, small, tmp_path, broken):
    (small / "train/cat/0002.jpg").write_bytes(DAMAGED["html"])
    source = open_source(small)
    broken.add("train/cat/0001.jpg")
    pack(source, tmp_path / "store", size=16)
    broken.clear()
    with pytest.raises(BadImage, match="HTML"):
        pack(source, tmp_path / "store", size=16, on_bad_image="stop", retry=True)
    assert is_store(tmp_path / "store")


def test_stop_names_the_first_bad_picture_of_a_finished_store(small, tmp_path):
    for name in ("train/cat/0002.jpg", "val/cat/0001.jpg"):
        (small / name).write_bytes(DAMAGED["html"])
    source = open_source(small)
    pack(source, tmp_path / "store", size=16)
    with pytest.raises(BadImage, match=r"^train/cat/0002\.jpg: HTML"):
        pack(source, tmp_path / "store", size=16, on_bad_image="stop")
    assert len(pack(source, tmp_path / "store", size=16).quarantine) == 2


def test_stop_names_the_first_bad_picture_of_a_half_packed_store(small, tmp_path):
    (small / "train/cat/0002.jpg").write_bytes(DAMAGED["html"])
    source = open_source(small)
    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "store", size=16, progress=Stopper(9))
    with pytest.raises(BadImage, match=r"^train/cat/0002\.jpg: HTML"):
        pack(source, tmp_path / "store", size=16, on_bad_image="stop")


def test_stop_raises_the_first_bad_picture_and_can_be_resumed_with_skip(small, tmp_path):
    (small / "train/cat/0002.jpg").write_bytes(DAMAGED["html"])
    source = open_source(small)
    with pytest.raises(BadImage, match=r"train/cat/0002\.jpg: HTML"):
        pack(source, tmp_path / "store", size=16, on_bad_image="stop")
    assert len(pack(source, tmp_path / "store", size=16).quarantine) == 1


@pytest.mark.parametrize(("folder", "message"), [("train/cat", "class 'cat' has no good training"), ("val", "val has")])
def test_a_class_or_split_without_a_good_picture_is_refused(small, tmp_path, folder, message):
    for path in (small / folder).rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=message):
        pack(open_source(small), tmp_path / "store", size=16)
    assert not is_store(tmp_path / "store")


def test_the_reason_given_is_one_of_that_split(small, tmp_path):
    for path in (small / "val").rglob("*.jpg"):
        path.write_bytes(DAMAGED["html"])
    (small / "test/cat").mkdir(parents=True)
    (small / "test/dog").mkdir(parents=True)
    for name in ("test/cat/0.jpg", "test/dog/0.jpg"):
        (small / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"val has no good picture \(HTML"):
        pack(open_source(small), tmp_path / "store", size=16)


@pytest.mark.parametrize("after", [0, 5_000, 20_000, 60_000])
def test_a_full_disk_is_one_line_and_can_be_resumed(source, tmp_path, monkeypatch, after):
    left = [after]

    def sync(handle):
        left[0] -= os.fstat(handle).st_size
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "fsync", sync)
        with pytest.raises(DataError, match=r"^the disk of .* is full.*kept$"):
            pack(source, tmp_path / "store", size=16)
    assert not is_store(tmp_path / "store")
    assert not [name for name in files(tmp_path / "store") if name.endswith(".tmp")]
    pack(source, tmp_path / "store", size=16)
    pack(source, tmp_path / "fresh", size=16)
    assert files(tmp_path / "store") == files(tmp_path / "fresh")


def test_a_finished_store_is_packed_only_once(source, tmp_path):
    pack(source, tmp_path / "store", size=16)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}
    pack(source, tmp_path / "store", size=16, progress=Stopper(1))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()} == before


def test_a_store_of_something_else_is_never_overwritten(source, tmp_path):
    pack(source, tmp_path / "store", size=16)
    before = files(tmp_path / "store")
    with pytest.raises(UsageError, match="store of another source, size or seed"):
        pack(source, tmp_path / "store", size=17)
    other = open_source(tree(tmp_path / "other", {"a": 3, "b": 3}))
    with pytest.raises(UsageError, match="store of another source"):
        pack(other, tmp_path / "store", size=16)
    assert files(tmp_path / "store") == before


def test_a_half_packed_store_belongs_to_its_source(source, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "store", size=16, progress=Stopper(9))
    other = open_source(tree(tmp_path / "other", {"a": 3, "b": 3}))
    with pytest.raises(UsageError, match="half packed from another"):
        pack(other, tmp_path / "store", size=16)


def test_a_foreign_folder_is_left_alone(source, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.txt").write_text("dear reader")
    with pytest.raises(UsageError, match="not empty"):
        pack(source, tmp_path / "thesis", size=16)
    assert files(tmp_path / "thesis") == {"chapter1.txt": b"dear reader"}


def test_a_file_is_no_place_for_a_store(source, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot be written"):
        pack(source, tmp_path / "file", size=16)


def test_a_store_inside_its_source_is_refused(small):
    with pytest.raises(UsageError, match="inside its source"):
        pack(open_source(small), small / "store", size=16)
    assert not (small / "store").exists()


@pytest.mark.parametrize("wrong", [{"size": 0}, {"quality": 0}, {"quality": 101}, {"on_bad_image": "ignore"}])
def test_wrong_arguments_are_refused(source, tmp_path, wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        pack(source, tmp_path / "store", **wrong)


def test_two_packings_of_one_store_take_turns(source, tmp_path):
    calls = []

    def slow(done, total):
        calls.append(threading.get_ident())
        time.sleep(0.005)

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(pack, source, tmp_path / "store", size=16, progress=slow) for _ in range(2)]
        assert len({one.result().content_hash for one in both}) == 1
    assert len(set(calls)) == 1


def test_the_content_hash_follows_content_and_not_place_or_date(small, tmp_path):
    first = pack(open_source(small), tmp_path / "one", size=16).content_hash
    os.utime(small / "train/cat/0000.jpg", (0, 0))
    assert pack(open_source(small), tmp_path / "two", size=16).content_hash == first
    (small / "train/cat/0000.jpg").write_bytes(encoded(photograph(seed=77)))
    assert pack(open_source(small), tmp_path / "three", size=16).content_hash != first


def test_at_most_a_few_pictures_wait_for_the_writer(small, tmp_path, monkeypatch):
    begun, most = [0], [0]
    prepare = packing._prepare

    def counted(*args):
        begun[0] += 1
        return prepare(*args)

    monkeypatch.setattr(commit, "EXAMPLES_PER_SHARD", 1000)
    monkeypatch.setattr(packing, "_prepare", counted)
    many = open_source(tree(tmp_path / "many", {"train/a": 150, "train/b": 150, "val/a": 1}, 8, 8))
    pack(many, tmp_path / "s", size=8, progress=lambda done, _: most.__setitem__(0, max(most[0], begun[0] - done)))
    assert 0 < most[0] <= 65


def test_licence_details_and_ignored_files_are_kept(small, tmp_path):
    (small / "README.txt").write_text("x")
    packed = pack(open_source(small), tmp_path / "store", size=16)
    assert (packed.ignored, packed.licence, packed.details, packed.size) == (1, None, {}, 16)


def test_the_bytes_of_a_shard_are_these(source, tmp_path):
    pack(source, tmp_path / "store", size=16)
    content = (tmp_path / "store/val-000001.tar").read_bytes()
    jpeg = simplejpeg.encode_jpeg(load(source.splits["val"].read(3), "x", 16), 90, colorsubsampling="420")
    record = b'{"label": 1, "split": "val", "class": "dog", "name": "val/dog/0001.jpg"}'
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in (("000000003.jpg", jpeg), ("000000003.json", record)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    expected = buffer.getvalue()
    assert content == expected[: len(content)]
    assert not any(expected[len(content) :])


@pytest.mark.parametrize(("options", "is_kept"), [({}, True), ({"exif": True}, False), ({"side": 33}, False)])
def test_a_jpeg_that_needs_no_change_keeps_its_bytes(tmp_path, options, is_kept):
    """An upright one of the stored size, that is: not one that lies on its side, nor a larger one."""
    side, exif = options.get("side", 32), Image.Exif()
    exif[0x0112] = 6 if "exif" in options else 1
    for place in ("train/cat", "train/dog", "val/cat", "val/dog"):
        (tmp_path / "source" / place).mkdir(parents=True)
        file = tmp_path / "source" / place / "0.jpg"
        Image.fromarray(photograph(side, side)).save(file, quality=50, exif=exif)
    packed = pack(open_source(tmp_path / "source"), tmp_path / "store", size=32).splits["train"]
    assert (packed.jpeg(0) == (tmp_path / "source/train/cat/0.jpg").read_bytes()) == is_kept


def test_clothing_photographs_are_packed_from_their_tar_file(shared, tmp_path, monkeypatch):
    monkeypatch.setattr(commit, "EXAMPLES_PER_SHARD", 1024)
    source = open_source(shared / "clothing.tar")
    few = {split: listing.take(np.arange(0, len(listing), 40)) for split, listing in source.splits.items()}
    source.splits.update(few)
    packed = pack(source, tmp_path / "store")
    assert packed.splits["train"].read(5).shape == (256, 256, 3)
    assert packed.quarantine == ()
    assert np.linalg.eigvalsh(packed.covariance).min() > 0
