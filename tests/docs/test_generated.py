"""The pages of the reference that are written from the code say everything that the code has."""

import importlib.util
import re
from pathlib import Path

import pytest

import alexnet
from alexnet.commands import COMMANDS
from alexnet.config import FIELDS
from alexnet.recipes import RECIPES

PATH = Path(__file__).parents[2] / "docs" / "generated.py"
spec = importlib.util.spec_from_file_location("generated", PATH)
generated = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generated)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    generated.write(folder)
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_every_setting_has_values_a_default_and_a_meaning(pages):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in pages["settings"].splitlines()[6:] if line]
    assert [row[0].strip("`") for row in rows] == [*FIELDS]
    assert all(len(row) >= 4 and all(row) for row in rows)


def test_a_setting_has_its_range_and_choices(pages):
    assert (
        "| `dropout` | float; 0 to 0.99 | `0.5` | Probability of silencing a unit after fc6 and fc7;"
        in pages["settings"]
    )
    assert "| `optimiser` | `sgd`, `lars` | `sgd` |" in pages["settings"]


def test_every_command_recipe_and_public_name_is_there(pages):
    assert re.findall(r"^## (.+)$", pages["commands"], re.MULTILINE) == [*COMMANDS]
    assert re.findall(r"^## (.+)$", pages["recipes"], re.MULTILINE) == [*RECIPES]
    names = re.findall(r"^## (.+)$", pages["python"], re.MULTILINE)
    assert names == [name for name in alexnet.__all__ if name != "__version__"]


def test_a_recipe_lists_what_it_changes_of_the_paper(pages):
    paper, rest = pages["recipes"].split("## modern")
    assert "The paper's settings as they are." in paper
    assert "| `divide_pixels_by` | `64.0` |" in rest.split("## demo")[0]


def test_the_records_that_commands_return_are_there(pages):
    for name in ("Explained", "Extracted", "Evaluation"):
        assert f"## {name}\n" in pages["records"]


def test_every_module_that_is_to_be_imported_has_its_names(pages):
    assert re.findall(r"^## (.+)$", pages["modules"], re.MULTILINE) == [*generated.MODULES]
    assert "| `LocalResponseNorm` | " in pages["modules"]
    assert not re.search(r"\| +\|$", pages["modules"], re.MULTILINE)


def test_a_page_that_has_not_changed_is_not_written_again(tmp_path):
    generated.write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    generated.write(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
