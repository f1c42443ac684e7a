"""A run folder: the room that it needs, and where its data were found last."""

import json
import shutil
from types import SimpleNamespace

import pytest
from damage import unsealed
from msgspec import structs

from alexnet.errors import CheckpointError, DataError
from alexnet.run import Run
from alexnet.training.loop import resume
from alexnet.weights import checkpoint


@pytest.mark.parametrize(
    ("free", "there", "is_enough"), [(5000, 0, True), (4999, 0, False), (3500, 1500, True), (3499, 1500, False)]
)
def test_a_training_needs_five_times_its_weights_less_what_is_there(tmp_path, monkeypatch, free, there, is_enough):
    """The best weights; the newest with as much momentum; and these once more, until the new file is whole."""
    monkeypatch.setattr("alexnet.run.shutil.disk_usage", lambda folder: SimpleNamespace(free=free))
    run = Run(tmp_path)
    if there:
        run.best.write_bytes(bytes(500))
        run.last.write_bytes(bytes(there - 500))
    if is_enough:
        run.check_room(1000)
    else:
        with pytest.raises(DataError, match=r"this training needs 0\.0 MB for its weights: free some space"):
            run.check_room(1000)


def test_weights_are_told_where_the_same_data_lie_now_and_no_other(run, tmp_path):
    copy = Run(shutil.copytree(run, tmp_path / "run"))
    header, description = checkpoint.load(copy.best).header, copy.description()
    assert copy.located(header) == header
    copy.moved(description, "/elsewhere")
    assert copy.description().data.source == "/elsewhere"
    assert copy.located(header).data == structs.replace(header.data, source="/elsewhere")
    others = structs.replace(header, data=structs.replace(header.data, hash="other"))
    assert copy.located(others) == others


@pytest.fixture
def stopped(run, tmp_path):
    return Run(shutil.copytree(run, tmp_path / "stopped"))


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("train", "learning_rate", 0.5),
        ("train", "seed", 7),
        ("train", "dropout", 0.1),
        ("preprocessing", "divide_pixels_by", 255.0),
        ("preprocessing", "square", "warp"),
        ("data", "counts", {"train": 17, "val": 9}),
    ],
)
def test_a_run_whose_config_a_hand_has_changed_is_not_resumed(stopped, store, section, name, value):
    """Without the seal, as whoever changes it on purpose leaves it out."""
    fields = unsealed(stopped.config.read_text())
    fields[section][name] = value
    stopped.config.write_text(json.dumps(fields))
    with (
        pytest.raises(CheckpointError, match=r" is .* in .*config\.json, and .* in last\.safetensors: a run keeps"),
        resume(store, stopped),
    ):
        pass


def test_a_class_renamed_in_the_config_is_refused(stopped, store):
    fields = unsealed(stopped.config.read_text())
    stopped.config.write_text(json.dumps(fields | {"classes": ["blue", "green", "rot"]}))
    with pytest.raises(CheckpointError, match=r"a run keeps its settings|classes"), resume(store, stopped):
        pass


def test_a_config_that_is_the_runs_own_without_its_seal_resumes(stopped, store):
    stopped.config.write_text(json.dumps(unsealed(stopped.config.read_text())))
    with resume(store, stopped) as training:
        assert training.run()


def test_a_changed_config_with_its_old_seal_is_refused(stopped, store):
    stopped.config.write_text(stopped.config.read_text().replace('"seed": 0', '"seed": 1'))
    with (
        pytest.raises(CheckpointError, match=r"config\.json is incomplete or damaged \(its seal does not match"),
        resume(store, stopped),
    ):
        pass
