"""Processes that are killed are started again and train the same network."""

import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from hashlib import blake2b
from itertools import count

import pytest
from damage import unsealed
from safetensors.torch import load_file

from alexnet import config, recipes

SETTINGS = replace(
    recipes.MODERN, variant="toy", input_size=67, precision="float32", batch_size=8, steps=20, evaluate_every=1
)
FLAGS = ["--variant", "toy", "--input-size", "67", "--precision", "float32", "--steps", "20"]
FLAGS += ["--set", "batch_size=8", "--set", "evaluate_every=1"]

# Each start of the team carries out the first order that is left: "WHO STEP SECONDS" kills a rank or torchrun so long
# after that step, or after the start where the step is 0.
PROGRAM = """
import os, signal, sys, threading
from pathlib import Path

order = min(Path(os.environ["ORDERS"]).iterdir(), default=None)
who, step, seconds = order.read_text().split() if order else ("nobody", 0, 0)
is_mine = os.environ["RANK"] == who.replace("torchrun", "0")

def kill():
    order.unlink()
    os.kill(os.getppid() if who == "torchrun" else os.getpid(), signal.SIGKILL)

timer = threading.Timer(float(seconds), kill)
timer.daemon = True
if is_mine and step == "0":
    timer.start()

from alexnet.cli import main
from alexnet.training.loop import Training

write_down = Training.write_down

def write_down_and_die(self, *update):
    write_down(self, *update)
    if is_mine and self.progress.step >= int(step) and not timer.ident:
        timer.start()

Training.write_down = write_down_and_die
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def unbroken(teams, store, tmp_path_factory):
    """The folder of the run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("kills") / "unbroken"
    place = {"store": str(store.directory), "folder": str(folder)}
    [(codes, told)] = teams([{"settings": config.to_json(SETTINGS), "mode": "data", "world": 2, **place}])
    assert codes == [0, 0], told
    return folder


@pytest.fixture
def train(toy_script, store, tmp_path):
    """A function that trains under torchrun, again and again where that is killed, and gives the orders left."""
    script = toy_script(PROGRAM)

    def run(folder, *orders):
        place, told = (tmp_path / f"{folder.name}.{name}" for name in ("orders", "txt"))
        place.mkdir()
        for number, order in enumerate(orders):
            (place / str(number)).write_text(order)
        environment = {**os.environ, "ORDERS": str(place), "OMP_NUM_THREADS": "1"}
        torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "3"]
        new = ["train", "modern", "--data", str(store.directory), "--out", str(folder), *FLAGS]
        command = [sys.executable, "-m", *torchrun, str(script), *new]
        for _ in range(len(orders) + 1):  # one more than it can be killed
            with told.open("a") as file:
                code = subprocess.run(command, stdout=file, stderr=file, env=environment, timeout=600).returncode
            if code != -signal.SIGKILL:
                break
        assert code == 0, told.read_text()
        return len(list(place.iterdir()))

    return run


def content(folder):
    """Gives the hash of the weights and momentum, and all else that the run is judged by."""
    tensors = load_file(folder / "last.safetensors")
    weights = blake2b(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors)), digest_size=8).hexdigest()
    rows = [unsealed(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return weights, [{name: value for name, value in row.items() if name != "images_per_s"} for row in rows]


def test_killed_workers_and_torchrun_are_started_again_and_change_nothing(train, unbroken, tmp_path):
    """Before the first save, after it, and the whole of it."""
    assert train(tmp_path / "run", "1 1 0", "0 9 0", "torchrun 14 0") == 0
    assert content(tmp_path / "run") == content(unbroken)
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.slow
@pytest.mark.skipif("ALEXNET_KILLS" not in os.environ, reason="ALEXNET_KILLS=50 kills fifty times; 15 minutes")
def test_kills_at_random_moments_change_nothing(train, unbroken, tmp_path):
    """A kill a run: while it starts, between two steps, in an evaluation or a save, at the end."""
    wanted, dice, killed = int(os.environ["ALEXNET_KILLS"]), random.Random(os.environ.get("ALEXNET_SEED", "0")), 0
    for number in count():
        if killed == wanted:
            break
        who, step = dice.choice(["0", "1", "torchrun"]), max(0, dice.randint(-4, 20))
        order = f"{who} {step} {dice.random() * (0.1 if step else 6):.3f}"
        folder = tmp_path / str(number)
        was_killed = not train(folder, order)
        assert content(folder) == content(unbroken)
        told = f"killed {killed + 1}" if was_killed else "had ended"
        print(f"{order}: {told}, weights {content(folder)[0]}", flush=True)
        killed += was_killed
