import re
import shlex
from pathlib import Path

import pytest

from alexnet.cli import parser

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
LINES = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("alexnet ")])
def test_the_command_line_understands_every_command_of_the_readme(line):
    asked = parser().parse_args(shlex.split(line)[1:])
    assert asked.command == line.split()[1]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make ")])
def test_the_makefile_has_every_target_of_the_readme(line):
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_readme_has_both_kinds_of_commands():
    assert {line.split()[0] for line in LINES if line} >= {"alexnet", "make"}
