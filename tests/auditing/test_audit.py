"""`alexnet audit`: planted faults are found, and nothing else; the tables are what `exclude` takes."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import alexnet as package
from alexnet.auditing import duplicates
from alexnet.data.excluding import Exclusion, patterns_in
from alexnet.data.groups import groups_in
from alexnet.data.sources import open_source
from alexnet.errors import UsageError
from alexnet.records import Duplicates, Pair, Selection


@pytest.fixture
def leak(monkeypatch):
    """Makes the first picture of train and the first of val a pair."""

    def find(cached, observer=None):
        first, second = cached.member(0), cached.member(cached.rows("val").start)
        pair = Pair(first=first, second=second, kind="exact", alignment="same", similarity=1.0, agreement=1.0)
        return Duplicates(pairs=(pair,), groups=((first, second),))

    monkeypatch.setattr(duplicates, "find", find)


@pytest.fixture
def clean(monkeypatch):
    monkeypatch.setattr(duplicates, "find", lambda cached, observer=None: Duplicates(pairs=(), groups=()))


def test_odd_pictures_are_found_with_their_figures_and_nothing_else(make_folder, tmp_path, clean):
    folder = make_folder(tmp_path / "data", {"train/red": 6, "train/blue": 6})
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8)
    faults = {
        "dark": Image.fromarray(noise // 8),
        "bright": Image.fromarray(224 + noise // 8),
        "one colour": Image.new("RGB", (90, 90), (90, 120, 10)),
        "tiny": Image.fromarray(noise[:20, :20]),
        "odd shape": Image.fromarray(np.tile(noise, (1, 5, 1))),
        "blurred": Image.fromarray(noise[:3, :3]).resize((300, 300), Image.Resampling.BICUBIC),
    }
    for name, picture in faults.items():
        picture.save(folder / f"train/red/{name}.png")
    (folder / "train/red/torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    result = package.audit(folder, model="tiny-imagenet", out=tmp_path / "audit")
    found = sorted((one.picture.name, one.oddity) for one in result.odd)
    assert found == sorted((f"train/red/{name}.png", name) for name in faults)
    assert [bad.name for bad in result.unreadable] == ["train/red/torn.jpg"]
    assert all(f"{one.threshold:.4g}" in (tmp_path / "audit/findings.csv").read_text() for one in result.odd)


def test_a_leak_is_first_on_the_page_is_priced_and_its_training_copy_is_to_go(run, pictures, tmp_path, leak):
    result = package.audit(pictures, model=run, out=tmp_path / "audit")
    (one,) = result.leaks
    (price,) = (price for price in result.prices if price.findings == "leaks")
    assert (price.left_out, price.pictures) == (1, 9)
    assert price.low <= price.difference <= price.high
    with (tmp_path / "audit/exclude.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["train/blue/000.jpg"]
    assert list(groups_in(tmp_path / "audit/groups.csv")) == [("train/blue/000.jpg", "val/blue/000.jpg")]
    page = (tmp_path / "audit/index.html").read_text()
    assert 'id="leaks"' in page
    assert "1 pair of the same picture in two splits" in page
    assert f"without them {100 * abs(price.difference):.1f} points" in page
    assert "A map" not in page
    assert 'src="http' not in page
    assert json.loads((tmp_path / "audit/audit.json").read_text())["page"] == result.page
    assert one.second.split == "val"


def test_one_class_is_audited_without_labels(run, make_folder, tmp_path, clean):
    folder = make_folder(tmp_path / "data", {"red": 5})
    result = package.audit(folder, model=run, out=tmp_path / "audit")
    assert (result.pictures, result.suspects, result.head_error) == (5, (), None)
    page = (tmp_path / "audit/index.html").read_text()
    assert "0 labels may be wrong." in page
    assert "No picture of one split" not in page  # there are none


def test_scripts_hear_of_findings_by_the_exit_code(run, pictures, tmp_path, alexnet, leak):
    code, out, _ = alexnet("audit", pictures, "--model", run, "--out", tmp_path / "audit")
    assert code == 1
    assert "1  pairs of the same picture in two splits" in out


def test_a_clean_source_ends_with_code_0(run, pictures, tmp_path, alexnet, clean):
    code, _, _ = alexnet("audit", pictures, "--model", run, "--out", tmp_path / "audit")
    assert code == 0


def test_a_folder_that_holds_something_is_left_alone(run, pictures, tmp_path, clean):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        package.audit(pictures, model=run, out=tmp_path)


def test_exclude_takes_a_table_of_paths(pictures, tmp_path):
    table = tmp_path / "exclude.csv"
    table.write_text("path,reason\ntrain/blue/000.jpg,leak\ntrain/red/001.jpg,leak\n")
    selection = Selection(exclude=tuple(patterns_in([str(table)])))
    left = open_source(pictures, selection=selection).splits["train"]
    names = {left.name(i) for i in range(len(left))}
    assert len(names) == 16
    assert not names & {"train/blue/000.jpg", "train/red/001.jpg"}


def test_a_path_with_brackets_is_itself_and_no_pattern():
    escaped = Exclusion(["a/b[[]1].jpg"])
    assert escaped.leaves_out("a/b[1].jpg")
    assert not escaped.leaves_out("a/b1.jpg")


def test_a_table_without_paths_is_refused(tmp_path):
    table = tmp_path / "other.csv"
    table.write_text("name\nx\n")
    with pytest.raises(UsageError, match="has no column `path`"):
        list(patterns_in([str(table)]))
