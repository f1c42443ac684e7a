"""Any team trains the network that one process trains."""

from dataclasses import replace

import pytest
import torch
from damage import unsealed
from safetensors.torch import load_file
from torch.nn import functional as F

from alexnet import config, recipes
from alexnet.models.create import create
from alexnet.team import Group, Team
from alexnet.training.parallel import Part
from alexnet.weights import checkpoint

SETTINGS = replace(
    recipes.MODERN, variant="toy", input_size=67, precision="float32", batch_size=8, steps=20, evaluate_every=4
)
STILL = replace(SETTINGS, momentum=0.0)
LARS = replace(SETTINGS, optimiser="lars", learning_rate=0.1, trust=0.02)
TEAMS = {
    "towers 2": {"mode": "towers", "world": 2},
    "data 2": {"mode": "data", "world": 2},
    "data 4": {"mode": "data", "world": 4},
    "hybrid 2": {"mode": "hybrid", "world": 2},
    "hybrid 4": {"mode": "hybrid", "world": 4},
    "hybrid 2 x 2": {"mode": "hybrid", "world": 4, "here": 2},
}
SHARED = ("towers 2", "hybrid 2", "hybrid 2 x 2")
"""Teams in which a layer is in several processes."""


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
        "lars": job(store, root / "lars", LARS),
        **{f"lars, {name}": job(store, root / f"lars, {name}", LARS, **TEAMS[name]) for name in SHARED},
        "stopped towers": job(store, root / "changing", mode="towers", world=2, stop_at=5),
        "then hybrid": job(store, root / "changing", mode="hybrid", world=4, resume=True, stop_at=6),
        "then alone": job(store, root / "changing", resume=True, stop_at=4),
        "then data": job(store, root / "changing", mode="data", world=2, resume=True),
        "without momentum": job(store, root / "unmoved", STILL, mode="data", world=2, stop_at=5, timeout=20),
        "without momentum, resumed": job(store, root / "unmoved", mode="data", world=2, resume=True, timeout=20),
        "without momentum, alone": job(store, root / "unmoved alone", STILL),
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
    rows = [unsealed(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


@pytest.mark.parametrize("name", TEAMS)
def test_every_team_trains_what_one_process_trains(name, folder):
    assert largest_difference(folder / name, folder / "alone") < 1e-5
    assert metrics(folder / name, "loss") == pytest.approx(metrics(folder / "alone", "loss"), rel=1e-5)
    assert [path.name for path in (folder / name).iterdir() if ".tmp" in path.name] == []


@pytest.mark.parametrize("name", TEAMS)
def test_every_picture_is_counted_once(name, folder):
    """Of 9, which neither 2 nor 4 divide."""
    best = checkpoint.load(folder / name / "model.safetensors").header.metrics
    expected = checkpoint.load(folder / "alone" / "model.safetensors").header.metrics
    assert best.n == 9
    assert best.loss == pytest.approx(expected.loss, rel=1e-5)
    assert metrics(folder / name, "val_top1_error") == metrics(folder / "alone", "val_top1_error")


def test_a_team_of_one_agrees_to_the_bit(folder):
    assert are_equal(folder / "of one", folder / "alone")


def test_a_team_without_momentum_goes_on(folder):
    assert largest_difference(folder / "unmoved", folder / "unmoved alone") < 1e-5


def test_a_run_may_change_its_team_at_any_save(folder):
    assert largest_difference(folder / "changing", folder / "alone") < 1e-5
    for name, team in (("stopped towers", "towers on 2"), ("then hybrid", "hybrid on 4"), ("then data", "data on 2")):
        assert f"{team} processes" in (folder / f"{name}.txt").read_text()  # said at its first step


def test_dropout_before_the_layer_is_drawn_for_the_whole_batch_too(folder):
    assert largest_difference(folder / "drop first, hybrid", folder / "drop first") < 1e-5


@pytest.mark.parametrize("name", SHARED)
def test_lars_takes_the_norms_of_whole_layers(name, folder):
    assert largest_difference(folder / f"lars, {name}", folder / "lars") < 1e-5
    assert largest_difference(folder / "lars", folder / "alone") > 0.01


def test_gradients_may_travel_in_bf16(folder):
    assert 0 < largest_difference(folder / "bf16", folder / "data 2") < 0.1


def test_the_first_process_tells_what_each_holds_and_sends(folder):
    assert "towers on 2 processes: each holds 5" in (folder / "towers 2.txt").read_text()
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
        model = create(variant, initialisation="none").train()
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
            model = create(variant, initialisation="none")
            part = Part(model, Team("towers", Group(index, 2), Group(), Group(index, 2)))
        assert part.fraction <= 0.52
        assert sum(p.numel() for p in model.parameters()) == pytest.approx(part.parameters / 2, rel=1e-4)


@pytest.mark.parametrize("count", [2, 4])
def test_hybrid_sends_less_than_a_quarter_of_data(count, silence):
    data = bytes_sent("alexnet-two-tower", "data", count, 128)
    assert data == pytest.approx(2 * (count - 1) / count * 4 * 60_965_224)
    assert bytes_sent("alexnet-two-tower", "hybrid", count, 128) < 0.25 * data


def test_towers_send_the_maps_that_conv3_fc6_and_fc7_read_and_scores(silence):
    maps = 128 * 13 * 13 + 128 * 6 * 6 + 2048
    assert bytes_sent("alexnet-two-tower", "towers", 2, 64) == 128 * 4 * (2 * maps + 1000)
