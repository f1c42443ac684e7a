import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from alexnet.benches import contest, layers, predict
from alexnet.benches.contest import Contest, Contestant, Failed, launch, ratio, rows
from alexnet.benches.findings import BenchRow, Figures

A, B, C = (Contestant(name, predict.measure) for name in "abc")


def test_contestants_take_turns(answers, tiny):
    turns = []
    answers(lambda contestant, size: turns.append(contestant.name) or Figures(float(len(turns))))
    contest = Contest([A, B], tiny, lambda text: None)
    assert turns == ["a", "b", "a", "b"]
    assert contest.series(A, lambda turn: turn.images_per_s) == [1, 3]
    assert contest.series(A, lambda turn: turn.one_ms) == contest(C) == []


def test_a_slow_contest_begins_no_further_round(answers, tiny):
    answers(lambda contestant, size: 1.0)
    said, slow = [], Contestant("slow", float)
    contest = Contest([slow], replace(tiny, patience=0), said.append)
    assert contest(slow) == [1]
    assert said[-1].startswith("no more rounds")


def test_a_failing_contestant_is_left_out_with_the_reason(answers, tiny):
    peer, ours = Contestant("peer", float), Contestant("ours", float)

    def play(contestant, size):
        if contestant.name == "peer":
            raise ImportError("No module named 'peer'")
        return 1.0

    answers(play)
    said = []
    contest = Contest([peer, ours], tiny, said.append)
    assert contest(peer) == []
    assert contest(ours) == [1, 1]
    assert "left out: peer: ModuleNotFoundError: No module named 'peer'" in said
    assert sum("round" in line and "peer" in line for line in said) == 1


def test_a_real_process_answers_whatever_it_prints(tiny):
    assert launch(Contestant("quiet", repr, keeps_memory=True), tiny) == repr(tiny)
    assert launch(Contestant("noisy", partial(print, "noise")), tiny) is None


def test_only_where_memory_is_kept_do_steps_go_by_uncounted(tiny):
    assert launch(Contestant("plain", repr), tiny) == repr(replace(tiny, warm_up=0))


def test_a_real_process_that_fails_says_its_last_line(tiny):
    with pytest.raises(Failed, match="KeyError: 'no such limit'"):
        launch(Contestant("x", partial(layers.measure_limits, limits=["no such limit"])), tiny)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_a_contestant_leaves_behind_is_ended():
    child = "import subprocess, sys; quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}\n"
    child += "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], **quiet).pid)"
    number = contest._run([sys.executable, "-c", child], os.environ).stdout.decode().strip()
    end = time.monotonic() + 10
    while (state := Path("/proc", number, "stat")).exists() and state.read_text().split()[2] != "Z":
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_contestant_that_does_not_end_is_given_up(monkeypatch):
    monkeypatch.setattr(contest, "TIMEOUT_S", 0.5)
    with pytest.raises(Failed, match="not done after"):
        contest._run([sys.executable, "-c", "import time; time.sleep(60)"], os.environ)


def test_a_ratio_is_the_median_within_rounds_and_above_one_where_better():
    assert ratio([10, 40, 30], [5, 10, 10], "images/s") == 3
    assert ratio([10, 40, 30], [20, 20, 60], "ms") == 2


def test_what_was_not_measured_has_no_row_and_no_ratio():
    assert rows("absent", "ms", []) == []
    assert rows("present", "ms", [2.0], {"absent": [], "other": [4.0]}) == [
        BenchRow("present", 2.0, "ms", {"other": 2.0})
    ]
