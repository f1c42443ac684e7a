"""Which run folder an arm has, and what is kept in it."""

import json
import re
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from notes import Notes

from alexnet import config
from alexnet.claims.laboratory import Laboratory, _read_answers
from alexnet.observer import Observer


@pytest.fixture
def laboratory(store, tmp_path):
    return Laboratory(store, tmp_path, Observer())


def name_in_0_1(settings, store):
    facts = json.dumps([config.to_json(settings), store.content_hash, "torch.float32"]).encode()
    return f"whole-{settings.seed}-{blake2b(facts, digest_size=4).hexdigest()}"


def begin(folder, settings, store):
    folder.mkdir(parents=True)
    facts = {"train": config.to_json(settings), "data": {"hash": store.content_hash}}
    facts |= {"classes": store.classes, "preprocessing": {"divide_pixels_by": 64.0}}
    (folder / "config.json").write_text(json.dumps(facts))


def test_a_run_of_version_0_1_is_found_by_the_name_that_it_had(laboratory, settings, store, tmp_path):
    folder = tmp_path / "runs" / name_in_0_1(settings, store)
    begin(folder, settings, store)
    assert laboratory.run("whole", settings).folder == folder
    assert laboratory.run("whole", replace(settings, momentum=0.5)).folder != folder


def test_a_run_of_version_0_1_with_other_numbers_is_another_run(laboratory, settings, store, tmp_path):
    folder = tmp_path / "runs" / "whole-0-01234567"
    begin(folder, settings, store)
    assert laboratory.run("whole", settings).folder != folder


def test_a_damaged_folder_beside_it_is_passed_over(laboratory, settings, tmp_path):
    (tmp_path / "runs" / "whole-0-01234567").mkdir(parents=True)
    (tmp_path / "runs" / "whole-0-01234567" / "config.json").write_text("{")
    assert not laboratory.run("whole", settings).exists


def test_a_setting_of_a_later_version_changes_no_name(laboratory, settings, monkeypatch):
    before = laboratory.run("whole", settings).folder
    to_json = config.to_json
    monkeypatch.setattr(config, "to_json", lambda train: {"mixup": 0.0, **to_json(train)})
    assert laboratory.run("whole", settings).folder == before


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("answers-1-views.npy", lambda data: data[: len(data) // 2]),
        ("answers-1-views.npy", lambda data: b"\0" * len(data)),
        ("answers-1-views.npy", lambda data: data.replace(b"<f4", b"|O4")),
        ("answers-1-views.npy", lambda data: data.replace(b"(9, 3)", b"(3, 9)")),
        ("answers-1-views.npy", lambda data: data[:-8] + np.float32(np.nan).tobytes()),
        ("answers-1-views.npy", lambda data: data[:-8] + np.float32(0.25).tobytes() + data[-4:]),
        ("answers-1-views.npy", lambda data: b""),
        ("training-error.json", lambda data: b""),
        ("training-error.json", lambda data: b"[0.5]"),
        ("training-error.json", lambda data: b"7"),
        ("training-error.json", lambda data: b"NaN"),
        ("training-error.json", lambda data: re.sub(rb'("top1_error": 0\.)\d', rb"\g<1>9", data)),
        ("training-error.json", lambda data: b"[" * 100_000),
    ],
)
def test_what_is_damaged_is_computed_anew(ask, file, damage):
    row = ask("overlap")["rows"][0]
    path, notes = Path(row["run"]) / file, Notes()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert ask("overlap", observer=notes)["rows"][0] == row
    assert path.read_bytes() == whole
    assert notes.runs == []


def test_answers_with_a_changed_byte_are_computed_anew(ask):
    path = Path(ask("overlap")["rows"][0]["run"]) / "answers-1-views.npy"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert _read_answers(path, (9, 3)) is None


def test_answers_of_version_0_1_are_read(ask):
    path = Path(ask("overlap")["rows"][0]["run"]) / "answers-1-views.npy"
    answers = _read_answers(path, (9, 3))
    np.save(path, answers)
    assert np.array_equal(_read_answers(path, (9, 3)), answers)


def test_a_damaged_answer_of_a_claim_is_written_anew(ask, tmp_path):
    answer = ask("overlap")
    path = next(tmp_path.rglob("claim.json"))
    path.write_text("{")
    assert ask("overlap")["rows"] == answer["rows"] == json.loads(path.read_text())["rows"]


def test_a_damaged_description_is_one_line(ask):
    folder = Path(ask("overlap")["rows"][0]["run"])
    (folder / "config.json").write_text("{")
    with pytest.raises(Exception, match=r"config\.json is incomplete or damaged"):
        ask("overlap")
