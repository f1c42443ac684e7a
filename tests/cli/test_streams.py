"""Streams that nobody reads and interruptions at any moment: no work ends by the first, and no traceback by either."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet import cli

FULL = Path("/dev/full")
MESSAGES = """
import sys
from alexnet.cli import streams
from alexnet.progress import Display

streams.prepare()
with Display() as display:
    display.began("packing")
    for done in range(3):
        display.notice("a message " * 1000)
        display.advanced(done, 3)
print(f"an end: {sys.stderr.fileno()}")
"""


def run(*words, **streams):
    """Runs Python in a process of its own; streams that are not named are read."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run([sys.executable, *words], text=True, timeout=60, **given)


@pytest.fixture
def unread():
    """The end to write into of a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def test_messages_that_nobody_can_receive_end_nothing(unread):
    ended = run("-c", MESSAGES, stderr=unread)
    assert (ended.returncode, ended.stdout) == (0, "an end: 2\n")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_messages_into_a_full_disk_end_nothing():
    with FULL.open("w") as full:
        ended = run("-c", MESSAGES, stderr=full)
    assert (ended.returncode, ended.stdout) == (0, "an end: 2\n")


def test_a_closed_stream_for_messages_is_taken_by_no_file(tmp_path):
    """A file that is opened must not get number 2, into which libraries write."""
    body = MESSAGES + f"print(open({str(tmp_path / 'file')!r}, 'w').fileno())"
    ended = run("-c", body, stderr=None, preexec_fn=lambda: os.close(2))
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[0] == "an end: 2"
    assert int(ended.stdout.splitlines()[1]) > 2


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_a_mistake_has_its_exit_code_with_closed_streams(closed):
    ended = run(
        "-m", "alexnet", "weights", "get", "nothing", preexec_fn=lambda: [os.close(number) for number in closed]
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("alexnet: ") or 2 in closed


def test_an_output_that_nobody_reads_is_no_error(unread):
    ended = run("-m", "alexnet", "weights", "list", stdout=unread)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_output_that_is_closed_is_no_error():
    ended = run("-m", "alexnet", "weights", "list", preexec_fn=lambda: os.close(1))
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["train", "--help"], ["--print-completion", "bash"], ["weights", "list"]]
)
def test_an_output_that_does_not_fit_on_the_disk_is_an_error(words):
    with FULL.open("w") as full:
        ended = run("-m", "alexnet", *words, stdout=full)
    assert (ended.returncode, ended.stderr) == (2, "alexnet: No space left on device\n")


def test_a_folder_that_was_deleted_is_no_place_to_work_in_but_help_is_given(tmp_path):
    def from_nowhere(*words):
        (tmp_path / "gone").mkdir()
        there = tmp_path / "gone"
        return run("-m", "alexnet", *words, preexec_fn=lambda: [os.chdir(there), there.rmdir()])

    told = "alexnet: the current folder no longer exists: cd to another\n"
    ended = from_nowhere("predict", "tiny-imagenet", "/a.jpg")
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", told)
    assert from_nowhere("--version").stdout.startswith("alexnet ")
    assert from_nowhere("predict", "--help").stdout.startswith("usage: alexnet predict")


def test_ctrl_c_during_the_first_imports_ends_without_a_traceback():
    body = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "alexnet.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from alexnet.__main__ import main

main()
"""
    ended = run("-c", body)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_ctrl_c_that_an_import_turns_into_another_error_is_still_an_interruption(monkeypatch, capsys):
    def report():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("cannot load module more than once per process") from None

    monkeypatch.setitem(cli.COMMANDS, "report", report)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as ended:
        cli.main(["report"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "alexnet: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_error_that_nobody_interrupted_keeps_its_traceback(monkeypatch):
    def report():
        raise ImportError("broken")

    monkeypatch.setitem(cli.COMMANDS, "report", report)
    with pytest.raises(ImportError, match="broken"):
        cli.main(["report"])
