"""Reading the names of many files, and keeping what was read."""

import os
from hashlib import blake2b

import pytest

from alexnet.data import kept, scan
from alexnet.data.scan import scan_folder
from alexnet.observer import Observer


@pytest.fixture
def _all_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(kept, "FEWEST", 1)
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))


def told(tree):
    return [tree.names[i] for i in range(len(tree.names))], tree.folders, tree.left_out, tree.fingerprint


def is_kept(folder, monkeypatch):
    """Whether scanning the folder makes use of what was kept of it."""
    works = []
    with monkeypatch.context() as patch:
        patch.setattr(scan, "_scan", lambda *inputs, work=scan._scan: works.append(1) or work(*inputs))
        scan_folder(folder)
    return not works


def test_names_stand_in_the_order_of_a_walk_and_the_fingerprint_is_that_of_version_0_1(small):
    (small / "train/cat/dog").mkdir()
    (small / "train/cat/dog/9.jpg").write_bytes(b"nine")
    tree = scan_folder(small)
    names = [f"train/cat/{i:04d}.jpg" for i in range(5)] + ["train/cat/dog/9.jpg"]
    names += [f"train/dog/{i:04d}.jpg" for i in range(4)]
    names += [f"val/{kind}/{i:04d}.jpg" for kind in ("cat", "dog") for i in range(2)]
    states = [(name, (small / name).stat()) for name in names]
    lines = "".join(f"{name} {state.st_size} {state.st_mtime_ns}\n" for name, state in states)
    assert told(tree) == (
        [name.encode() for name in names],
        ["train", "train/cat", "train/cat/dog", "train/dog", "val", "val/cat", "val/dog"],
        [],
        blake2b(lines.encode(), digest_size=16).hexdigest(),
    )


@pytest.mark.usefixtures("_all_kept")
def test_a_kept_scan_serves_until_anything_in_the_folder_changes(small, monkeypatch):
    (small / "train/cat/later.jpg").symlink_to(small.parent / "later.jpg")  # dead so far
    (small / "train/notes.txt").write_text("notes")
    picture = small / "train/cat/0001.jpg"
    changes = {
        "nothing": lambda: None,
        "other bytes in place": lambda: picture.write_bytes(b"other"),
        "the same number of bytes, later": lambda: os.utime(picture, ns=(1, 1)),
        "a picture more": lambda: (small / "val/dog/new.jpg").write_bytes(b"new"),
        "a picture less": lambda: (small / "val/dog/new.jpg").unlink(),
        "another name": lambda: picture.rename(picture.with_name("0001b.jpg")),
        "an empty folder": lambda: (small / "train/bird").mkdir(),
        "a dead link that comes alive": lambda: (small.parent / "later.jpg").write_bytes(b"alive"),
        "another text": lambda: (small / "train/notes.txt").write_text("more notes"),
        "nothing again": lambda: None,
    }
    scan_folder(small)
    used = {}
    for name, change in changes.items():
        change()
        used[name] = is_kept(small, monkeypatch)
    assert [name for name, is_used in used.items() if is_used] == ["nothing", "nothing again"]


@pytest.mark.usefixtures("_all_kept")
def test_a_kept_scan_is_what_scanning_again_gives(small, monkeypatch):
    odd = os.fsdecode(b"train/cat/b\xffd.jpg")
    (small / odd).write_bytes(b"odd")
    (small / "train/.hidden").write_bytes(b"")
    first = told(scan_folder(small))
    assert told(scan_folder(small)) == first
    assert is_kept(small, monkeypatch)
    assert scan_folder(small).fetch(first[0].index(os.fsencode(odd))) == b"odd"


@pytest.mark.usefixtures("_all_kept")
def test_a_damaged_kept_scan_is_scanned_again(small, monkeypatch):
    first, path = told(scan_folder(small)), kept.place(small)
    whole = path.read_bytes()
    damages = [whole[:-1], b"", b"x" * 40, whole + b"0"]
    for at in (0, 16, 17, len(whole) // 2, len(whole) - 1):
        damages.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    for damaged in damages:
        path.write_bytes(damaged)
        assert not is_kept(small, monkeypatch)
        assert told(scan_folder(small)) == first
        assert path.read_bytes() == whole


@pytest.mark.usefixtures("_all_kept")
def test_a_cache_that_cannot_be_written_keeps_no_scan_and_does_no_harm(small, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "file/cache"))
    assert len(scan_folder(small).names) == 13


def test_short_scans_leave_nothing_in_the_cache(small, monkeypatch, tmp_path):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    scan_folder(small)
    assert not (tmp_path / "cache").exists()


def test_a_scan_says_how_many_files_it_has_read(small):
    class Counter(Observer):
        def __init__(self):
            self.files = []

        def scanned(self, files):
            self.files.append(files)

    counter = Counter()
    scan_folder(small, counter)
    assert counter.files == [2, 4, 6, 11, 15, 17, 19]
