"""What goes wrong between processes is said once, ends everyone, and never hangs."""

import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from torch.distributed import HashStore

from alexnet import config, recipes
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.errors import UsageError
from alexnet.meeting import _agree_on_word, assemble
from alexnet.team import ALONE, Group, Team

SETTINGS = replace(recipes.MODERN, variant="toy", input_size=67, precision="float32", batch_size=4, steps=8)
HERE = re.escape(platform.node())

TROUBLE = {
    "other settings": (
        {"world": 2, "other": {"settings": {"learning_rate": 0.5}}},
        [2, 2],
        rf"process 1 on {HERE} has learning_rate 0.5, process 0 on {HERE} 0.02: start all with the same command, .*",
    ),
    "other code": (
        {"world": 2, "other": {"code": "c0de"}},
        [2, 2],
        rf"process 1 on {HERE} has code c0de, process 0 on {HERE} [0-9a-f]{{16}}: start all with the same command, .*",
    ),
    "other data": (
        {"world": 2, "other": {"store": "other"}},
        [2, 2],
        rf"process 1 on {HERE} has data [0-9a-f]+, process 0 on {HERE} [0-9a-f]+: start all with the same command, .*",
    ),
    "no address": (
        {"world": 2, "store": "http://127.0.0.1:9"},
        [2, 2],
        r"http://127.0.0.1:9/dataset.json cannot be reached \(.*refused\), 8 times: check address and network, .*",
    ),
    "batch": ({"world": 3}, [2, 2, 2], r"a batch of 4 cannot be shared evenly by 3 processes: take `batch_size=6`"),
    "three towers": ({"world": 3, "mode": "towers"}, [2, 2, 2], r"`parallel=towers` takes 2 processes, .*, got 3; .*"),
    "one tower": (
        {"world": 2, "mode": "towers", "settings": {"variant": "toy-one-tower"}},
        [2, 2],
        r"toy-one-tower has one tower; `parallel=towers` takes two: `variant=alexnet-two-tower`",
    ),
    "units": (
        {"world": 3, "mode": "hybrid", "settings": {"batch_size": 6}},
        [2, 2, 2],
        r"`parallel=hybrid` cannot divide 32 units evenly among 3 processes",
    ),
    "machines": ({"world": 3, "mode": "hybrid", "here": 2}, [2, 2, 2], r"`parallel=hybrid` takes equally many .*"),
    "nobody comes": (
        {"world": 2, "start": 1, "timeout": 3},
        [2],
        r"not all of 2 processes came to 127.0.0.1:\d+ within 3 s \(`timeout`\)",
    ),
    "port": ({"world": 2, "start": 1, "port": None}, [2], r"127.0.0.1:\d+ is in use: give another --master-port"),
    "killed": (
        {"world": 2, "signal": "SIGKILL", "signal_at": 2},
        [2, -signal.SIGKILL],
        rf"process 1 on {HERE} ended, or did not answer for 120 s \(`timeout`\)",
    ),
    "hung": (
        {"world": 2, "signal": "SIGSTOP", "signal_at": 2, "timeout": 12},
        [2, -signal.SIGKILL],
        rf"process 1 on {HERE} ended, or did not answer for 12 s \(`timeout`\)",
    ),
}


@pytest.fixture(scope="module")
def ends(teams, store, pictures, tmp_path_factory):
    """Name of the trouble -> exit codes and what was said."""
    root = tmp_path_factory.mktemp("trouble")
    pack(open_source(pictures), root / "other", size=77)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        jobs = []
        for name, (how, _, _) in TROUBLE.items():
            settings = config.to_json(SETTINGS) | how.get("settings", {})
            place = {"store": str(store.directory), "folder": str(root / name)}
            jobs.append({"mode": "data", **place, **how, "settings": settings})
            if "store" in how.get("other", {}):
                jobs[-1]["other"] = {"store": str(root / how["other"]["store"])}
            if "port" in how:
                jobs[-1]["port"] = taken.getsockname()[1]
        return dict(zip(TROUBLE, teams(jobs, at_once=True), strict=True))


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_is_said_once_and_ends_everyone(name, ends):
    codes, told = ends[name]
    lines = [line for line in told.splitlines() if not line.startswith("data on ")]  # what a step sends
    assert codes == TROUBLE[name][1], told
    assert len(lines) == 1, told
    assert re.fullmatch(TROUBLE[name][2], lines[0]), told


