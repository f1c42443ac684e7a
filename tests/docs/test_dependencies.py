"""The table of dependencies names those of `pyproject.toml`, all of them and no other."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TABLES = (ROOT / "docs/reference/dependencies.md").read_text(encoding="utf-8").split("\n## ")
FOR_DEVELOPERS = {"all", "dev", "docs"}


def names(requirements):
    return {re.match(r"[\w.-]+", requirement)[0] for requirement in requirements} - {"alexnet"}


def rows(table):
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")
    ]


def test_the_base_install_is_listed_whole():
    assert {row[0] for row in rows(TABLES[1])[1:]} == names(PROJECT["dependencies"])


def test_every_extra_is_listed_whole():
    listed = {(name, row[1]) for row in rows(TABLES[2])[1:] for name in row[0].split(", ")}
    extras = {name: each for name, each in PROJECT["optional-dependencies"].items() if name not in FOR_DEVELOPERS}
    assert listed == {(package, extra) for extra, each in extras.items() for package in names(each)}


def test_every_dependency_has_a_licence_and_a_purpose():
    assert all(all(row) for table in TABLES[1:] for row in rows(table))
