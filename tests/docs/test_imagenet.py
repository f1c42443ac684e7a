"""The commands of docs/how-to/imagenet.md, run in their order on a stand-in in ImageNet's own layout."""

import json
import os
import re
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from standin import TRUTH, write_archives

from alexnet.cli import main
from alexnet.progress import Display

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "imagenet.md"
BLOCKS = re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
COMMANDS = [shlex.split(line) for block in BLOCKS for line in block.splitlines()]

TOY = "--variant toy --input-size 67 --steps 2 --precision float32 --set batch_size=4"
REPLACED = {"pack": "--size 76", "train": TOY}
MEASURES_SPEED = ("doctor",)


def test_every_command_of_the_page_is_ours():
    assert {command[0] for command in COMMANDS} == {"alexnet"}
    assert {command[1] for command in COMMANDS} == {"pack", "doctor", "train", "evaluate"}


def test_the_commands_lead_from_the_archives_to_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_archives(tmp_path / "ilsvrc")
    answers = []
    for _, name, *arguments in COMMANDS:
        if name in MEASURES_SPEED:
            continue
        smaller = [] if "--resume" in arguments else shlex.split(REPLACED.get(name, ""))
        capsys.readouterr()
        with monkeypatch.context() as patch:
            if arguments[-2:] == ["--seed", "0"]:  # Ctrl-C at the first step: the page goes on with --resume
                patch.setattr(Display, "stepped", lambda *_: os.kill(os.getpid(), signal.SIGINT))
            with suppress(SystemExit):  # 130 after Ctrl-C
                main([name, *arguments, *smaller, "--json"])
        answers.append((name, json.loads(capsys.readouterr().out)))
    assert answers[0][1]["counts"] == {"train": 9, "val": len(TRUTH)}
    assert [answer["complete"] for name, answer in answers if name == "train"] == [False, *[True] * 6]
    measured = [(answer["models"], answer["views"], answer["n"]) for name, answer in answers if name == "evaluate"]
    assert measured == [(1, 1, 5), (1, 10, 5), (5, 10, 5), (1, 10, 5)]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command[1] in MEASURES_SPEED])
def test_commands_that_take_long_are_understood(command):
    from alexnet.cli.parser import parser

    assert parser().parse_args(command[1:]).command == command[1]
