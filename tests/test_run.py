"""A run folder: the room that it needs, and where its data were found last."""

import shutil
from types import SimpleNamespace

import pytest
from msgspec import structs

from alexnet.errors import DataError
from alexnet.run import Run
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
