"""`alexnet claim` as a person meets it."""

import json
import os
import shlex
import signal
from dataclasses import replace

import pytest

from alexnet.claims import budgets
from alexnet.claims.comparison import Comparison
from alexnet.claims.table import CLAIMS


@pytest.fixture
def alexnet(alexnet, monkeypatch, settings, tmp_path):
    """The same with a toy for every budget, in an empty folder."""
    train = replace(settings, steps=3, stored_size=76, evaluate_every=budgets.ONLY_AT_THE_END)
    small = budgets.Budget("a moment", train, seeds=1)
    monkeypatch.setattr(Comparison, "budgets", dict.fromkeys(budgets.BUDGETS, small))
    monkeypatch.chdir(tmp_path)
    return alexnet


def test_the_list_names_every_claim_its_place_and_its_figure(alexnet):
    code, out, _ = alexnet("claim", "--list")
    assert code == 0
    for name, row in CLAIMS.items():
        assert f"{name}: {row.statement}\n  {row.where}\n  paper: {row.paper}\n" in out
    assert set(json.loads(alexnet("claim", "--list", "--json")[1])["claims"]) == {
        *("relu", "lrn", "overlap", "augmentation", "colour", "dropout", "towers", "ensemble", "views", "depth"),
        *("parameters", "transfer"),
    }


def test_a_claim_prints_its_networks_the_answer_and_what_was_measured_in_2012(alexnet, pictures):
    code, out, err = alexnet("claim", "lrn", "--data", pictures)
    assert code == 0
    assert "whole" in out
    assert "without-lrn" in out
    assert "not seen here: a network errs on " in out
    assert "paper section 3.3; lecture, local response normalisation" in out
    assert "s of training, 24 pictures" in out
    assert "notes of 2012: net 148" in out
    assert out.rstrip().endswith("runs/claims/lrn/claim.html")
    assert "2 runs, 2 to be trained: about" in err
    assert "whole, seed 0" in err


def test_json_is_one_object_and_the_folder_is_ones_own(alexnet, pictures, tmp_path):
    code, out, _ = alexnet("claim", "views", "--data", pictures, "--seeds", 2, "--out", tmp_path / "mine", "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["complete"]
    assert answer["seeds"] == 2
    assert answer["cost"]["images"] == 2 * 3 * 4
    assert json.loads((tmp_path / "mine/views/claim.json").read_text())["verdict"] == answer["verdict"]


def test_a_setting_of_every_arm_can_be_changed_and_survives_ctrl_c(alexnet, pictures, monkeypatch):
    from alexnet.progress import Display

    with monkeypatch.context() as patch:
        patch.setattr(Display, "stepped", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        changes = "--pictures", "9", "--set", "steps=2", "--set", "momentum=0.5"
        _, out, _ = alexnet("claim", "lrn", "--data", pictures, *changes)
    words = shlex.split(out.strip().partition("the same command goes on: ")[2])
    answer = json.loads(alexnet(*words[1:], "--json")[1])
    assert (answer["settings"]["steps"], answer["settings"]["momentum"]) == (2, 0.5)
    assert answer["arms"] == {"whole": {}, "without-lrn": {"lrn": False}}
    assert answer["data"]["counts"] == {"train": 9, "val": 9}
    assert answer["cost"]["images"] == 2 * 2 * 4


def test_parameters_need_no_data(alexnet):
    code, out, _ = alexnet("claim", "parameters")
    assert code == 0
    assert "62,378,344 parameters and 1,135,256,096 multiply-adds" in out
    assert "confirmed here" in out


def test_ctrl_c_saves_and_says_how_to_go_on(alexnet, pictures, monkeypatch):
    from alexnet.progress import Display

    with monkeypatch.context() as patch:
        patch.setattr(Display, "stepped", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        code, out, _ = alexnet("claim", "lrn", "--data", pictures)
    assert code == 130
    words = out.strip().partition("the same command goes on: ")[2]
    code, out, _ = alexnet(*shlex.split(words)[1:])
    assert code == 0
    assert "without-lrn" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["claim"], "claim takes a name, one of relu, lrn"),
        (["claim", "lnr"], "no claim 'lnr'; there are relu, lrn"),
        (["claim", "lrn", "--budget", "quik"], "perhaps 'quick'"),
        (["claim", "lrn", "--data", "nowhere"], "there is no source 'nowhere'"),
        (["claim", "lrn", "--set", "lnr=false"], "no setting 'lnr'; perhaps 'lrn'"),
        (["claim", "lrn", "--seeds", "0"], "this claim takes 1 or more seeds, got 0"),
        (["claim", "ensemble", "--seeds", "1"], "this claim takes 2 or more seeds, got 1"),
    ],
)
def test_a_mistake_is_one_line(alexnet, arguments, told):
    code, out, err = alexnet(*arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("claim", "change", "why"),
    [
        ("views", "evaluate_every=0.5", "nothing may be chosen by the pictures"),
        ("lrn", "seed=7", "the number of seeds says how many"),
        ("relu", "learning_rate=0.1", "the race tries rates of its own"),
    ],
)
def test_what_the_experiment_decides_cannot_be_set(alexnet, pictures, claim, change, why):
    code, _, err = alexnet("claim", claim, "--data", pictures, "--set", change)
    assert code == 2
    assert why in err
