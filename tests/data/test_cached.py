"""The cache, listed and cleared."""

import json
import os
import subprocess
import sys

import pytest

from alexnet import commands
from alexnet.data import kept
from alexnet.data.open import open_data
from alexnet.data.scan import scan_folder
from alexnet.errors import UsageError
from alexnet.files import in_use


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache with two stores, a scan, public weights and something that is not ours."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("ALEXNET_CACHE", str(cache))
    monkeypatch.setattr(kept, "FEWEST", 1)
    (cache / "weights").mkdir(parents=True)
    (cache / "weights/a.caffemodel").write_bytes(bytes(1000))
    (cache / "mine").mkdir()
    (cache / "mine/precious.txt").write_text("precious")
    (cache / "link").symlink_to(tmp_path)
    return cache


@pytest.fixture
def stores(home, small):
    scan_folder(small)
    return [open_data(small, size=size).directory.name for size in (16, 32)]


def test_the_list_has_kind_size_source_and_last_use_of_each(home, stores, small):
    entries = {entry.name: entry for entry in commands.cache("list").entries}
    (scan,) = [entry for entry in entries.values() if entry.kind == "scan"]
    assert set(entries) == {*stores, "weights/a.caffemodel", scan.name}
    assert entries["weights/a.caffemodel"].bytes == 1000
    assert scan.source == str(small)
    assert entries[stores[0]].source == "pets"
    assert entries[stores[0]].bytes == sum(path.stat().st_size for path in (home / stores[0]).rglob("*"))
    os.utime(home / stores[0] / "dataset.json", (0, 0))
    assert {entry.name: entry.last_used for entry in commands.cache("list").entries}[stores[0]].startswith("1970")
    open_data(small, size=16)
    assert not {entry.name: entry.last_used for entry in commands.cache("list").entries}[stores[0]].startswith("1970")


def test_what_is_named_is_cleared_and_nothing_else(home, stores):
    left = commands.cache("clear", [stores[0], "weights/a.caffemodel"])
    assert [entry.name for entry in left.removed] == [stores[0], "weights/a.caffemodel"]
    assert not (home / stores[0]).exists()
    assert (home / stores[1]).exists()


def test_all_is_cleared_but_what_is_not_ours(home, stores, small):
    assert commands.cache("clear", all=True).entries == ()
    assert (home / "mine/precious.txt").read_text() == "precious"
    assert (home / "link").is_symlink()
    assert small.is_dir()
    assert open_data(small, size=16).directory.name == stores[0]


@pytest.mark.skipif(os.name != "posix", reason="no locks of this kind")
def test_a_store_that_another_program_reads_or_packs_stays(home, stores):
    reading = f"from alexnet.data.store import Store; store = Store({str(home / stores[0])!r})"
    packing = f"import os, fcntl; fcntl.flock(os.open({str(home / stores[1])!r}, 0), fcntl.LOCK_EX)"
    others = [
        subprocess.Popen(
            [sys.executable, "-c", f"{work}\nprint('ready', flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for work in (reading, packing)
    ]
    try:
        for other in others:
            assert other.stdout.readline() == b"ready\n"
        left = commands.cache("clear", all=True)
        assert left.in_use == tuple(sorted(stores))
        assert left.problem == f"in use and left as it is: {', '.join(sorted(stores))}"
        assert [entry.name for entry in left.entries] == sorted(stores)
    finally:
        for other in others:
            other.communicate(b"\n")
    assert commands.cache("clear", all=True).entries == ()


def test_a_mark_of_use_ends_with_its_owner(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "a").write_text("")

    class Owner:
        pass

    owner = Owner()
    in_use(owner, tmp_path / "a")
    with (tmp_path / "a").open() as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        del owner
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("action", "names", "everything", "told"),
    [
        ("clear", (), False, "clear takes either names or `all`"),
        ("clear", ["x"], True, "clear takes either names or `all`"),
        ("clear", ["mine"], False, "holds no 'mine'; alexnet cache list"),
        ("clear", ["../small"], False, "holds no '../small'"),
        ("list", ["x"], False, "list takes neither names nor `all`"),
    ],
)
def test_wrong_requests_are_one_line_and_remove_nothing(action, names, everything, told):
    with pytest.raises(UsageError, match=told):
        commands.cache(action, names, all=everything)
    assert [entry.name for entry in commands.cache("list").entries] == ["weights/a.caffemodel"]


def test_the_shell_lists_and_clears(home, alexnet):
    code, out, _ = alexnet("cache", "list")
    assert (code, out.split()[:4]) == (0, ["weights/a.caffemodel", "weights", "0.0", "MB"])
    assert out.endswith(f"\n{home}: 0.0 MB\n")
    code, out, _ = alexnet("cache", "clear", "weights/a.caffemodel", "--json")
    assert (code, json.loads(out)["entries"]) == (0, [])
    assert alexnet("cache", "clear", "--all")[1] == f"{home}: 0.0 MB\n"
