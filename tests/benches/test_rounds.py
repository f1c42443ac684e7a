import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.benches import rounds
from alexnet.benches.rounds import Contest, Contestant, Failed, Result, launch, ratio


def test_contestants_take_turns(answers, tiny):
    turns = []
    answers(lambda turn: turns.append(turn["name"]) or {"images/s": float(len(turns))})
    contest = Contest([Contestant("a", ""), Contestant("b", "")], tiny, lambda text: None)
    assert turns == ["a", "b", "a", "b"]
    assert contest("a", "images/s") == [1, 3]
    assert contest("a", "unknown") == contest("c", "images/s") == []


def test_a_slow_contest_begins_no_further_round(answers, tiny):
    answers(lambda turn: {"images/s": 1.0})
    said = []
    contest = Contest([Contestant("a", "")], replace(tiny, patience=0), said.append)
    assert contest("a", "images/s") == [1]
    assert said[-1].startswith("no more rounds")


def test_a_failing_contestant_is_left_out_with_the_reason(answers, tiny):
    def play(turn):
        if turn["name"] == "peer":
            raise ImportError("No module named 'peer'")
        return {"images/s": 1.0}

    answers(play)
    said = []
    contest = Contest([Contestant("peer", ""), Contestant("ours", "")], tiny, said.append)
    assert contest("peer", "images/s") == []
    assert contest("ours", "images/s") == [1, 1]
    assert "left out: peer: ModuleNotFoundError: No module named 'peer'" in said
    assert sum("round" in line and "peer" in line for line in said) == 1


def test_a_real_process_that_fails_says_its_last_line(tiny):
    with pytest.raises(Failed, match="no_such_function"):
        launch(Contestant("x", "benches.clock.no_such_function"), tiny)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_a_contestant_leaves_behind_is_ended():
    child = "import subprocess, sys; quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}\n"
    child += "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], **quiet).pid)"
    number = rounds._run([sys.executable, "-c", child], os.environ).stdout.strip()
    end = time.monotonic() + 10
    while (state := Path("/proc", number, "stat")).exists() and state.read_text().split()[2] != "Z":
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_contestant_that_does_not_end_is_given_up(monkeypatch):
    monkeypatch.setattr(rounds, "TIMEOUT_S", 0.5)
    with pytest.raises(Failed, match="not done after"):
        rounds._run([sys.executable, "-c", "import time; time.sleep(60)"], os.environ)


def test_a_ratio_is_the_median_within_rounds_and_above_one_where_better():
    assert ratio([10, 40, 30], [5, 10, 10], "images/s") == 3
    assert ratio([10, 40, 30], [20, 20, 60], "ms") == 2


def test_what_was_not_measured_has_no_row_and_no_ratio():
    result = Result()
    result.row("absent", "ms", [])
    result.row("present", "ms", [2.0], {"absent": [], "other": [4.0]})
    assert result.rows == [{"name": "present", "value": 2.0, "unit": "ms", "ratio_to": {"other": 2.0}}]
