"""The launchers: the line that each gives to torchrun."""

import os
import subprocess
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[1] / "launch"


@pytest.fixture
def start(tmp_path):
    """A function that runs a launcher with a `torchrun` that only says what it was given."""
    (tmp_path / "torchrun").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "torchrun").chmod(0o755)

    def run(launcher, *arguments, **settings):
        environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", **settings}
        return subprocess.run([LAUNCH / launcher, *arguments], env=environment, capture_output=True, text=True)

    return run


def test_a_new_run_is_started_and_one_that_is_there_goes_on(start, tmp_path):
    line = ("modern", "my pictures", str(tmp_path / "run"), "--parallel", "towers", "--seed", "3")
    first = start("one-node.sh", *line, PROCESSES="2").stdout
    assert first.startswith(
        "--standalone --nproc-per-node 2 --max-restarts 3 -m alexnet train modern --data my pictures"
    )
    assert first.endswith("run --parallel towers --seed 3\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text("{}")
    again = start("one-node.sh", *line).stdout
    assert again == (
        f"--standalone --nproc-per-node gpu --max-restarts 3 -m alexnet train --resume {line[2]} --parallel towers\n"
    )


def test_several_nodes_meet_at_the_head(start):
    said = start("several-nodes.sh", "paper", "d", "r", NODES="4", HEAD="node0:29500").stdout
    assert "--nnodes 4" in said
    assert "--rdzv-endpoint node0:29500" in said
    assert "HEAD" in start("several-nodes.sh", "paper", "d", "r", NODES="4").stderr


def test_too_few_words_are_answered_with_the_usage(start):
    ended = start("one-node.sh", "paper")
    assert (ended.returncode, ended.stderr[:6]) == (2, "usage:")
