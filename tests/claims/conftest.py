"""Budgets that take no time: the toy of all tests, three steps of four pictures."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet import config
from alexnet.claims import budgets
from alexnet.claims.comparison import Comparison
from alexnet.claims.conduct import conduct
from alexnet.claims.experiment import Request
from alexnet.claims.table import CLAIMS
from alexnet.claims.transfer import Transfer

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def tiny(monkeypatch, settings, run):
    """Every budget that trains and tests becomes three steps of the toy; what starts trained starts from `run`."""
    train = replace(settings, steps=3, stored_size=76, evaluate_every=budgets.ONLY_AT_THE_END)
    small = budgets.Budget("a moment", train, seeds=2, averaged=2)
    monkeypatch.setattr(Comparison, "budgets", dict.fromkeys(budgets.BUDGETS, small))
    tuned = replace(small, train=replace(train, steps=None, epochs=0.6, head_first=True))
    monkeypatch.setattr(Transfer, "budgets", dict.fromkeys(budgets.BUDGETS, tuned))
    claim = CLAIMS["transfer"]
    monkeypatch.setitem(CLAIMS, "transfer", replace(claim, experiment=replace(claim.experiment, origin=str(run))))
    return small


@pytest.fixture
def ask(tiny, pictures, tmp_path):
    """A function (name, out, ...) that answers a claim about `pictures` and returns what is in `claim.json`."""

    def answer(name, out="out", seeds=None, observer=None, source=None, changes=(), pictures_a_run=None):
        place, settings = str(source or pictures), config.assignments(changes)
        request = Request(name, place, "quick", seeds, tmp_path / out, settings, pictures_a_run)
        return json.loads(conduct(request, observer).to_json())

    return answer
