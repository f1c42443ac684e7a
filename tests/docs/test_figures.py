"""The figures of the reference show what the tables beside them say."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
figures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(figures)


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_is_drawn_from_the_tables_as_they_are(name):
    kept = (figures.REFERENCE / name).read_text(encoding="utf-8")
    assert figures.FIGURES[name]() == kept, "run `python docs/figures.py`"


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_is_shown_on_a_page_with_words_for_who_cannot_see_it(name):
    pages = "".join(path.read_text(encoding="utf-8") for path in figures.REFERENCE.glob("*.md"))
    assert re.search(rf"!\[.{{20,}}\]\({name}\)", pages)


def test_numbers_are_read_from_cells_as_people_write_them():
    assert [figures.number(cell) for cell in ("**17.8 %** (15.2 to 20.8)", "over 1", "-6.0", "1,501", "")] == [
        *(17.8, 1.0, -6.0, 1501.0, None),
    ]
