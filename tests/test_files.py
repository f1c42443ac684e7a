"""Files that are either whole or not there."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from alexnet import files
from alexnet.errors import DataError, UsageError
from alexnet.files import cache, from_home, plain_errors, replacing, write


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("content", "stored"), [("grün\n", "grün\n".encode()), (b"\x00\xff", b"\x00\xff")])
def test_a_file_is_written_and_replaced(tmp_path, content, stored):
    write(tmp_path / "a", "an older and longer text")
    write(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == stored
    assert names(tmp_path) == ["a"]


def test_a_folder_is_not_new_below_a_file_or_where_nothing_may_be_written(tmp_path, monkeypatch):
    (tmp_path / "holiday.jpg").write_text("")
    with pytest.raises(
        UsageError, match=r"holiday.jpg/x/y cannot be written \(Not a directory\): choose another folder"
    ):
        files.check_new(tmp_path / "holiday.jpg/x/y")
    with pytest.raises(UsageError, match="File name too long"):
        files.check_new(tmp_path / ("x" * 300))
    files.check_new(tmp_path / "a/b")
    monkeypatch.setattr(os, "access", lambda place, mode: place != tmp_path)
    with pytest.raises(UsageError, match=r"a/b cannot be written \(Permission denied\)"):
        files.check_new(tmp_path / "a/b")


def test_a_file_is_known_by_the_sha256_of_its_content(tmp_path):
    write(tmp_path / "a", "abc")  # NIST's example
    assert files.sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_until_the_end_the_old_file_is_there(tmp_path):
    write(tmp_path / "a", "old")
    with replacing(tmp_path / "a") as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "a").read_text() == "old"
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_on_the_way_leaves_the_old_file_and_nothing_else(tmp_path, error):
    write(tmp_path / "a", "old")

    def half_way():
        with replacing(tmp_path / "a") as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        half_way()
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path, monkeypatch, code, moment):
    write(tmp_path / "a", "old")

    def full(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(*{"fsync": (files.os, "fsync"), "replace": (Path, "replace")}[moment], full)
    with pytest.raises(DataError, match=r"disk of .* is full: free some space") as caught:
        write(tmp_path / "a", "new")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    write(tmp_path / "a", "a file, no folder")
    with pytest.raises(UsageError, match="a cannot be written"):
        write(tmp_path / "a" / "b", "x")


def test_a_name_that_is_too_long_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        write(tmp_path / ("a" * 300), "x")


def test_a_folder_that_cannot_be_flushed_to_the_disk_is_forgiven(tmp_path, monkeypatch):
    """As shared folders of virtual machines are, and some of networks."""
    fsync = os.fsync

    def picky(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", picky)
    write(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"


def test_a_folder_that_a_broken_disk_does_not_flush_is_an_error(tmp_path, monkeypatch):
    fsync = os.fsync

    def broken(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        write(tmp_path / "a", "x")


def test_a_file_that_may_not_be_that_large_is_named_with_the_limit(tmp_path):
    script = (
        "import resource, sys; from pathlib import Path; from alexnet.files import write\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "write(Path(sys.argv[1]), bytes(6000))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, tmp_path / "a"], check=False, capture_output=True, text=True)
    told = f"{tmp_path}/a would become larger than the 5,000 bytes that this shell allows a file: raise `ulimit -f`"
    assert f"alexnet.errors.DataError: {told} and run it again\n" in ended.stderr
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOTDIR, errno.ENOENT])
def test_a_cache_that_cannot_be_written_names_its_setting(tmp_path, monkeypatch, code):
    monkeypatch.delenv("ALEXNET_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    told = r"alexnet/x cannot be written \(.*\): set ALEXNET_CACHE to a folder that can"
    with pytest.raises(UsageError, match=told), plain_errors(tmp_path / ".cache/alexnet/x"):
        raise OSError(code, os.strerror(code))


def test_without_a_home_the_setting_of_the_cache_is_named(monkeypatch):
    monkeypatch.delenv("ALEXNET_CACHE")

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UsageError, match="there is no home folder for packed and fetched files: set ALEXNET_CACHE"):
        cache()


def test_a_full_disk_of_the_cache_names_the_setting_too(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    told = "free some space, or set ALEXNET_CACHE to a folder on another disk, and run"
    with pytest.raises(DataError, match=told), plain_errors(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_other_errors_are_not_dressed_up(tmp_path, monkeypatch):
    def broken(*args):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(files.os, "fsync", broken)
    with pytest.raises(OSError, match="input/output error"):
        write(tmp_path / "a", "x")
    assert names(tmp_path) == []


def test_the_content_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    happened = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(files.os, "fsync", lambda handle: (happened.append("fsync"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda *args: (happened.append("replace"), replace(*args)))
    write(tmp_path / "a", "x")
    assert happened == ["fsync", "replace", "fsync"]


def test_a_link_under_the_unfinished_name_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "a.tmp").symlink_to(tmp_path / "precious")
    write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "precious").read_text() == "precious"


def test_two_programs_that_write_the_same_file_take_turns(tmp_path):
    """Each writes 40 times, a chunk at a time; the file is always one of theirs, and nothing else stays."""
    script = (
        "import sys; from pathlib import Path; from alexnet.files import replacing\n"
        "for _ in range(40):\n"
        "    with replacing(Path(sys.argv[1])) as file:\n"
        "        for _ in range(20): file.write(sys.argv[2].encode() * 5000); file.flush()\n"
    )
    programs = [subprocess.Popen([sys.executable, "-c", script, tmp_path / "a", letter]) for letter in "xy"]
    while any(program.poll() is None for program in programs):
        if (tmp_path / "a").exists():
            assert (tmp_path / "a").read_bytes() in (b"x" * 100_000, b"y" * 100_000)
    assert [program.returncode for program in programs] == [0, 0]
    assert names(tmp_path) == ["a"]


def test_a_home_that_there_is_not_is_one_line():
    assert from_home("~/x") == Path.home() / "x"
    with pytest.raises(UsageError, match="there is no such home folder: write the path out"):
        from_home("~nobody-of-this-name/x")


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_written_all_the_same(tmp_path, monkeypatch, code):
    fcntl = pytest.importorskip("fcntl")

    def unknown(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", unknown)
    write(tmp_path / "a", "new")
    with files.alone_in(tmp_path, "is taken"):
        assert (tmp_path / "a").read_text() == "new"


def test_a_killed_program_lets_go_of_what_it_locked(tmp_path):
    pytest.importorskip("fcntl")
    script = (
        "import os, sys; from pathlib import Path; from alexnet.files import alone_in, replacing\n"
        "with alone_in(Path(sys.argv[1])), replacing(Path(sys.argv[1], 'a')) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path]).returncode == -9
    with files.alone_in(tmp_path, "is taken"):
        write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert names(tmp_path) == ["a"]


def test_another_program_in_a_directory_is_one_line(tmp_path):
    pytest.importorskip("fcntl")
    with (
        files.alone_in(tmp_path),
        pytest.raises(UsageError, match=r"is taken: wait$"),
        files.alone_in(tmp_path, "is taken: wait"),
    ):
        pass


class Msvcrt:
    """The part of Windows's module that locks files, as its documentation has it."""

    LK_LOCK, LK_NBLCK = 1, 2

    def __init__(self):
        self.owners, self.waits = {}, 0

    def locking(self, handle, mode, count):
        assert count == 1
        place = os.fstat(handle).st_ino
        try:
            os.fstat(self.owners.get(place, 10**6))
        except OSError:  # nobody has it, or its owner is closed
            self.owners[place] = handle
            return
        if mode == self.LK_LOCK:  # ten seconds later
            self.waits += 1
            if self.waits == 2:
                os.close(self.owners[place])
        raise OSError(errno.EDEADLOCK, "Resource deadlock avoided")


def test_windows_keeps_a_second_program_out_by_a_file_elsewhere(tmp_path, monkeypatch):
    windows = Msvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    (tmp_path / "run").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    first = files._locked_on_windows(tmp_path / "run", "is in use")
    with pytest.raises(UsageError, match="is in use"):
        files._locked_on_windows(tmp_path / "temporary" / ".." / "run", "is in use")
    os.close(files._locked_on_windows(tmp_path, "is in use"))  # another folder
    os.close(files._locked_on_windows(tmp_path / "run", None))  # `locking` closes the first one at last
    assert windows.waits == 2
    assert list((tmp_path / "run").iterdir()) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.close(first)
