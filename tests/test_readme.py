"""The README's commands, typed as they stand there; only the recipes are shrunk, so that they take no time."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet import config
from alexnet.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    line.split("#")[0].strip()
    for block in re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
COMMANDS = [line for line in LINES if line.startswith("alexnet ")]
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def home(make_folder, tmp_path_factory):
    """A person's home: `~/pictures`, a picture to name where they stand, and the commands run once, in order."""
    home = tmp_path_factory.mktemp("home")
    make_folder(home / "pictures", {"blue": 6, "green": 6, "red": 6})
    (home / "holiday.jpg").write_bytes((home / "pictures" / "red" / "000.jpg").read_bytes())
    small = {"variant": "toy", "input_size": 67, "batch_size": 4, "epochs": 2, "precision": "float32"}
    with pytest.MonkeyPatch.context() as patch:
        for name, recipe in config.RECIPES.items():
            patch.setitem(config.RECIPES, name, replace(recipe, **small))
        patch.chdir(home)
        for line in COMMANDS:
            main([word.replace("~", str(home)) for word in shlex.split(line)[1:]])
        yield home


def test_the_commands_train_and_report(home):
    assert COMMANDS[0].startswith("alexnet train")
    assert (home / "runs/mine/report.html").is_file()


@pytest.mark.parametrize("lines", PYTHON)
def test_the_python_runs_as_it_stands(home, lines):
    names = {"images": torch.zeros(1, 3, 227, 227)}
    exec(lines, names)
    assert names["features"].shape == (1, 4096)
    assert names["probabilities"].shape == (1, 3)


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make ")])
def test_the_makefile_has_every_target(line):
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_both_kinds_of_commands_are_there():
    assert {line.split()[0] for line in LINES if line} >= {"alexnet", "make"}
    assert PYTHON
