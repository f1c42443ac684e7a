"""Charts, heat maps and curves, as pure functions."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from alexnet.errors import CheckpointError
from alexnet.evaluation.metrics import Tally
from alexnet.pages.figures import Line, Scale, line_chart, reliability
from alexnet.pages.markup import chance, compact, duration, escape, name, percent, whole
from alexnet.pages.sections import class_errors, confused_pairs, heat_map, smooth, thin
from alexnet.records import Bin, ClassErrors, Evaluation, read


def chart(points, **options):
    return line_chart("T & <T>", [Line("a <b>", points, "blue")], x_label="step", **options)


def test_a_chart_is_well_formed_and_escaped():
    figure = ElementTree.fromstring(chart([(0, 1.0), (1, 2.0)]))
    assert figure.find("figcaption/h3").text == "T & <T>"
    assert figure.find("svg").get("role") == "img"


def test_a_chart_without_points_is_nothing():
    assert line_chart("T", [Line("a", [], "blue")], x_label="step") == ""


ODD = (1e17, 0.3), (1e299, 1e299), (-1e299, -1e299), (5e-324, 5e-324), (1e17 + 16, 0.30000000000000004)


@pytest.mark.parametrize(
    "points",
    [
        *[[(5, 0.3)], [(5, 0.0)], [(1, 2.0), (2, 2.0)], [(0, -1.0), (1, 1.0)], [(0, 1e-9)]],
        *[[point] for point in ODD],
        *[[ODD[0], ODD[4]], [ODD[3], ODD[1]], [ODD[2], ODD[1]]],
    ],
)
@pytest.mark.parametrize("log", [False, True])
def test_any_points_have_a_chart_with_finite_numbers(points, log):
    if log and min(y for _, y in points) <= 0:
        return
    svg = chart(points, log=log)
    assert "nan" not in svg
    assert "inf" not in svg


def test_a_line_passes_through_its_points():
    path = ElementTree.fromstring(chart([(0, 0.0), (10, 1.0)])).find("svg/path").get("d")
    (x0, y0), (x1, y1) = [tuple(map(float, pair.split())) for pair in path[1:].split("L")]
    assert (x0, x1) == (44, 328)
    assert y0 == 198
    assert y1 == pytest.approx(198 - 188 / 1.06, abs=0.1)


def test_the_axis_takes_the_range_that_the_lines_have():
    svg = ElementTree.fromstring(chart([(0, 0.90), (10, 0.86)])).find("svg")
    heights = [float(pair.split()[1]) for pair in svg.find("path").get("d")[1:].split("L")]
    assert heights == pytest.approx([10 + 188 * 0.06 / 1.12, 198 - 188 * 0.06 / 1.12], abs=0.1)


def test_words_stand_above_the_drawing_and_never_on_a_line():
    figure = ElementTree.fromstring(chart([(0, 0.9), (9, 0.5)], rule=(0.8, "level"), mark=(9, 0.5, "kept")))
    legend = [(item.get("class"), item.text) for item in figure.find("figcaption/ul")]
    assert legend == [("key blue", "a <b>"), ("key level", "level"), ("key best", "kept")]
    assert {text.get("class").split()[0] for text in figure.iter("text")} == {"tick", "axis"}


def test_a_level_far_away_does_not_flatten_the_lines():
    figure = ElementTree.fromstring(chart([(0, 0.6), (9, 0.5)], rule=(5.3, "far")))
    assert "far" not in [item.text for item in figure.find("figcaption/ul")]
    assert not [line for line in figure.iter("line") if line.get("class") == "rule"]


def test_ticks_are_round_and_inside():
    assert Scale(0, 1.06, 0, 1).ticks() == pytest.approx([0, 0.5, 1.0])
    assert Scale(0, 300, 0, 1).ticks(6) == pytest.approx([0, 50, 100, 150, 200, 250, 300])
    assert Scale(1e-4, 1e-1, 0, 1, log=True).ticks() == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])


def test_a_reliability_diagram_has_a_dot_a_bin():
    bins = [Bin(confidence=0.55, accuracy=0.5, n=10), Bin(confidence=0.95, accuracy=0.9, n=90)]
    svg = ElementTree.fromstring(reliability(bins))
    dots = list(svg.iter("circle"))
    assert len(dots) == 2
    assert float(dots[1].get("r")) > float(dots[0].get("r"))


def test_smoothing_is_the_mean_of_a_window_that_the_ends_cut_off():
    values = np.random.default_rng(0).random(200)
    points = list(enumerate(values))
    found = [y for _, y in smooth(points)]
    for i in range(200):
        assert found[i] == pytest.approx(values[max(i - 4, 0) : i + 5].mean())
    assert smooth([]) == []
    assert smooth([(1, 2.0)]) == [(1, 2.0)]


def test_thinning_keeps_ends_and_spikes():
    points = [(i, 0.0) for i in range(10_000)]
    points[1234] = (1234, 9.0)
    kept = thin(points)
    assert len(kept) <= 302
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert (1234, 9.0) in kept


def test_the_heat_map_has_every_count_in_its_place():
    table = ElementTree.fromstring(heat_map(["a", "<b>"], [[8, 2], [0, 5]])).find("div/table")
    cells = [["".join(td.itertext()) for td in tr.findall("td")] for tr in table.findall("tbody/tr")]
    assert cells == [["8", "2"], ["·", "5"]]
    first = table.find("tbody/tr")
    assert [td.get("class").split()[0] for td in first.findall("td")] == ["right", "wrong"]
    assert "".join(table.find("tbody").findall("tr")[1].find("th").itertext()) == "<b>"


def test_confused_pairs_come_in_falling_order():
    for count in (50, 300):  # the file holds a matrix, or the most frequent mistakes
        tally = Tally([f"c{i}" for i in range(count)])
        tally.add(np.eye(count)[[4, 4, 1, 1, 1, 7]], np.array([3, 3, 7, 7, 7, 7]))
        evaluation = tally.evaluation(views=1, models=1, split="val", seconds=1.0)
        text = " ".join(re.sub(r"<[^>]+>", " ", confused_pairs(evaluation)).split())
        assert "c7 taken for c1 3 of 4 c3 taken for c4 2 of 2" in text


@pytest.mark.parametrize(
    "confusion", [[[1, 2]], [[1], [2]], [[1, 2, 3], [4, 5, 6]], [["x", 1], [1, 1]], [[-1, 1], [1, 1]]]
)
def test_a_matrix_that_does_not_fit_is_refused_with_its_evaluation(confusion):
    fields = {
        **{"top1_error": 0.5, "top5_error": 0.0, "n": 4, "views": 1, "models": 1, "split": "val", "seconds": 1.0},
        **{"top1_interval": [0.1, 0.9], "top5_interval": [0.0, 0.5], "calibration": {"ece": 0.0, "bins": []}},
        **{"classes": ["a", "b"], "per_class": []},
    }
    read(Evaluation, json.dumps({**fields, "confusion": [[1, 2], [3, 4]]}).encode(), "e.json", CheckpointError, "mend")
    with pytest.raises(CheckpointError, match="is incomplete or damaged"):
        read(Evaluation, json.dumps({**fields, "confusion": confusion}).encode(), "e.json", CheckpointError, "mend")


def test_the_hardest_class_comes_first():
    entries = [("easy", 10, 0.1), ("hard", 10, 0.9), ("empty", 0, 0.0)]
    text = class_errors([ClassErrors(name=name, n=n, top1_error=e, top5_error=0.0) for name, n, e in entries])
    assert text.index("hard") < text.index("easy")
    assert "empty" not in text
    assert class_errors([]) == ""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (percent(0.1234), "12.3\u202f%"),
        (compact(62_378_344), "62.4\u202fM"),
        (whole(10**400)[:9], "10,000,00"),
        (whole(1234567.8), "1,234,568"),
        (compact(9_999), "9,999"),
        (compact(12_500), "12.5\u202fk"),
        (duration(8.24), "8.2\u202fs"),
        (duration(192), "3\u202fmin 12\u202fs"),
        (duration(7500), "2\u202fh 05\u202fmin"),
        (escape('<a href="x">\x07\udcff'), "&lt;a href=&quot;x&quot;&gt;\ufffd\ufffd"),
        (escape("x" * 300, 10), "xxxxxxxxx…"),
        (name("<b>\u202e"), "<bdi>&lt;b&gt;\ufffd</bdi>"),
        (chance(0.004), "<1\u202f%"),
        (chance(0.996), ">99\u202f%"),
        (chance(1), "100\u202f%"),
    ],
)
def test_numbers_and_names_read_well(found, expected):
    assert found == expected
