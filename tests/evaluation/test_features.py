"""Features of any layer, as an iterator of batches and as files that other programs read."""

import json

import numpy as np
import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

import alexnet
from alexnet.errors import UsageError
from alexnet.evaluation import evaluate, feature_files
from alexnet.evaluation.classifier import Classifier, load
from alexnet.evaluation.features import features, layer_of
from alexnet.models.create import create


@pytest.fixture(scope="module")
def classifier(run):
    return load(run, numbers="float32")


def by_hand(classifier, store, split, layer):
    """A layer's outputs for the centre of every picture of a split, from the definition."""
    pictures = np.stack([store.splits[split].read(i) for i in range(len(store.splits[split]))])
    crop = (pictures.astype(np.float32) - classifier.mean)[:, 4:71, 4:71] / 64
    with torch.no_grad():
        images = torch.from_numpy(crop.transpose(0, 3, 1, 2).copy())
        return classifier.model.eval().activations(images, layer)[layer].numpy()


@pytest.mark.parametrize(("name", "layer"), [(None, "relu7"), ("fc7", "relu7"), ("conv5", "relu5"), ("pool2", "pool2")])
def test_every_picture_comes_once_with_its_name_and_label(classifier, store, name, layer):
    batches = list(features(classifier, store, name))
    assert [batch.split for batch in batches] == ["train", "val"]
    for batch in batches:
        split = store.splits[batch.split]
        assert batch.names == tuple(split.name(i) for i in range(len(split)))
        assert (batch.labels == split.labels).all()
        np.testing.assert_allclose(batch.features, by_hand(classifier, store, batch.split, layer), atol=1e-5)


def test_ten_views_are_averaged(classifier, store):
    pictures = np.stack([store.splits["val"].read(i) for i in range(9)])
    views = [output.numpy() for output in classifier._run(classifier.model.features, pictures, 10)]
    (batch,) = features(classifier, store, views=10, splits=["val"])
    np.testing.assert_allclose(batch.features, np.mean(views, 0), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "layer"), [("fc8", "fc8"), ("conv1", "relu1"), ("relu1", "relu1"), ("drop7", "drop7")]
)
def test_a_convolution_or_a_full_layer_stands_for_its_relu_as_in_caffe(name, layer):
    with torch.device("meta"):
        model = create("alexnet", initialisation="none")
    assert layer_of(model, name) == layer


def test_a_layer_or_split_that_does_not_exist_is_named(classifier, store):
    with pytest.raises(UsageError, match="no layer 'fc9'; there are conv1, relu1"):
        next(features(classifier, store, "fc9"))
    with pytest.raises(UsageError, match="no split 'test'; there are train, val"):
        next(features(classifier, store, splits=["test"]))


@pytest.fixture
def extracted(run, pictures, tmp_path, monkeypatch):
    """A function that writes features of the toy in batches of 4, and returns the file."""
    monkeypatch.setattr(evaluate, "BATCH", 4)

    def extract(ending, **options):
        result = alexnet.features(run, pictures, out=tmp_path / f"f{ending}", precision="float32", **options)
        assert result.shape[0] == 27 if "split" not in options else 9
        return tmp_path / f"f{ending}"

    return extract


def test_npz_has_features_names_labels_and_an_account(extracted, classifier, store, run):
    with np.load(extracted(".npz", layer="conv5")) as file:
        right = [by_hand(classifier, store, split, "relu5") for split in ("train", "val")]
        np.testing.assert_allclose(file["features"], np.concatenate(right), atol=1e-5)
        names = [store.splits[split].name(i) for split in store.splits for i in range(len(store.splits[split]))]
        assert file["names"].tolist() == names
        assert file["labels"].tolist() == [label for split in store.splits.values() for label in split.labels]
        account = json.loads(str(file["account"]))
    manifest = json.loads((run / "manifest.json").read_text())
    assert account["weights_sha256"] == manifest["weights"]["sha256"]
    assert (account["layer"], account["views"], account["splits"]) == ("relu5", 1, {"train": 18, "val": 9})
    assert account["classes"] == ["blue", "green", "red"]
    assert account["preprocessing"]["divide_pixels_by"] == 64


def test_safetensors_holds_the_same(extracted):
    path = extracted(".safetensors")
    tensors = load_file(path)
    with np.load(extracted(".npz")) as other, safe_open(path, "np") as file:
        assert np.array_equal(tensors["features"], other["features"])
        assert np.array_equal(tensors["labels"], other["labels"])
        assert json.loads(file.metadata()["names"]) == other["names"].tolist()
        assert json.loads(file.metadata()["account"]) == json.loads(str(other["account"]))


def test_names_that_no_reader_of_safetensors_takes_are_refused_before_the_second_batch(
    extracted, tmp_path, monkeypatch
):
    monkeypatch.setattr(feature_files, "_LARGEST_HEAD", 1000)
    outputs, computed = Classifier.outputs, []
    monkeypatch.setattr(Classifier, "outputs", lambda *given: computed.append(1) or outputs(*given))
    with pytest.raises(UsageError, match=r"the names of 27 pictures: choose \.npz or \.parquet"):
        extracted(".safetensors")
    assert len(computed) == 1
    assert not list(tmp_path.iterdir())


def test_the_longest_head_that_is_written_is_the_longest_that_is_read(tmp_path):
    file = tmp_path / "f.safetensors"
    for length, wrong in (
        (feature_files._LARGEST_HEAD, "invalid JSON"),
        (feature_files._LARGEST_HEAD + 8, "too large"),
    ):
        with file.open("wb") as sparse:
            sparse.write(length.to_bytes(8, "little"))
            sparse.truncate(8 + length)
        with pytest.raises(SafetensorError, match=wrong), safe_open(file, "np"):
            pass


def test_parquet_holds_a_row_a_picture(extracted):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    table = parquet.read_table(extracted(".parquet", split="val"))
    with np.load(extracted(".npz", split="val")) as other:
        assert np.array_equal(np.stack(table["features"].to_pylist()).astype(np.float32), other["features"])
        assert table["name"].to_pylist() == other["names"].tolist()
        classes = json.loads(table.schema.metadata[b"account"])["classes"]
        assert [classes.index(name) for name in table["class"].to_pylist()] == other["labels"].tolist()
    assert set(table["split"].to_pylist()) == {"val"}


def test_a_place_that_cannot_be_is_refused_before_anything_is_read(run, tmp_path):
    (tmp_path / "f.npz").write_bytes(b"mine")
    for name, reason in (
        ("f.npz", "exists already"),
        ("f.h5", "ends in none of .npz"),
        ("no/f.npz", "there is no folder"),
    ):
        with pytest.raises(UsageError, match=reason):
            alexnet.features(run, "nowhere", out=tmp_path / name)
    assert (tmp_path / "f.npz").read_bytes() == b"mine"


def test_an_interrupted_extraction_leaves_no_file(run, pictures, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("alexnet.evaluation.classifier.Classifier.outputs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        alexnet.features(run, pictures, out=tmp_path / "f.npz")
    assert not list(tmp_path.iterdir())