def test_evaluation_and_prediction_are_shared_and_told_once(teams, run, pictures):
    """9 and 3 pictures, which 2 processes cannot share evenly."""
    images = [str(pictures / "val" / name) for name in ("red/000.jpg", "blue/000.jpg", "green/001.jpg")]
    commands = [
        ["evaluate", str(run), "--data", str(pictures), "--precision", "float32", "--json"],
        ["predict", str(run), *images, "--precision", "float32", "--json"],
    ]
    teams_of = ({}, {"mode": "data", "world": 2})
    ends = teams([{"command": command, **how} for how in teams_of for command in commands])
    assert [codes for codes, _ in ends] == [[0], [0], [0, 0], [0, 0]]
    alone, answers, shared, shared_answers = (json.loads(output[output.index("{") :]) for _, output in ends)
    assert (shared["n"], shared["confusion"]) == (9, alone["confusion"])
    assert shared["loss"] == pytest.approx(alone["loss"], rel=1e-5)
    assert [answer["image"] for answer in shared_answers["images"]] == images
    for ours, theirs in zip(shared_answers["images"], answers["images"], strict=True):
        assert [row["class"] for row in ours["predictions"]] == [row["class"] for row in theirs["predictions"]]


def test_a_mode_without_torchrun_is_told_how_to_start():
    with pytest.raises(UsageError, match="start them with: torchrun --nproc-per-node 2"), assemble("towers", 1):
        pass
    with assemble(None, 1) as team:
        assert team is ALONE


def test_a_start_hears_nothing_of_earlier_ones():
    """One of which process 1 was answered; one in which process 2 came and process 0 did not."""
    store = HashStore()
    for key, value in {"hello 1": "old", "answer old": "older", "heard old": "", "hello 2": "lost"}.items():
        store.set(key, value)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(_agree_on_word, store, 0, 3, 30)
        time.sleep(0.1)
        words = [pool.submit(_agree_on_word, store, rank, 3, 30).result() for rank in (1, 2)]
    assert words == [first.result()] * 2
    assert "older" not in words


def test_who_does_not_come_is_not_waited_for_for_ever():
    with pytest.raises(RuntimeError, match="1/3 processes joined"):
        _agree_on_word(HashStore(), 0, 3, 0.1)


THREADS = """
import sys
from pathlib import Path
import torch
from alexnet.meeting import assemble

with assemble(sys.argv[1], 60) as team:
    torch.optim.SGD([torch.zeros(1)], 0.1)
    team.everyone.sum(torch.ones(1))
print([name for name in (task.read_text() for task in Path("/proc/self/task").glob("*/comm")) if "gloo" in name])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the names of threads in /proc")
@pytest.mark.parametrize(("mode", "count"), [("data", 2), ("towers", 2), ("hybrid", 4)])
def test_no_thread_of_a_team_outlives_it(mode, count):
    """A thread of Gloo that still drops a tensor while the interpreter ends would abort the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    place |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": "2"}
    members = [
        subprocess.Popen(
            [sys.executable, "-c", THREADS, mode],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank % 2)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    assert [member.communicate(timeout=120)[0] for member in members] == ["[]\n"] * count
    assert [member.returncode for member in members] == [0] * count


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("pictures", [1, 2, 5, 12])
def test_shares_are_equal_and_hold_every_picture(count, pictures):
    groups = [Group(index, count) for index in range(count)]
    shares = [Team("data", group, group).share(np.arange(pictures)) for group in groups]
    assert len({len(share) for share in shares}) == 1
    assert np.concatenate(shares)[:pictures].tolist() == list(range(pictures))
