"""Two machines, each a network namespace, joined by a cable that can be pulled."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file

from alexnet.weights import checkpoint

CAN_PLUG = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("ip")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CAN_PLUG, reason="needs root, and `ip` of iproute2, to make network namespaces"),
]

PROGRAM = """
import sys, time
from alexnet.cli import main
from alexnet.training.loop import Job

update = Job.update

def update_slowly(self, *batch):
    update(self, *batch)
    time.sleep(0.3)

Job.update = update_slowly
main(sys.argv[1:])
"""
FLAGS = ["--variant", "toy", "--input-size", "67", "--precision", "float32", "--steps", "20", "--parallel", "data"]
FLAGS += ["--set", "batch_size=8", "--set", "evaluate_every=1"]
TIMEOUT_S = 20
JOIN_S = 60


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Hosts:
    """Two namespaces with an address each."""

    def __init__(self):
        self.names = [f"alexnet-{os.getpid()}-{number}" for number in (1, 2)]

    def __enter__(self):
        first, second = self.names
        for name in self.names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", first, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", second)
        for number, name in enumerate(self.names, start=1):
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
        return self

    def __exit__(self, *_):
        for name in self.names:
            ip("netns", "delete", name)

    def plug(self, state):
        ip("-n", self.names[1], "link", "set", "cable", state)

    def start(self, number, told, *command):
        own = ["--local-addr", f"10.77.0.{number + 1}", "--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "3"]
        meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "10.77.0.1:29400", "--rdzv-id", "two"]
        meet += ["--rdzv-conf", f"join_timeout={JOIN_S},is_host={1 - number}"]
        torchrun = [sys.executable, "-m", "torch.distributed.run", *own, *meet]
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": "cable", "OMP_NUM_THREADS": "1"}
        line = ["ip", "netns", "exec", self.names[number], *torchrun, *map(str, command)]
        return subprocess.Popen(line, stdout=told, stderr=told, env=environment)


@pytest.fixture
def train(toy_script, store, tmp_path):
    """A function that trains on two hosts, with a function to call in the meantime; gives exit codes and words."""
    script = toy_script(PROGRAM)

    def run(folder, meanwhile=lambda hosts: None):
        new = ["modern", "--data", store.directory, "--out", folder, *FLAGS]
        what = ["--resume", folder] if (folder / "config.json").exists() else new
        files = [(tmp_path / f"{folder.name}.{number}.txt").open("w+") for number in (1, 2)]
        with Hosts() as hosts:
            command = [script, "train", *what, "--timeout", TIMEOUT_S]
            running = [hosts.start(number, file, *command) for number, file in enumerate(files)]
            meanwhile(hosts)
            codes = [process.wait() for process in running]
        words = []
        for file in files:
            file.seek(0)
            words.append(file.read())
            file.close()
        return codes, words

    return run


def wait_for_step(folder, step):
    while not (folder / "metrics.jsonl").exists() or (folder / "metrics.jsonl").read_bytes().count(b'"lr"') < step:
        time.sleep(0.05)


def are_equal(one, other):
    ours, theirs = (load_file(folder / "last.safetensors") for folder in (one, other))
    return ours.keys() == theirs.keys() and all((ours[name] == theirs[name]).all() for name in theirs)


def test_two_hosts_train_together_and_survive_a_pulled_cable(train, tmp_path):
    codes, words = train(tmp_path / "quiet")
    assert codes == [0, 0], words

    def pull_for_5_s(hosts):
        wait_for_step(tmp_path / "pulled", 5)
        hosts.plug("down")
        time.sleep(5)
        hosts.plug("up")

    codes, words = train(tmp_path / "pulled", pull_for_5_s)
    assert codes == [0, 0], words
    assert are_equal(tmp_path / "pulled", tmp_path / "quiet")

    pulled = []

    def pull_for_good(hosts):
        wait_for_step(tmp_path / "cut", 5)
        hosts.plug("down")
        pulled.append(time.monotonic())

    codes, words = train(tmp_path / "cut", pull_for_good)
    print(codes, time.monotonic() - pulled[0], *words, sep="\n")
    assert 0 not in codes
    assert checkpoint.load(tmp_path / "cut" / "last.safetensors").header["progress"]["step"] < 20
    codes, words = train(tmp_path / "cut")
    assert codes == [0, 0], words
    assert are_equal(tmp_path / "cut", tmp_path / "quiet")
