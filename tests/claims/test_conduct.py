"""Claims from beginning to end, with a toy."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from notes import Notes
from PIL import Image

from alexnet import config
from alexnet.claims import budgets
from alexnet.claims.comparison import Comparison
from alexnet.claims.experiment import Experiment
from alexnet.claims.laboratory import Stopped
from alexnet.claims.table import CLAIMS
from alexnet.data.open import from_store
from alexnet.data.pack import pack
from alexnet.data.store import Store
from alexnet.errors import DataError, UsageError
from alexnet.evaluation.classifier import load
from alexnet.evaluation.evaluate import evaluate
from alexnet.training.plan import make_model

TIMES = ("cost", "written", "rows")


def numbers(result):
    """All that must be the same again: everything but times and places."""
    rows = [{key: value for key, value in row.items() if key != "run"} for row in result["rows"]]
    return {key: value for key, value in result.items() if key not in TIMES} | {"rows": rows}


@pytest.mark.parametrize("name", ["lrn", "overlap", "augmentation", "colour", "dropout", "depth", "views", "ensemble"])
def test_every_claim_that_trains_has_an_answer(name, ask, tmp_path):
    result = ask(name)
    assert result["verdict"] in ("confirmed here", "not seen here", "opposite here")
    found = result["differences"]["top1"]
    assert -1 <= found["low"] < found["mean"] < found["high"] <= 1  # which `compare` only ever widens
    assert len(found["each"]) == (0 if name == "ensemble" else 2)
    assert "one seed" not in result["answer"][0]
    written = json.loads((tmp_path / "out" / name / "claim.json").read_text())
    assert written.pop("seal")
    assert written == result
    page = (tmp_path / "out" / name / "claim.html").read_text()
    assert CLAIMS[name].statement in page
    assert found["verdict"] in page
    assert "<svg" in page


def test_the_same_seeds_give_the_same_numbers(ask):
    assert numbers(ask("lrn", "one")) == numbers(ask("lrn", "two"))


def test_an_interrupted_experiment_resumes_and_gives_what_the_unbroken_one_gives(ask):
    notes = Notes(last=5)
    with pytest.raises(Stopped):
        ask("dropout", "broken", observer=notes)
    again = Notes()
    broken = ask("dropout", "broken", observer=again)
    assert (len(notes.runs), len(again.runs), again.steps) == (2, 3, 7)
    assert numbers(broken) == numbers(ask("dropout", "whole"))


def test_what_is_finished_is_not_run_again_and_claims_share_the_whole_network(ask):
    first, second, again = Notes(), Notes(), Notes()
    ask("lrn", observer=first)
    ask("colour", observer=second)
    ask("lrn", observer=again)
    assert first.runs == ["whole, seed 0", "without-lrn, seed 0", "whole, seed 1", "without-lrn, seed 1"]
    assert second.runs == ["without-colour, seed 0", "without-colour, seed 1"]
    assert again.runs == []


def test_a_finished_run_is_an_ordinary_one_whose_weights_give_the_claims_errors(ask, tmp_path):
    row = ask("overlap")["rows"][0]
    run = next(path for path in (tmp_path / "out" / "runs").iterdir() if str(path) == row["run"])
    store = Store(json.loads((run / "config.json").read_text())["data"]["source"])
    evaluation, _ = evaluate([load(run)], store, "val")
    assert evaluation.top1_error == pytest.approx(row["top1_error"])
    assert not (run / "last.safetensors").exists()


def test_the_training_error_is_of_the_training_pictures_seen_as_the_test_pictures_are(ask):
    row = ask("overlap")["rows"][0]
    run = Path(row["run"])
    store = Store(json.loads((run / "config.json").read_text())["data"]["source"])
    evaluation, _ = evaluate([load(run)], store, "train")
    assert row["training_error"] == evaluation.top1_error


def test_numbers_of_another_kind_are_another_run(ask, monkeypatch):
    ask("overlap")
    notes = Notes()
    monkeypatch.setattr("alexnet.claims.laboratory.machine", SimpleNamespace(dtype=lambda setting: "other"))
    ask("overlap", observer=notes)
    assert len(notes.runs) == 4


def test_the_ensemble_is_compared_with_the_mean_of_its_members(ask):
    result = ask("ensemble", seeds=3)
    average, *members = (row["top1_error"] for row in result["rows"])
    assert len(members) == 3
    assert result["differences"]["top1"]["mean"] == pytest.approx(np.mean(members) - average)


def test_seeds_are_paired(ask):
    result = ask("lrn")
    whole, without = (
        [row["top1_error"] for row in result["rows"] if row["name"] == name] for name in CLAIMS["lrn"].experiment.arms
    )
    assert result["differences"]["top1"]["each"] == pytest.approx(np.subtract(without, whole))


@pytest.mark.parametrize("name", [name for name, row in CLAIMS.items() if row.experiment.kind == "arms"])
def test_the_arms_differ_by_one_change_of_the_settings(name):
    base = budgets.BUDGETS["full"].train
    ours, theirs = (config.to_json(config.change(base, arm)) for arm in CLAIMS[name].experiment.arms.values())
    changed = {key for key in ours if ours[key] != theirs[key]}
    assert changed == {
        "lrn": {"lrn"},
        "overlap": {"pooling"},
        "augmentation": {"crops", "flips"},
        "colour": {"colour"},
        "dropout": {"dropout"},
        "towers": {"variant"},
        "depth": {"without"},
    }.get(name)


@pytest.mark.parametrize("budget", ["quick", "standard", "tiny", "full"])
def test_every_arm_of_every_budget_is_a_network(budget):
    experiments = [row.experiment for row in CLAIMS.values() if isinstance(row.experiment, Experiment)]
    for experiment in (each for each in experiments if budget in each.budgets):
        for arm in experiment.arms:
            settings = experiment.settings(arm, replace(experiment.budgets[budget].train, initialisation="none"))
            with torch.device("meta"):
                model = make_model(settings, 10)
            assert settings.stored_size >= model.input_size


def test_parameters_are_the_lectures(ask):
    result = ask("parameters")
    assert result["verdict"] == "confirmed here"
    assert [figure["found"] for figure in result["figures"][:2]] == [62_378_344, 1_135_256_096]


# what is said before the work


def test_the_plan_and_its_weaknesses_are_told_before_the_first_run(ask):
    notes = Notes(last=1)
    with pytest.raises(Stopped):
        ask("lrn", observer=notes)
    said = "\n".join(notes.notices)
    assert CLAIMS["lrn"].statement in said
    assert "4 runs, 4 to be trained: about " in said
    assert "3 classes: five guesses name every class, so only the top-1 error is compared" in said
    assert "9 test pictures show differences of about 74.4 points or more, this claim is about 1.4" in said
    assert "about 25,414 would show it" in said
    assert "2 seeds an arm: what other seeds would give is hardly known" in said


def test_pictures_without_colours_are_told_before_colour_is_put_to_the_test(ask, tmp_path):
    for name in ("train/a", "train/b", "val/a", "val/b"):
        (tmp_path / "gray" / name).mkdir(parents=True)
        for i in range(3):
            noise = np.random.default_rng([i, *name.encode()]).integers(0, 255, (90, 90)).astype(np.uint8)
            Image.fromarray(noise).save(tmp_path / "gray" / name / f"{i}.png")
    notes = Notes(last=1)
    for name in ("colour", "overlap"):
        with pytest.raises(Stopped):
            ask(name, source=tmp_path / "gray", observer=notes)
    assert sum("all but gray" in text for text in notes.notices) == 1


def test_five_classes_or_fewer_have_no_top5(ask):
    assert set(ask("views")["differences"]) == {"top1"}


@pytest.mark.parametrize(("name", "seeds", "least"), [("lrn", 0, 1), ("ensemble", 1, 2)])
def test_too_few_seeds_are_refused(ask, name, seeds, least):
    with pytest.raises(UsageError, match=f"this claim takes {least} or more seeds, got {seeds}"):
        ask(name, seeds=seeds)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("lrn", "lrn=false", "the setting lrn does not fit this claim: it is what without-lrn changes"),
        ("towers", "variant=alexnet", "the setting variant does not fit this claim: it is what two-towers changes"),
        ("colour", "evaluate_every=1", "nothing may be chosen by the pictures that the answer is measured on"),
        ("lrn", "input_size=99", r"crops of 99 pixels do not fit into pictures of 76: set stored_size=112 too"),
        ("lrn", "variant=one-weird-trick", "one-weird-trick has nothing that this claim takes away"),
    ],
)
def test_a_change_that_makes_another_question_is_refused_before_the_work(ask, name, change, told):
    with pytest.raises(UsageError, match=told):
        ask(name, changes=(change,))


def test_what_one_arm_changes_may_be_something_else_in_the_other(ask):
    assert ask("colour", changes=("colour=source",))["arms"] == {"whole": {}, "without-colour": {"colour": "none"}}


def test_an_unknown_claim_is_refused(ask):
    with pytest.raises(UsageError, match="no claim 'relus'; there are relu, lrn"):
        ask("relus")


def test_a_set_too_small_for_a_split_is_refused_before_the_work(ask, make_folder, tmp_path):
    few = make_folder(tmp_path / "few", {"red": 1, "blue": 3})
    notes = Notes()
    with pytest.raises(DataError, match="class 'red' has 1 picture: a split needs at least 2"):
        ask("lrn", source=few, observer=notes)
    assert notes.runs == []


def test_nothing_to_test_on_is_said_before_the_work(ask, make_folder, tmp_path):
    source = make_folder(tmp_path / "all", {"train/red": 4, "train/blue": 4})
    with pytest.raises(DataError, match="all has train only: an experiment takes pictures to train on and others"):
        ask("lrn", source=source)


def test_a_packed_store_of_the_right_size_serves_as_it_is(ask, store):
    assert ask("views", source=store.directory)["data"]["hash"] == store.content_hash


def test_a_packed_store_of_another_size_is_packed_anew(ask, store, tmp_path):
    large = pack(from_store(store), tmp_path / "large", size=90)
    result = ask("views", source=large.directory)
    assert result["data"]["hash"] not in (store.content_hash, large.content_hash)
    assert result["data"]["counts"] == {"train": 18, "val": 9}


def test_a_budget_takes_a_share_of_the_pictures(ask, monkeypatch, tiny):
    small = dict.fromkeys(budgets.BUDGETS, replace(tiny, pictures=9))
    monkeypatch.setattr(Comparison, "budgets", small)
    assert ask("views")["data"]["counts"] == {"train": 9, "val": 9}


def test_fewer_pictures_to_train_on_leave_those_to_test_on(ask):
    assert ask("views", pictures_a_run=5)["data"]["counts"] == {"train": 5, "val": 9}


def test_a_number_of_training_pictures_replaces_that_of_the_budget(ask, monkeypatch, tiny):
    monkeypatch.setattr(Comparison, "budgets", dict.fromkeys(budgets.BUDGETS, replace(tiny, pictures=4)))
    assert ask("views", pictures_a_run=9)["data"]["counts"] == {"train": 9, "val": 4}
