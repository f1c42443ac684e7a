"""A command and its function are one: what a shell can give, Python can, under the same name, with the same default."""

import argparse
import inspect
import json
import subprocess
import sys

import pytest

import alexnet
from alexnet.cli.parser import in_flags, options, parser
from alexnet.commands import COMMANDS
from alexnet.errors import UsageError
from alexnet.observer import Observer


def shell(name):
    """The shell's arguments of a command, by the names under which its function gets them."""
    (subparsers,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    return {action.dest: action for action in subparsers.choices[name]._actions if action.dest not in ("help", "json")}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_what_its_function_takes(name):
    own, given = options(COMMANDS[name]), shell(name)
    assert own.keys() == given.keys()
    for argument, parameter in own.items():
        action = given[argument]
        if parameter.kind is parameter.VAR_KEYWORD:
            assert action.option_strings == ["--set"]
            continue
        is_needed = parameter.default is parameter.empty
        assert action.required == is_needed
        if not is_needed:
            assert action.default == parameter.default
        assert bool(action.option_strings) == (parameter.kind is parameter.KEYWORD_ONLY)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_explained(name):
    text = inspect.getdoc(COMMANDS[name])
    assert text.split("\n\n")[0].endswith(".")
    for argument, action in shell(name).items():
        assert action.help
        assert f"\n    {argument}: " in text.partition("\nArgs:")[2].partition("\nRaises:")[0]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "weights"])
def test_every_command_is_a_function_of_the_package(name):
    assert getattr(alexnet, name) is COMMANDS[name]
    assert name in dir(alexnet)


def test_the_commands_can_be_called_after_every_room_was_entered():
    """No room of the package has the name of a command, whose place it would take."""
    program = """
import alexnet, inspect, pkgutil
from alexnet.commands import COMMANDS
for room in pkgutil.iter_modules(alexnet.__path__):
    if room.name not in ("__main__", "_native"):
        __import__(f"alexnet.{room.name}")
assert all(inspect.isfunction(getattr(alexnet, name)) for name in COMMANDS if name != "weights")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


class Recorder(Observer):
    def __init__(self):
        self.steps, self.parts, self.counted, self.predictions = 0, [], [], []

    def began(self, what, unit="pictures"):
        self.parts.append(what)

    def advanced(self, done, total):
        self.counted.append((done, total))

    def stepped(self, step, total, loss, images_per_s):
        self.steps += 1

    def predicted(self, prediction):
        self.predictions.append(prediction)


TOY = {"variant": "toy", "input_size": 67, "batch_size": 4, "precision": "float32", "initialisation": "he"}


def test_python_trains_evaluates_and_predicts_as_the_shell_does(pictures, tmp_path, capsys):
    watching, out = Recorder(), tmp_path / "run"
    trained = alexnet.train("modern", data=pictures, out=out, steps=3, observer=watching, **TOY)
    assert (trained.run, trained.complete, watching.steps) == (str(out), True, 3)
    assert trained.evaluation.n == 9
    assert json.loads(trained.to_json())["top1_error"] == trained.evaluation.top1_error
    assert (out / "report.html").is_file()
    measured = alexnet.evaluate(out, views=10, observer=watching)
    assert measured.views == 10
    assert watching.counted[-1] == (9, 9)
    picture = next((pictures / "val" / "red").iterdir())
    named = alexnet.predict(out, picture, top=2, observer=watching)
    assert [guess.class_name for guess in named.images[0].predictions] == [
        guess["class"] for guess in json.loads(named.to_json())["images"][0]["predictions"]
    ]
    assert watching.predictions == list(named.images)
    assert len(named.images[0].predictions) == 2
    assert capsys.readouterr() == ("", "")


def test_a_result_on_the_runs_own_data_is_in_its_report(pictures, tmp_path):
    out = tmp_path / "run"
    alexnet.train("modern", data=pictures, out=out, steps=3, observer=Observer(), **TOY)
    before = (out / "report.html").read_text(encoding="utf-8")
    assert "the mean of 10 views" not in before
    alexnet.evaluate(out, views=10, observer=Observer())
    assert "the mean of 10 views" in (out / "report.html").read_text(encoding="utf-8")


def test_progress_shows_without_being_asked_for(pictures, tmp_path, capsys):
    alexnet.train("modern", data=pictures, out=tmp_path / "run", steps=3, **TOY)
    assert "top-1 error" in capsys.readouterr().err


def test_errors_name_settings_and_only_the_shell_adds_dashes(pictures, tmp_path):
    with pytest.raises(UsageError, match="train needs `out`") as caught:
        alexnet.train("modern", data=pictures)
    assert "--" not in str(caught.value)
    assert in_flags(str(caught.value), COMMANDS["train"]).startswith("train needs --out, for instance --out runs/mine")
    assert in_flags("try `batch_size=32` or `epochs`", COMMANDS["train"]) == "try --set batch_size=32 or --epochs"
    assert in_flags("`alexnet pack` and `top`", COMMANDS["train"]) == "`alexnet pack` and `top`"


def test_a_signature_can_be_read_by_a_person():
    assert list(inspect.signature(alexnet.predict).parameters) == [
        "run", "images", "precision", "top", "views", "server", "token_file", "timeout", "observer"
    ]  # fmt: skip
