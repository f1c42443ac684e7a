"""`alexnet units`: the pictures that excite a unit most, and what it sees of them."""

import json

import numpy as np
import pytest
from damage import unsealed
from PIL import Image

import alexnet
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import load


def outputs(run, store, layer):
    """Returns what a layer gives on all pictures, train and then val, and their names."""
    pictures = [(split, place) for split in store.splits.values() for place in range(len(split))]
    classifier = load(run, numbers="float32")
    each = [classifier.outputs(split.read(place)[None], layer)[0] for split, place in pictures]
    return np.stack(each), [split.name(place) for split, place in pictures]


def test_a_channel_is_excited_most_by_the_pictures_where_some_output_is_largest(run, store, tmp_path):
    units = alexnet.units(run, store.location, ["conv5:3", "conv1:0"], top=4, precision="float32", out=tmp_path / "u")
    for one, layer, number in zip(units.units, ("relu5", "relu1"), (3, 0), strict=True):
        maps, names = outputs(run, store, layer)
        largest = maps[:, number].max((1, 2))
        right = np.argsort(-largest, kind="stable")[:4]
        assert one.layer == layer
        assert [each.picture.name for each in one.excitations] == [names[row] for row in right]
        np.testing.assert_allclose([each.output for each in one.excitations], largest[right], rtol=1e-5)


def test_a_box_is_where_the_output_is_largest_in_the_stored_picture(run, store, tmp_path):
    (one,) = alexnet.units(run, store.location, "conv1:2", top=1, precision="float32", out=tmp_path / "u").units
    maps, names = outputs(run, store, "relu1")
    row, column = divmod(int(maps[names.index(one.excitations[0].picture.name), 2].argmax()), maps.shape[-1])
    box = one.excitations[0].field
    assert one.field == 11
    # The toy's first layer begins 0 pixels inside the input, whose 67 pixels are the middle of 76.
    assert (box.left, box.top) == (4 + 4 * column, 4 + 4 * row)
    assert (box.right, box.bottom) == (box.left + 11, box.top + 11)


def test_a_split_can_be_chosen_and_behind_a_full_layer_all_is_seen(run, store, tmp_path):
    number = int(outputs(run, store, "relu7")[0].sum(0).argmax())
    (one,) = alexnet.units(run, store.location, f"fc7:{number}", split="val", top=99, out=tmp_path / "u").units
    assert {each.picture.split for each in one.excitations} == {"val"}
    assert {(each.field.left, each.field.right) for each in one.excitations} == {(4, 71)}


def test_a_folder_has_a_sheet_a_unit_a_page_and_a_record(run, store, tmp_path):
    result = alexnet.units(run, store.location, ["conv2:1", "fc8:0"], top=3, out=tmp_path / "u")
    for one in result.units:
        with Image.open(one.file) as drawn:
            assert drawn.size == (76 * len(one.excitations), 2 * 76)
    written = (tmp_path / "u/units.json").read_text()
    assert unsealed(written) == json.loads(result.to_json())
    page = (tmp_path / "u/index.html").read_text()
    assert page.count("data:image/png") == 2 * sum(len(one.excitations) for one in result.units)
    assert "conv2:1" in page
    assert 'src="http' not in page


def test_a_unit_that_nothing_excites_is_said_to(run, store, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "alexnet.evaluation.classifier.Classifier.outputs", lambda *_: np.zeros((9, 8, 3, 3), np.float32)
    )
    monkeypatch.setattr("alexnet.evaluation.evaluate.BATCH", 9)
    result = alexnet.units(run, store.location, "conv5:0", out=tmp_path / "u")
    assert result.units[0].excitations == ()
    assert result.units[0].file is None
    assert "Nothing excites it" in (tmp_path / "u/index.html").read_text()


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("conv9:1", "no layer 'conv9'; there are conv1, relu1"),
        ("conv5:8", "no unit 'conv5:8'; conv5 has conv5:0 to conv5:7"),
        ("conv5", "no unit 'conv5'; conv5 has conv5:0 to conv5:7"),
        ("conv5:-1", "no unit 'conv5:-1'"),
        ("conv5:²", "no unit 'conv5:²'"),
    ],
)
def test_a_unit_that_is_not_there_is_answered_by_those_that_are(unit, message, run, store, tmp_path):
    with pytest.raises(UsageError, match=message):
        alexnet.units(run, store.location, unit, out=tmp_path / "u")
    assert not (tmp_path / "u").exists()


def test_no_picture_is_no_number_of_pictures(run, store, tmp_path):
    with pytest.raises(UsageError, match="`top` is at least 1, got 0"):
        alexnet.units(run, store.location, "conv5:1", top=0, out=tmp_path / "u")
