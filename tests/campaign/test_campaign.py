"""The campaign tells a fault from an end that is as it should be, and can repeat its random moments."""

import sys
from pathlib import Path

import pytest

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in ("campaign", "data", "foreign", "fuzz"))

import rest
import world

TRACE = "Traceback (most recent call last):\n  File\nKeyError: 'a'\n"


@pytest.mark.parametrize(
    ("code", "text", "fault"),
    [
        (0, "", ""),
        (2, "step 3\nalexnet: the disk of /x is full: free some space\n", ""),
        (2, "step 3\n", "exit code 2: step 3"),
        (1, TRACE, "traceback: KeyError: 'a'"),
        (0, f"{TRACE}done\n", "traceback: done"),
        (-6, "terminate called without an active exception\n", "exit code -6: terminate called without an active exce"),
        (-9, "", "exit code -9: "),
    ],
)
def test_only_an_end_in_one_line_is_no_fault(code, text, fault):
    assert world.Ended(code, text).fault.startswith(fault)
    assert bool(world.Ended(code, text).fault) == bool(fault)


def test_the_same_seed_changes_pictures_in_the_same_way():
    data = bytes(range(256)) * 4
    first, again, other = ([rest.mutated(data, dice) for _ in range(50)] for dice in map(world.dice, (0, 0, 1), "ppp"))
    assert first == again != other
    assert len(set(first)) > 45


def test_a_command_runs_apart_and_can_be_killed(tmp_path):
    ended = world.run("pack nowhere store", tmp_path)
    assert (ended.code, ended.fault) == (2, "")
    assert "nowhere" in ended.text
