"""`alexnet compare`: two runs on the pictures that both know nothing of, and what is refused."""

import json
import re
import shutil

import numpy as np
import pytest

import alexnet
from alexnet.claims.side_by_side import SideBySide
from alexnet.cli import main
from alexnet.errors import CheckpointError, UsageError
from alexnet.observer import Observer
from alexnet.records import read


@pytest.fixture
def runs(run, tmp_path):
    """Two copies of a run, evaluated."""
    places = [tmp_path / name / "pets" for name in ("one", "two")]
    for place in places:
        shutil.copytree(run, place)
    alexnet.evaluate(places[0], observer=Observer())
    shutil.copyfile(places[0] / "evaluation.json", places[1] / "evaluation.json")
    shutil.copyfile(places[0] / "examples.json", places[1] / "examples.json")
    return places


def test_runs_are_compared_by_what_their_folders_say(runs, tmp_path, capsys):
    main(["compare", *map(str, runs), "--out", str(tmp_path / "out")])
    shown = capsys.readouterr().out
    assert "two/pets and one/pets may be level: +0.0 points" in shown
    assert re.search(r" \d\.\d MB  ", shown)
    assert (tmp_path / "out/index.html").is_file()
    file = tmp_path / "out/comparison.json"
    result = read(SideBySide, file.read_bytes(), file, CheckpointError, "")
    # 9 pictures that never differ, and one picture added for each run: a deviation of sqrt(2 / 11) of 11.
    assert result.runs[1].apart.interval == pytest.approx(
        (-1.96 * (2 / 11) ** 0.5 / 11**0.5, 1.96 * (2 / 11) ** 0.5 / 11**0.5), abs=1e-4
    )
    assert '"seal"' in file.read_text()


def test_runs_are_measured_on_data_that_are_named(runs, pictures, tmp_path):
    result = alexnet.compare(runs, data=pictures, out=tmp_path / "out", observer=Observer())
    recorded = json.loads((runs[0] / "evaluation.json").read_text())
    assert [run.n for run in result.runs] == [9, 9]
    assert [run.top1_error for run in result.runs] == [recorded["top1_error"]] * 2
    assert result.runs[1].apart.is_paired


def test_what_cannot_be_compared_is_refused_in_one_line(runs, tmp_path):
    with pytest.raises(UsageError, match="takes two runs or more"):
        alexnet.compare(runs[:1], out=tmp_path / "out")
    with pytest.raises(UsageError, match="`split` and `views` go with `data`"):
        alexnet.compare(runs, views=10, out=tmp_path / "out")
    (runs[1] / "evaluation.json").unlink()
    with pytest.raises(CheckpointError, match="two/pets is not evaluated yet"):
        alexnet.compare(runs, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_page_is_written_over_nothing_and_not_among_the_pictures(runs, pictures, tmp_path):
    (tmp_path / "mydocs").mkdir()
    (tmp_path / "mydocs/index.html").write_text("mine")
    with pytest.raises(UsageError, match="mydocs exists already; give a new folder"):
        alexnet.compare(runs, out=tmp_path / "mydocs")
    assert [file.read_text() for file in (tmp_path / "mydocs").iterdir()] == ["mine"]
    for name in ("compare", "units"):
        subject = {"runs": runs, "data": pictures} if name == "compare" else {"run": runs[0], "source": pictures}
        more = {} if name == "compare" else {"units": "conv5:1"}
        with pytest.raises(UsageError, match="which is only read: choose a folder outside of it"):
            getattr(alexnet, name)(**subject, **more, out=pictures / "new")
    assert not (pictures / "new").exists()


def test_pictures_that_any_of_the_runs_was_trained_on_are_left_out():
    from alexnet.commands.comparing import _any_of

    masks = [{"val": np.array([True, False, False])}, {"val": np.array([False, False, True])}]
    assert _any_of(masks)["val"].tolist() == [True, False, True]
    assert _any_of([masks[0], None]) is None
    with pytest.raises(UsageError, match="read these data as different pictures"):
        _any_of([masks[0], {"val": np.array([True])}])
