"""Two machines, each a network namespace, joined by a cable that can be pulled."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path

import pytest
from safetensors.torch import load_file

from alexnet.weights import checkpoint

CAN_PLUG = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("ip")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("ALEXNET_HOSTS" not in os.environ, reason="ALEXNET_HOSTS=1 pulls cables; minutes"),
    pytest.mark.skipif(not CAN_PLUG, reason="needs root, and `ip` of iproute2, to make network namespaces"),
]

PROGRAM = """
import sys, time
from alexnet.cli import main
from alexnet.training.loop import Training

write_down = Training.write_down

def write_down_slowly(self, *update):
    write_down(self, *update)
    time.sleep(0.3)

Training.write_down = write_down_slowly
main(sys.argv[1:])
"""
FLAGS = ["--variant", "toy", "--input-size", "67", "--precision", "float32", "--steps", "20", "--parallel", "data"]
FLAGS += ["--set", "batch_size=8", "--set", "evaluate_every=1"]
REJOIN = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # as launch/several-nodes.sh
TIMEOUT_S = 20
JOIN_S = 30


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
        """Starts torchrun on a host."""
        own = ["--local-addr", f"10.77.0.{number + 1}", "--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "3"]
        meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "10.77.0.1:29400", "--rdzv-id", "two"]
        meet += ["--rdzv-conf", f"join_timeout={JOIN_S},is_host={1 - number}"]
        torchrun = [sys.executable, "-m", "torch.distributed.run", *own, *meet]
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": "cable", "OMP_NUM_THREADS": "1", **REJOIN}
        line = ["ip", "netns", "exec", self.names[number], *torchrun, *map(str, command)]
        return subprocess.Popen(line, stdout=told, stderr=told, env=environment)


@pytest.fixture
def train(toy_script, store, tmp_path):
    """A function that trains on two hosts and, after the fifth step, meddles; gives exit codes and words."""
    script = toy_script(PROGRAM)

    def run(folder, meddle=lambda hosts, start, running, said: None, patience_s=None):
        files = [tmp_path / f"{folder.name}.{number}.txt" for number in (1, 2)]
        command = [script, "train", "modern", "--data", store.directory, "--out", folder]
        command += [*FLAGS, "--timeout", TIMEOUT_S]

        def said():
            return [re.findall("^alexnet: .*", file.read_text(), re.MULTILINE) for file in files]

        with Hosts() as hosts, ExitStack() as opened:
            told = [opened.enter_context(file.open("a")) for file in files]

            def start(number):
                return hosts.start(number, told[number], *command)

            running = [start(0), start(1)]
            wait_for_step(folder, 5, running)
            meddle(hosts, start, running, said)
            codes = [end(process, patience_s) for process in running]
        return codes, said()

    return run


def end(process, patience_s):
    try:
        return process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def wait_for_step(folder, step, running):
    journal = folder / "metrics.jsonl"
    while not journal.exists() or journal.read_bytes().count(b'"lr"') < step:
        assert all(process.poll() is None for process in running)
        time.sleep(0.05)


def weights(folder):
    tensors = load_file(folder / "last.safetensors")
    return blake2b(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors)), digest_size=8).hexdigest()


def worker(torchrun):
    return int(Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()[0])


def pull_for_5_s(hosts, start, running, said):
    hosts.plug("down")
    time.sleep(5)
    hosts.plug("up")


def kill_a_worker(hosts, start, running, said):
    os.kill(worker(running[1]), signal.SIGKILL)


def kill_torchrun(hosts, start, running, said):
    running[1].kill()
    running[1].wait()
    running[1] = start(1)


def pull_for_good(hosts, start, running, said):
    hosts.plug("down")
    began = time.monotonic()
    while not all(said()):
        assert time.monotonic() - began < 2 * TIMEOUT_S + 10
        time.sleep(0.1)
    print(f"told on both sides after {time.monotonic() - began:.0f} s", flush=True)


def test_two_hosts_train_together_whatever_happens(train, tmp_path):
    codes, words = train(tmp_path / "quiet")
    assert codes == [0, 0], words
    for meddle in (kill_torchrun, kill_a_worker, pull_for_5_s):
        codes, words = train(tmp_path / meddle.__name__, meddle)
        print(f"{meddle.__name__}: {codes} {words} {weights(tmp_path / meddle.__name__)}", flush=True)
        assert codes == [0, 0], words
        assert weights(tmp_path / meddle.__name__) == weights(tmp_path / "quiet")


def test_a_cable_that_is_pulled_for_good_is_told_on_both_sides(train, tmp_path):
    """torchrun on the far side then waits until TCP gives up, a quarter of an hour; here it is ended before."""
    folder = tmp_path / "cut"
    codes, words = train(folder, pull_for_good, patience_s=JOIN_S + 30)
    print(f"{codes} {words}", flush=True)
    assert 0 not in codes
    assert [len(said) for said in words] == [1, 1]
    assert "process 1 on" in words[0][0]
    assert "process 0 on" in words[1][0]
    assert checkpoint.load(folder / "last.safetensors").header.progress.step < 20
    codes, words = train(folder)
    assert codes == [0, 0], words
    train(tmp_path / "quiet")
    assert weights(folder) == weights(tmp_path / "quiet")
