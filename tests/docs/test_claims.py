"""docs/how-to/claims.md: its commands are ours, and its tables say what the program does."""

import re
import shlex
from pathlib import Path

import pytest

from alexnet.claims.budgets import BUDGETS, RACE_BUDGETS
from alexnet.claims.race import RATES
from alexnet.claims.table import CLAIMS
from alexnet.cli.parser import parser

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "claims.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line
]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_understood(line):
    words = shlex.split(line)
    assert words[:2] == ["alexnet", "claim"]
    asked = parser().parse_args(words[1:])
    assert asked.list or asked.name in CLAIMS


def test_every_claim_has_its_row():
    assert re.findall(r"^\| `([a-z]+)` \|.*\|.*\|.*\|.*\|$", PAGE, re.MULTILINE)[: len(CLAIMS)] == list(CLAIMS)


def test_the_budgets_are_those_of_the_program():
    quick, standard, full = (BUDGETS[name] for name in ("quick", "standard", "full"))
    for budget, text in ((quick, "67 x 67 pixels | 3 epochs of at most 1,500"), (standard, "99 x 99 | 12 epochs of")):
        assert text in PAGE
        assert f"{budget.train.input_size} x {budget.train.input_size}" in text
        assert f"{budget.train.epochs:g} epochs" in text
    assert (quick.pictures, standard.pictures, full.pictures) == (1500, 10_000, None)
    assert (quick.seeds, standard.seeds, full.seeds, quick.averaged, full.averaged) == (1, 3, 3, 2, 5)
    assert (full.train.input_size, full.train.recipe, full.train.epochs) == (None, "modern", 40)


def test_the_grid_and_the_limits_of_the_race_are_those_of_the_program():
    assert ", ".join(f"{rate:g}" for rate in RATES) + " for each arm" in PAGE
    limits = [RACE_BUDGETS[name].train.epochs for name in ("standard", "full", "quick")]
    assert limits == [40, 80, 32]
    assert "`standard` takes 40 epochs at most, `full` 80 and three seeds, `quick` 32 of at most 2,000" in PAGE
    assert RACE_BUDGETS["quick"].pictures == 2000
