"""Any team trains the network that one process trains."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from alexnet import config
from alexnet.models.alexnet import AlexNet
from alexnet.team import Group, Team
from alexnet.training.parallel import Part
from alexnet.weights import checkpoint

SETTINGS = replace(
    config.MODERN, variant="toy", input_size=67, precision="float32", batch_size=8, steps=20, evaluate_every=4
)
TEAMS = {
    "towers 2": {"mode": "towers", "world": 2},
    "data 2": {"mode": "data", "world": 2},
    "data 4": {"mode": "data", "world": 4},
    "hybrid 2": {"mode": "hybrid", "world": 2},
    "hybrid 4": {"mode": "hybrid", "world": 4},
    "hybrid 2 x 2": {"mode": "hybrid", "world": 4, "here": 2},
}


def job(store, folder, settings=SETTINGS, **how):
    return {"settings": config.to_json(settings), "store": str(store.directory), "folder": str(folder), **how}


@pytest.fixture(scope="module")
def folder(teams, store, tmp_path_factory):
    """The folder in which runs of each team lie, and of one process; and what each told."""
    root = tmp_path_factory.mktemp("teams")
    drop_first = replace(SETTINGS, variant="toy-drop-first")
    jobs = {
        "alone": job(store, root / "alone"),
        "of one": job(store, root / "of one", mode="data"),
        **{name: job(store, root / name, **how) for name, how in TEAMS.items()},
        "bf16": job(store, root / "bf16", replace(SETTINGS, reduction="bf16"), mode="data", world=2),
        "drop first": job(store, root / "drop first", drop_first),
        "drop first, hybrid": job(store, root / "drop first, hybrid", drop_first, mode="hybrid", world=2),
        "stopped towers": job(store, root / "changing", mode="towers", world=2, stop_at=5),
        "then hybrid": job(store, root / "changing", mode="hybrid", world=4, resume=True, stop_at=6),
        "then alone": job(store, root / "changing", resume=True, stop_at=4),
        "then data": job(store, root / "changing", mode="data", world=2, resume=True),
    }
    results = teams(list(jobs.values()))
    for name, (codes, told) in zip(jobs, results, strict=True):
        assert set(codes) == {0}, (name, told)
        (root / f"{name}.txt").write_text(told)
    return root


def tensors(one, other):
    """Gives, for each weight and momentum of a run, its name, and its values there and in the other run."""
    ours, theirs = (load_file(folder / "last.safetensors") for folder in (one, other))
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}
    return [(name, ours[name], theirs[name]) for name in theirs]


def largest_difference(one, other):
    """Gives the largest difference of any weight, over the largest weight of its layer."""
    pairs = [pair for name, *pair in tensors(one, other) if not name.startswith("momentum")]
    return max(float((ours - theirs).abs().max() / theirs.abs().max()) for ours, theirs in pairs)


def are_equal(one, other):
    return all(torch.equal(ours, theirs) for _, ours, theirs in tensors(one, other))


def metrics(folder, name):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


@pytest.mark.parametrize("name", TEAMS)
def test_every_team_trains_what_one_process_trains(name, folder):
    assert largest_difference(folder / name, folder / "alone") < 1e-5
    assert metrics(folder / name, "loss") == pytest.approx(metrics(folder / "alone", "loss"), rel=1e-5)
    assert [path.name for path in (folder / name).iterdir() if ".tmp" in path.name] == []


@pytest.mark.parametrize("name", TEAMS)
def test_every_picture_is_counted_once(name, folder):
    """Of 9, which neither 2 nor 4 divide."""
    best = checkpoint.load(folder / name / "model.safetensors").header["metrics"]
    expected = checkpoint.load(folder / "alone" / "model.safetensors").header["metrics"]
    assert best["n"] == 9
    assert best["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert metrics(folder / name, "val_top1_error") == metrics(folder / "alone", "val_top1_error")


def test_a_team_of_one_agrees_to_the_bit(folder):
    assert are_equal(folder / "of one", folder / "alone")


def test_a_run_may_change_its_team_at_any_save(folder):
    assert largest_difference(folder / "changing", folder / "alone") < 1e-5


def test_dropout_before_the_layer_is_drawn_for_the_whole_batch_too(folder):
    assert largest_difference(folder / "drop first, hybrid", folder / "drop first") < 1e-5


def test_gradients_may_travel_in_bf16(folder):
    assert 0 < largest_difference(folder / "bf16", folder / "data 2") < 0.1


def test_the_first_process_tells_what_each_holds_and_sends(folder):
    assert "--parallel towers on 2 processes: each holds 5" in (folder / "towers 2.txt").read_text()
    assert " MB a step\n" in (folder / "hybrid 4.txt").read_text()
    assert (folder / "alone.txt").read_text() == ""


# what each holds and sends, on the full networks; `meta` tensors have shapes only


@pytest.fixture
def silence(monkeypatch):
    """Lets exchanges be counted and not made."""

    class Done:
        def wait(self):
            pass

    monkeypatch.setattr("torch.distributed.all_gather", lambda *_: None)
    monkeypatch.setattr("torch.distributed.reduce_scatter", lambda *_, **more: None)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda *_, **more: Done())


def member(mode, count):
    everyone = Group(count - 1, count)
    return Team(mode, everyone, *((everyone, Group()) if mode == "data" else (Group(), everyone)))


def bytes_sent(variant, mode, count, each):
    """Gives the bytes of one step with `each` images a process."""
    team = member(mode, count)
    with torch.device("meta"):
        model = AlexNet(variant, initialisation="none").train()
        part = Part(model, team)
        size = model.input_size
        seen = each * count // team.data.count
        scores = model(torch.empty(each if mode != "towers" else each * count, 3, size, size))
        F.cross_entropy(scores, torch.empty(seen, dtype=torch.int64)).backward()
    part.wait()
    return team.sent


@pytest.mark.parametrize("variant", ["alexnet-two-tower", "alexnet-as-run"])
def test_a_tower_holds_half_of_the_weights(variant):
    for index in range(2):
        with torch.device("meta"):
            model = AlexNet(variant, initialisation="none")
            part = Part(model, Team("towers", Group(index, 2), Group(), Group(index, 2)))
        assert part.share <= 0.52
        assert sum(p.numel() for p in model.parameters()) == pytest.approx(part.parameters / 2, rel=1e-4)


@pytest.mark.parametrize("count", [2, 4])
def test_hybrid_sends_less_than_a_quarter_of_data(count, silence):
    data = bytes_sent("alexnet-two-tower", "data", count, 128)
    assert data == pytest.approx(2 * (count - 1) / count * 4 * 60_965_224)
    assert bytes_sent("alexnet-two-tower", "hybrid", count, 128) < 0.25 * data


def test_towers_send_the_maps_that_conv3_fc6_and_fc7_read_and_scores(silence):
    maps = 128 * 13 * 13 + 128 * 6 * 6 + 2048
    assert bytes_sent("alexnet-two-tower", "towers", 2, 64) == 128 * 4 * (2 * maps + 1000)


# failures under torchrun

KILLED = """
import os, random, signal, sys, threading, time
from alexnet.cli import main
from alexnet.training import loop

