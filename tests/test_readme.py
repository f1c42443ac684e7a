"""The README's commands, typed as they stand there; only the recipes are shrunk, so that they take no time."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet import recipes
from alexnet.cli import main
from alexnet.run import Run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")


def lines(text):
    """The lines of a document's plain blocks, without comments."""
    blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def commands(text):
    return [line for line in lines(text) if line.startswith("alexnet ")]


def python(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


LINES, COMMANDS, PYTHON = lines(README), commands(README), python(README)


@pytest.fixture(scope="module")
def home(make_folder, tmp_path_factory):
    """A person's home: `~/pictures`, a picture to name where they stand, and the commands run once, in order."""
    home = tmp_path_factory.mktemp("home")
    make_folder(home / "pictures", {"blue": 6, "green": 6, "red": 6})
    (home / "holiday.jpg").write_bytes((home / "pictures" / "red" / "000.jpg").read_bytes())
    small = {"variant": "toy", "input_size": 67, "batch_size": 4, "epochs": 2, "precision": "float32"}
    with pytest.MonkeyPatch.context() as patch:
        for name, recipe in recipes.RECIPES.items():
            patch.setitem(recipes.RECIPES, name, replace(recipe, **small))
        patch.chdir(home)
        patch.setenv("HOME", str(home))
        for line in COMMANDS:
            main([word.replace("~", str(home)) for word in shlex.split(line)[1:]])
        yield home


def test_the_commands_train_and_report(home):
    assert [command.split()[1] for command in COMMANDS[:2]] == ["predict", "train"]
    for run in ("mine", "scratch"):
        assert (home / "runs" / run / "report.html").is_file()


def test_the_python_runs_as_it_stands(home):
    names = {"images": torch.zeros(1, 3, 227, 227)}
    exec("".join(PYTHON), names)
    assert names["trained"].complete
    assert names["features"].shape == (1, 4096)
    assert names["probabilities"].shape == (1, 3)


def test_the_tutorial_runs_as_it_stands(home, capsys):
    """All but the demo, which takes minutes, and `doctor`, which measures."""
    for line in commands(TUTORIAL):
        if line.split()[1] not in ("demo", "doctor", "train"):
            main([word.replace("~", str(home)) for word in shlex.split(line)[1:]])
    exec("".join(python(TUTORIAL)), {})
    held_out = Run(home / "runs/mine").description().data.counts["val"]
    assert 3 <= held_out <= 6  # about a quarter of 18, drawn picture by picture
    assert f"of {held_out} pictures are named wrongly" in capsys.readouterr().out


def test_both_kinds_of_commands_are_there():
    assert {line.split()[0] for line in LINES if line} >= {"alexnet", "make"}
    assert PYTHON
