"""The recipes of cuda-convnet's networks: rates, decay layer by layer, and whole runs."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from begun import resume
from begun import train as begin
from safetensors.torch import load_file

from alexnet import recipes
from alexnet.cli import main
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.models.create import create
from alexnet.models.variants import CIFAR
from alexnet.training import plan
from alexnet.training.schedule import learning_rate
from alexnet.training.step import Step


@pytest.fixture(scope="module")
def store(pictures, tmp_path_factory):
    """The coloured pictures at CIFAR's size."""
    return pack(open_source(pictures), tmp_path_factory.mktemp("stores") / "small", size=32)


def short(name):
    """A recipe cut down to 8 steps of 4 pictures."""
    return replace(recipes.recipe(name), batch_size=4, steps=8, precision="float32", evaluate_every=0.9)


# the published schedules


@pytest.mark.parametrize("name", CIFAR)
def test_each_network_has_the_recipe_of_its_name(name):
    train = recipes.recipe(name)
    assert (train.variant, train.batch_size, train.momentum, train.weight_decay) == (name, 128, 0.9, 0.004)
    assert (train.dropout, train.colour, train.divide_pixels_by, train.label_smoothing) == (0, "none", 1, 0)
    assert train.crops == train.flips == (name in ("cifar-13pct", "cifar-11pct"))
    assert plan.make_model(train, 10).order == create(name).order


# epochs at each rate: the facts' table, whose first phases are one here
PHASES = {
    "cifar-80sec": [8, 2],
    "cifar-18pct": [120, 10, 10],
    "cifar-13pct": [140, 10, 10],
    "cifar-11pct": [500, 10, 10],
}


@pytest.mark.parametrize("name", PHASES)
@pytest.mark.parametrize("per_epoch", [1, 390])
def test_the_rate_falls_at_the_published_epochs(name, per_epoch):
    train, total = recipes.recipe(name), sum(PHASES[name]) * per_epoch
    assert train.epochs == sum(PHASES[name])
    rates = [learning_rate(train, step, total, []) for step in range(total)]
    assert rates == [0.001 / 10**drop for drop, epochs in enumerate(PHASES[name]) for _ in range(epochs * per_epoch)]


def test_a_shorter_run_scales_the_schedule():
    train = replace(recipes.recipe("cifar-18pct"), epochs=14)
    rates = [learning_rate(train, step, 140, []) for step in range(140)]
    assert [rates.count(rate) for rate in (0.001, 0.001 / 10, 0.001 / 100)] == [120, 10, 10]


# one update


@pytest.mark.parametrize("follows", [False, True])
def test_each_layer_decays_by_its_own_and_biases_keep_their_rate(follows):
    """v <- 0.9 v - decay rate w - rate g; w <- w + v, with the rates of weights falling in the middle."""
    train = replace(recipes.recipe("cifar-18pct"), bias_follows=follows)
    step, velocity = Step(create("cifar-18pct", input_size=8, initialisation="he"), train, torch.float32), {}
    decay = {"conv1": 0.004, "conv2": 0.004, "conv3": 0.004, "fc4": 1.0}
    for number, rate in enumerate((0.001, 0.001, 0.0001, 0.0001)):
        dice = torch.Generator().manual_seed(number)
        before = {name: p.detach().numpy().astype(np.float64) for name, p in step.parameters.items()}
        step(torch.randn(8, 3, 8, 8, generator=dice), torch.randint(0, 10, (8,), generator=dice), number, rate)
        for name, parameter in step.parameters.items():
            layer, _, kind = name.partition(".")
            own = rate if kind == "weight" else 0.002 if not follows else 2 * rate
            pull = parameter.grad.numpy() + (decay[layer] * before[name] if kind == "weight" else 0)
            velocity[name] = 0.9 * velocity.get(name, 0.0) - own * pull
            moved = parameter.detach().numpy() - before[name]
            np.testing.assert_allclose(moved, velocity[name], rtol=2e-3, atol=2e-7, err_msg=name)


def test_lars_trains_layers_of_different_decay():
    train = replace(recipes.recipe("cifar-18pct"), optimiser="lars", trust=0.02)
    step = Step(create("cifar-18pct", input_size=8, initialisation="he"), train, torch.float32)
    weight = step.model.fc4.weight.detach().clone()
    step(torch.randn(8, 3, 8, 8), torch.arange(8), 0, 0.5)
    gradient = step.model.fc4.weight.grad
    local = 0.02 * weight.norm() / (gradient.norm() + weight.norm())
    torch.testing.assert_close(step.model.fc4.weight.detach(), weight - 0.5 * local * (gradient + weight))


# whole runs


@pytest.mark.parametrize(("name", "stop"), [("cifar-18pct", 4), ("cifar-11pct", 5)])
def test_a_run_stopped_around_a_drop_of_the_rate_goes_on_bit_for_bit(name, stop, store, tmp_path):
    train = replace(short(name), drop_share=0.25)  # drops before the fifth and the seventh step
    begin(train, store, "colours", tmp_path / "whole")
    asked = iter(range(1, 9))
    assert not begin(train, store, "colours", tmp_path / "parts", should_stop=lambda: next(asked) == stop)
    assert resume(store, tmp_path / "parts")
    whole, parts = (load_file(tmp_path / run / "last.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_it_learns_three_colours(store, tmp_path):
    train = replace(short("cifar-80sec"), initialisation="he", divide_pixels_by=64.0, steps=40, learning_rate=0.01)
    begin(train, store, "colours", tmp_path / "run")
    losses = [json.loads(row) for row in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["val_top1_error"] for row in losses if "val_top1_error" in row][-1] == 0


def test_every_command_takes_such_a_run(pictures, tmp_path, capsys):
    run, picture = str(tmp_path / "run"), str(next(pictures.rglob("*.jpg")))
    short_run = ["--steps", "2", "--set", "batch_size=4", "--precision", "float32"]
    main(["train", "cifar-13pct", "--data", str(pictures), "--out", run, *short_run, "--json"])
    trained = json.loads(capsys.readouterr().out)
    assert (trained["complete"], trained["n"]) == (True, 9)
    main(["evaluate", run, "--views", "10", "--precision", "float32,int8", "--json"])
    assert [each["views"] for each in json.loads(capsys.readouterr().out)["precisions"]] == [10, 10]
    main(["predict", run, picture, "--views", "10", "--json"])
    assert len(json.loads(capsys.readouterr().out)["images"][0]["predictions"]) == 3
    main(["report", run])
    assert "<svg" in (tmp_path / "run" / "report.html").read_text()
    with pytest.raises(SystemExit, match="2"):
        main(["compress", run])
    assert "cifar-13pct is small already: compress takes AlexNets" in capsys.readouterr().err


def test_lars_steps_layers_of_several_decays():
    train = replace(recipes.recipe("cifar-18pct"), optimiser="lars", weight_decay=0.004)
    step = Step(create("cifar-18pct"), train, torch.float32)
    before = {name: p.detach().clone() for name, p in step.parameters.items()}
    step(torch.randn(4, 3, 32, 32), torch.arange(4), 0, 0.1)
    assert all((step.parameters[name] != before[name]).any() for name in before)
