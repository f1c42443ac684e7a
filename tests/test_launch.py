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


def test_one_node_starts_a_process_a_gpu_or_as_many_as_told(start):
    line = ("modern", "--data", "my pictures", "--out", "run", "--parallel", "towers")
    rest = "--max-restarts 3 -m alexnet train modern --data my pictures --out run --parallel towers\n"
    assert start("one-node.sh", *line).stdout == f"--standalone --nproc-per-node gpu {rest}"
    assert start("one-node.sh", *line, PROCESSES="2").stdout == f"--standalone --nproc-per-node 2 {rest}"


def test_several_nodes_meet_at_the_head(start):
    said = start("several-nodes.sh", "paper", "--out", "r", NODES="4", HEAD="node0:29500", WAIT="60").stdout
    assert said.startswith("--nnodes 4 --nproc-per-node gpu --max-restarts 3 --rdzv-backend c10d")
    assert said.endswith(
        "--rdzv-endpoint node0:29500 --rdzv-id alexnet --rdzv-conf join_timeout=60 -m alexnet train paper --out r\n"
    )
    assert "HEAD" in start("several-nodes.sh", "paper", NODES="4").stderr


def test_slurm_starts_the_same_line_on_every_node(start, tmp_path):
    for name, body in {"scontrol": "echo n7; seq 100000", "srun": 'shift 3; exec "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_NODELIST": "n[7-8]", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "41", "SLURM_CPUS_PER_TASK": "8"}
    said = start("slurm.sh", "paper", "--out", "r", SLURM_SUBMIT_DIR=str(LAUNCH.parent), **job).stdout
    assert said.startswith("--nnodes 2")
    assert "--rdzv-endpoint n7:20041 --rdzv-id 41" in said
    assert said.endswith("-m alexnet train paper --out r\n")


def test_every_pod_of_kubernetes_runs_the_tested_line(start):
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all((LAUNCH / "kubernetes.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert service["metadata"]["name"] == pod["subdomain"] == "alexnet"
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert f"--nnodes {job['spec']['completions']}" in container["args"][0]
    assert "--rdzv-endpoint alexnet-0.alexnet:" in container["args"][0]
