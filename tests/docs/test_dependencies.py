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


def pinned(file):
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ")[0].split("==") for line in lines if not line.startswith("#"))


def every_requirement(*left_out):
    extras = PROJECT["optional-dependencies"].items()
    return [*PROJECT["dependencies"], *(each for name, some in extras if name not in left_out for each in some)]


def test_ci_installs_every_package_by_its_hash_in_the_version_that_make_installs():
    locked, versions = pinned("requirements-ci.txt"), pinned("constraints.txt")
    assert names(every_requirement()) <= locked.keys()
    assert {name: locked[name].split("+")[0] for name in locked.keys() & versions} == {
        name: versions[name] for name in locked.keys() & versions
    }
    lines = (ROOT / "requirements-ci.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert all(re.fullmatch(r"[\w.-]+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)


def test_the_oldest_versions_are_the_lower_bounds():
    bounds = dict(re.findall(r"([\w-]+)>=([\w.]+)", " ".join(every_requirement(*FOR_DEVELOPERS))))
    oldest = pinned("constraints-oldest.txt")
    assert oldest.keys() == bounds.keys()
    assert {name: version for name, version in oldest.items() if not f"{version}.".startswith(f"{bounds[name]}.")} == {}
