"""Starting from a trained network, from a shell."""

import json

import pytest

from alexnet.run import Run
from alexnet.weights import checkpoint

FEW = ["--steps", "5", "--precision", "float32", "--set", "batch_size=4"]


@pytest.fixture(scope="module")
def tuned(pictures, run, tmp_path_factory):
    """The folder of a finished fine-tuning of `run`; only to be read."""
    from alexnet import train

    out = tmp_path_factory.mktemp("tuned") / "run"
    train("finetune", data=pictures, out=out, from_=run, steps=4, precision="float32", batch_size=4)
    return out


def test_a_table_stands_before_the_training_and_the_stages_behind_it(alexnet, pictures, run, tmp_path):
    code, out, err = alexnet("train", "finetune", "--from", run, "--data", pictures, "--out", tmp_path / "r", *FEW)
    assert code == 0
    lines = err.splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("layer  from"))
    assert lines[head + 1].split() == ["conv1", "toy", "2,912", "0.06"]
    assert " ".join(lines[head + 6].split()[:5]) == "fc6 toy, then made anew"
    assert " ".join(lines[head + 8].split()) == "fc8 all 3 classes by name 99 0.03"
    assert next(place for place, line in enumerate(lines) if line.startswith("frozen features: top-1 error")) > head
    assert "fine-tuning gained" in out
    assert "paired" in out
    report = (tmp_path / "r" / "report.html").read_text()
    assert "What it started from" in report
    assert "frozen features" in report


@pytest.mark.parametrize(
    ("place", "told"), [("", "exists already; choose another folder\n"), ("x", "(Not a directory)")]
)
def test_the_place_is_looked_at_before_anything_is_read_or_said(place, told, alexnet, pictures, run, tmp_path):
    (tmp_path / "holiday.jpg").write_text("")
    out = tmp_path / "holiday.jpg" / place
    code, _, err = alexnet("train", "finetune", "--from", run, "--data", pictures, "--out", out, *FEW)
    assert (code, err.count("\n")) == (2, 1)
    assert told in err
    assert "--resume" not in err


def test_hints_after_a_training_are_whole_commands(alexnet, run, make_folder, tmp_path):
    mixed = make_folder(tmp_path / "mixed", {"blue": 8, "green": 8, "red": 8})
    out = tmp_path / "my run"
    code, told, _ = alexnet("train", "finetune", "--from", run, "--data", mixed, "--out", out, "--epochs", 0)
    assert code == 0
    assert f"all: alexnet evaluate '{out}' --split train+val\n" in told
    assert "all: --split train+val\n" in alexnet("evaluate", out)[1]


def test_zero_epochs_and_few_pictures_stop_at_the_head(alexnet, pictures, run, tmp_path):
    start = ["train", "finetune", "--from", run, "--data", pictures, "--json"]
    code, out, err = alexnet(*start, "--out", tmp_path / "few")
    assert code == 0
    assert "fewer than 20 training pictures a class" in err
    assert json.loads(out)["complete"]
    assert "gain" not in json.loads(out)
    assert Run(tmp_path / "few").description().settings.epochs == 0
    code, out, err = alexnet(*start, "--epochs", "0", "--out", tmp_path / "zero")
    assert code == 0
    assert "fewer than" not in err
    assert checkpoint.read_header(tmp_path / "zero" / "model.safetensors").step == 0


def test_a_finished_run_goes_on_as_a_new_one(alexnet, run, tmp_path):
    code, _, err = alexnet("train", "--from", run, "--epochs", "1", "--out", tmp_path / "more", "--json")
    assert code == 0, err
    before, after = Run(run).description(), Run(tmp_path / "more").description()
    assert (after.settings.epochs, after.settings.steps) == (1, None)
    assert after.settings.learning_rate == before.settings.learning_rate
    assert after.data.hash == before.data.hash
    assert after.ancestor.layers[-1].origin.startswith("all 3 classes by name")


def test_going_on_keeps_the_weights_that_it_began_with_where_none_are_better(alexnet, tuned, tmp_path):
    more = ["--epochs", "1", "--set", "learning_rate=0.5", "--out", tmp_path / "worse"]
    code, _, err = alexnet("train", "--from", tuned, *more)
    assert code == 0, err
    assert "before the first step: top-1 error" in err
    assert checkpoint.read_header(tmp_path / "worse" / "model.safetensors").step == 0


def test_going_on_from_a_tuned_run_makes_no_layer_anew_again(alexnet, tuned, tmp_path):
    code, _, err = alexnet("train", "--from", tuned, "--epochs", "1", "--out", tmp_path / "more", "--json")
    assert code == 0, err
    assert Run(tuned).description().settings.renew == "fc6"
    assert {layer.origin for layer in Run(tmp_path / "more").description().ancestor.layers[:-1]} == {"run"}


def test_larger_pictures_are_tuned_at_a_larger_input_but_probed_at_the_own_one(alexnet, run, make_folder, tmp_path):
    counts = {"train/blue": 3, "train/red": 3, "val/blue": 1, "val/red": 1}
    place = make_folder(tmp_path / "large", counts, side=150)
    start = ["train", "finetune", "--from", run, "--data", place, *FEW[2:], "--json"]
    for name, more, side in (("tuned", ["--steps", "2"], 131), ("probed", ["--epochs", "0"], 67), ("few", [], 67)):
        code, _, err = alexnet(*start, *more, "--out", tmp_path / name)
        assert code == 0, err
        assert Run(tmp_path / name).description().settings.input_size == side


def test_resuming_a_finished_run_says_how_to_go_on(alexnet, tuned):
    code, _, err = alexnet("train", "--resume", tuned)
    assert code == 0
    assert f"alexnet train --from {tuned} --epochs 20" in err


def test_a_tuned_run_is_a_run_like_any_other(alexnet, tuned, pictures, tmp_path):
    assert alexnet("evaluate", tuned)[0] == 0
    assert alexnet("report", tuned)[0] == 0
    code, _, err = alexnet("compress", tuned, "--epochs", "1", "--out", tmp_path / "small")
    assert code == 0, err
    ancestor = json.loads((tmp_path / "small" / "manifest.json").read_text())["ancestor"]
    assert ancestor["name"] == "toy"
    again = "train", "finetune", "--from", tmp_path / "small", "--epochs", "0", "--out", tmp_path / "again"
    code, _, err = alexnet(*again, "--data", pictures)
    assert code == 0, err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["finetune", "--variant", "alexnet"], "--variant alexnet contradicts toy, which has toy"),
        (["finetune", "--freeze", "conv9"], "no 'conv9' here; perhaps 'conv5'"),
        (["finetune", "--input-size", "40"], "40 pixels are too few for toy; the smallest input is 67"),
        (["modern", "--epochs", "0"], "--epochs 0 fits the head alone"),
        (["finetune", "--set", "divide_pixels_by=1"], "contradicts toy, which has 64.0: leave it away"),
    ],
)
def test_bad_requests_are_refused_in_a_line_before_anything_is_made(alexnet, pictures, run, tmp_path, arguments, told):
    code, out, err = alexnet("train", *arguments, "--from", run, "--data", pictures, "--out", tmp_path / "r")
    assert (code, out) == (2, "")
    assert told in err.splitlines()[-1]
    assert not (tmp_path / "r").exists()


def test_a_recipe_that_starts_from_a_network_needs_one(alexnet, pictures, tmp_path):
    code, _, err = alexnet("train", "modern", "--freeze", "conv3", "--data", pictures, "--out", tmp_path / "r")
    assert code == 2
    assert "--freeze conv3 is for a network that is trained already: name one by --from" in err
