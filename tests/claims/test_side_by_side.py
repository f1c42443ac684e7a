"""Runs side by side: paired differences, what is not comparable, and the settings that differ."""

import pytest
from msgspec import structs

from alexnet.claims.side_by_side import Side, side_by_side
from alexnet.claims.side_page import side_page
from alexnet.cli.show_runs import compared
from alexnet.errors import UsageError
from alexnet.evaluation.metrics import interval
from alexnet.records import Calibration, Dataset, Description, Evaluation, Examples, Preprocessing, ValidationRow
from alexnet.run import Rows

CLASSES = ("cat", "dog")


def side(name, errors, pictures="p", classes=CLASSES, views=1, train=None):
    """A run that was measured; `errors` are those of its pictures, in 240ths."""
    error, n = sum(errors) / 240 / len(errors), len(errors)
    evaluation = Evaluation(
        **{"top1_error": error, "top5_error": 0.0, "n": n, "views": views, "models": 1, "split": "val", "seconds": 1.0},
        **{"top1_interval": interval(error, n), "top5_interval": (0.0, 0.3), "classes": classes, "confusion": ()},
        **{"per_class": (), "calibration": Calibration(ece=0.0, bins=()), "pictures": pictures},
    )
    description = Description(
        recipe="modern",
        train={"learning_rate": 0.03, "epochs": 12.0, **(train or {})},
        classes=classes,
        preprocessing=Preprocessing(divide_pixels_by=64.0),
        data=Dataset(name="pets", hash="h", counts={"train": 90, "val": n}),
        seconds=192.0,
    )
    row = ValidationRow(step=10, epoch=1.0, val_top1_error=error, val_top5_error=0.0, val_loss=0.5)
    return Side(name, description, Rows((), (row,), 0), 2_500_000, evaluation, Examples(errors=bytes(errors)))


FIRST = side("first", [240, 240, 240, 240, 0, 0, 0, 0])


def test_the_difference_of_two_runs_is_paired_picture_by_picture():
    result = side_by_side([FIRST, side("second", [0, 0, 240, 240, 0, 0, 0, 0])])
    apart = result.runs[1].apart
    assert apart.is_paired
    assert apart.mean == -0.25
    # Two of eight pictures changed; with a picture added for each run: mean -0.2, deviation 0.6 of ten.
    assert apart.interval == pytest.approx((-0.2 - 1.96 * 0.6 / 10**0.5, -0.2 + 1.96 * 0.6 / 10**0.5), abs=1e-4)
    assert result.sentences == [
        "second and first may be level: -25.0 points of top-1 error (-57.2 to +17.2, picture by picture)."
    ]
    assert result.runs[0].apart is None


def test_a_clear_difference_says_which_run_errs_less():
    many = side("first", [240] * 40 + [0] * 60)
    result = side_by_side([many, side("second", [0] * 100), side("third", [240] * 90 + [0] * 10)])
    assert result.sentences[0].startswith("second errs less than first: -40.0 points (-4")
    assert result.sentences[1].startswith("third errs more than first: +50.0 points (+")


def test_a_tie_counts_in_part():
    assert side_by_side([FIRST, side("second", [120] * 8)]).runs[1].apart.mean == 0.0


def test_runs_measured_before_single_pictures_were_kept_are_compared_without_pairing():
    old = [structs.replace(each.evaluation, pictures=None) for each in (FIRST, side("second", [0] * 8))]
    sides = [
        Side(name, FIRST.description, FIRST.rows, 1, evaluation, Examples())
        for name, evaluation in zip(("first", "second"), old, strict=True)
    ]
    apart = side_by_side(sides).runs[1].apart
    assert not apart.is_paired
    assert apart.mean == -0.5
    widths = [high - low for low, high in (interval(0.5, 8), interval(0.0, 8))]
    half = (widths[0] ** 2 + widths[1] ** 2) ** 0.5 / 2
    assert apart.interval == pytest.approx((-0.5 - half, -0.5 + half))


def test_errors_on_other_pictures_or_views_are_shown_and_not_compared():
    result = side_by_side([FIRST, side("b", [0] * 8, pictures="q"), side("c", [0] * 8, views=10)])
    assert [run.apart for run in result.runs] == [None] * 3
    assert result.sentences == [
        "b cannot be compared with first: it was measured on other pictures.",
        "c cannot be compared with first: it was measured at 10 views, first at 1.",
    ]
    assert "--data SOURCE" in "\n".join(compared(result))
    assert "--data SOURCE" not in "\n".join(compared(side_by_side([FIRST, side("b", [0] * 8)])))


def test_runs_of_different_classes_are_refused_in_one_line():
    with pytest.raises(UsageError, match="first and b tell different classes apart: only one of them has 'cow'"):
        side_by_side([FIRST, side("b", [0] * 8, classes=("cat", "cow"))])


def test_only_settings_that_differ_are_listed():
    result = side_by_side([FIRST, side("b", [0] * 8, train={"learning_rate": 0.01})])
    assert result.settings == {"learning_rate": ("0.03", "0.01")}
    assert side_by_side([FIRST, side("b", [0] * 8)]).settings == {}


def test_the_page_has_a_curve_a_run_in_one_figure():
    sides = [FIRST, side("<b>", [0] * 8, train={"learning_rate": 0.01})]
    page = side_page(side_by_side(sides), sides).render()
    figure = page.split("<h3>Validation error, top-1</h3>")[1].split("</figure>")[0]
    assert figure.count('<path class="line ') == 2
    assert '<li class="key blue">first</li><li class="key warm">&lt;b&gt;</li>' in figure
    assert "&lt;b&gt; and first may be level" in page
    assert "<b>" not in page
    assert "2.5 MB" in page
    assert "3\u202fmin 12\u202fs" in page
