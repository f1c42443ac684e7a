"""Budgets that take no time: the toy of all tests, three steps of four pictures."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.claims import budgets
from alexnet.claims.conduct import Request, conduct

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def tiny(monkeypatch, settings):
    """Every budget that trains and tests becomes three steps of the toy."""
    train = replace(settings, steps=3, stored_size=76, evaluate_every=budgets.ONLY_AT_THE_END)
    small = budgets.Budget("a moment", train, seeds=2, averaged=2)
    monkeypatch.setattr(budgets, "BUDGETS", dict.fromkeys(budgets.BUDGETS, small))
    monkeypatch.setattr("alexnet.claims.conduct.BUDGETS", budgets.BUDGETS)
    return small


@pytest.fixture
def ask(tiny, pictures, tmp_path):
    """A function (name, out, ...) that answers a claim about `pictures`."""

    def answer(name, out="out", seeds=None, follower=None, source=None, changes=(), **more):
        request = Request(name, str(source or pictures), "quick", seeds, tmp_path / out, changes)
        return conduct(request, follower, **more)

    return answer
