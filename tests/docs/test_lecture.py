"""The notebooks, most of them of the lecture: they run, and say what they said when their pictures were kept."""

import ast
import contextlib
import importlib.util
import io
import json
import re
from pathlib import Path

import pytest

import alexnet
from alexnet.models.variants import VARIANTS

FOLDER = Path(__file__).parents[2] / "docs" / "lecture"
NOTEBOOKS = sorted(FOLDER.parent.rglob("*.ipynb"))


spec = importlib.util.spec_from_file_location("generated", FOLDER.parent / "generated.py")
generated = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generated)


def public(module):
    return [name for name in vars(importlib.import_module(module)) if not name.startswith("_")]


def code_cells(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


TRAINED = "7-results"
"""The notebook that trains a network, whose numbers another processor's sums may move further."""


def assert_same(said, shown, is_trained):
    """Words and whole numbers are equal; percentages and decimals may differ by what another processor's sums do."""
    assert len(said.split()) == len(shown.split())
    for ours, kept in zip(said.split(), shown.split(), strict=True):
        if ours != kept:
            assert "%" in kept or "." in kept, (ours, kept)
            digits = kept.strip("%()[],")
            step = 10.0 ** -len(digits.partition(".")[2])
            allowed = (5 if kept.endswith("%") else 0.05) if is_trained else 1.5 * step
            assert float(ours.strip("%()[],")) == pytest.approx(float(digits), abs=allowed), (ours, kept)


@pytest.fixture
def pyplot():
    """Matplotlib without a screen; afterwards the notebooks' own rows leave the table of variants."""
    pytest.importorskip("skimage", reason="the lecture's photographs need scikit-image")
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the lecture's figures need matplotlib")
    pyplot.switch_backend("agg")
    before = dict(VARIANTS)
    with pyplot.rc_context():
        yield pyplot
    pyplot.close("all")
    VARIANTS.clear()
    VARIANTS.update(before)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_says_what_the_notebook_shows(notebook, pyplot):
    names = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(notebook), start=1):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile("".join(cell["source"]), f"{notebook.name}, code cell {number}", "exec"), names)
        shown = [output for output in cell["outputs"] if output["output_type"] == "stream"]
        kept = "".join("".join(output["text"]) for output in shown)
        assert_same(said.getvalue(), kept, notebook.stem == TRAINED)
        assert len(pyplot.get_fignums()) == len(cell["outputs"]) - len(shown)
        pyplot.close("all")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_names_no_place_of_this_machine(notebook):
    text = notebook.read_text(encoding="utf-8")
    assert len(text) < 300_000
    assert not [place for place in ("/home", "/root", "/tmp", "/work", "/Users") if place in text]
    assert "image/" in text


def test_the_table_of_contents_has_every_notebook():
    contents = (FOLDER / "README.md").read_text(encoding="utf-8")
    lecture = [path for path in NOTEBOOKS if path.parent == FOLDER]
    assert len(lecture) == 7
    assert [path.name for path in lecture if f"({path.name})" not in contents] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_documented_names_only(notebook):
    documented = {"alexnet": alexnet.__all__, **{name: public(name) for name in generated.MODULES}}
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "alexnet":
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [alias.name for alias in node.names]
                assert set(names) <= set(documented[node.module]) or set(whole) <= set(documented)


@pytest.mark.parametrize("notebook", [path for path in NOTEBOOKS if path.parent == FOLDER], ids=lambda path: path.stem)
def test_a_notebook_of_the_lecture_ends_with_two_exercises_and_their_solutions(notebook):
    last = "".join(json.loads(notebook.read_text(encoding="utf-8"))["cells"][-1]["source"])
    assert last.startswith("## Exercises")
    assert len(re.findall(r"^\*\*\d\.\*\* ", last, re.MULTILINE)) == last.count("<summary>Solution</summary>") == 2