attempt, rank = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), int(os.environ["RANK"])
loop.SAVE_EVERY_S = 0.0
plan = os.environ["KILLS"].split()

if attempt < len(plan):
    victim, when = plan[attempt].split("@")
    if int(victim) == rank and "s" in when:  # seconds after the first step
        timer = threading.Timer(float(when[:-1]), os.kill, (os.getpid(), signal.SIGKILL))
    counted = loop.Step.__call__

    def __call__(self, images, labels, step, rate):
        if int(victim) == rank:
            if "s" in when and not timer.is_alive():
                timer.start()
            if when == str(step):
                os.kill(os.getpid(), signal.SIGKILL)
        return counted(self, images, labels, step, rate)

    loop.Step.__call__ = __call__
main(sys.argv[1:])
"""


def train_with_kills(toy_script, store, folder, kills):
    script = toy_script(KILLED)
    restarts = ["--nproc-per-node", "2", "--max-restarts", str(len(kills)), "--standalone"]
    flags = ["--variant", "toy", "--input-size", "67", "--precision", "float32", "--steps", "20"]
    flags += ["--set", "batch_size=8", "--set", "evaluate_every=4", "--parallel", "data"]
    command = [sys.executable, "-m", "torch.distributed.run", *restarts, str(script)]
    command += ["train", "modern", "--data", str(store.directory), "--out", str(folder), *flags]
    environment = {**os.environ, "KILLS": " ".join(kills), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr


def test_killed_workers_are_started_again_and_change_nothing(folder, toy_script, store, tmp_path):
    """Either process, before the first save and after it."""
    train_with_kills(toy_script, store, tmp_path / "run", ["1@0", "0@7", "1@13"])
    assert are_equal(tmp_path / "run", folder / "data 2")
    assert metrics(tmp_path / "run", "loss") == metrics(folder / "data 2", "loss")
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.slow
@pytest.mark.skipif("ALEXNET_KILLS" not in os.environ, reason="ALEXNET_KILLS=50 kills fifty times; minutes")
def test_kills_at_random_moments_change_nothing(folder, toy_script, store, tmp_path):
    dice = torch.Generator().manual_seed(0)
    for number in range(int(os.environ.get("ALEXNET_KILLS", "0"))):
        victim, seconds = number % 2, torch.rand(1, generator=dice).item() * 0.5
        train_with_kills(toy_script, store, tmp_path / str(number), [f"{victim}@{seconds}s"])
        assert are_equal(tmp_path / str(number), folder / "data 2")
