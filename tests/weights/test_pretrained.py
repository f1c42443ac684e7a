"""A Hugging Face-style folder: there and back, and what stands in it."""

import json

import numpy as np
import pytest
import yaml
from msgspec import structs

import alexnet
from alexnet.errors import CheckpointError, UsageError
from alexnet.evaluation.classifier import Classifier, load
from alexnet.records import Dataset, Metrics
from alexnet.weights import checkpoint


@pytest.fixture
def classifier(run):
    return load(run, numbers="float32")


@pytest.fixture
def folder(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "toy", licence="bsd-3-clause")
    return tmp_path / "toy"


MEASURED = Metrics(top1_error=0.25, top5_error=0.0, n=1200, views=10, split="test")


def read(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def front(folder):
    """The card's front matter: a line a key, JSON behind it."""
    _, matter, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    pairs = (line.split(": ", 1) for line in matter.splitlines())
    return {key: json.loads(value) for key, value in pairs}, text


def test_it_comes_back_as_it_was(folder, classifier):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 76, 76, 3), np.uint8)
    for back in (alexnet.load(folder, numbers="float32"), Classifier.from_pretrained(folder, numbers="float32")):
        assert back.classes == classifier.classes
        assert np.array_equal(back.probabilities(pictures, 10), classifier.probabilities(pictures, 10))
        assert back.header.data == structs.replace(classifier.header.data, source=None, quarantine=())
        assert back.header.machine is None


def test_the_configuration_names_outputs_both_ways(folder):
    told = read(folder, "config.json")
    assert told["id2label"] == {"0": "blue", "1": "green", "2": "red"}
    assert told["label2id"] == {"blue": 0, "green": 1, "red": 2}
    assert (told["architectures"], told["variant"], told["image_size"]) == (["AlexNet"], "toy", 67)
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "model.safetensors", "manifest.json", "preprocessor_config.json", "README.md"),
    }


def test_classes_of_imagenet_are_named_in_words_and_told_apart(classifier, tmp_path):
    classes = ("n02012849", "n01440764", "n03126707")
    classifier.header = structs.replace(classifier.header, classes=classes)
    classifier.save_pretrained(tmp_path / "cranes")
    told = read(tmp_path / "cranes", "config.json")
    assert told["id2label"] == {"0": "n02012849 crane", "1": "tench, Tinca tinca", "2": "n03126707 crane"}
    assert told["label2id"] == {"n02012849 crane": 0, "tench, Tinca tinca": 1, "n03126707 crane": 2}
    assert "Classes: n02012849 crane, n01440764 tench, Tinca tinca, n03126707 crane." in front(tmp_path / "cranes")[1]
    assert alexnet.load(tmp_path / "cranes").classes == classes


def test_their_preprocessing_gives_our_input_but_for_the_mean_image(folder, classifier):
    """Their arithmetic on a stored picture, against ours with one mean colour."""
    told = read(folder, "preprocessor_config.json")
    picture = np.random.default_rng(1).integers(0, 256, (76, 76, 3), np.uint8)
    assert (told["size"], told["crop_size"]) == ({"shortest_edge": 76}, {"height": 67, "width": 67})
    theirs = (picture[4:71, 4:71] * told["rescale_factor"] - told["image_mean"]) / told["image_std"]
    ours = (picture[4:71, 4:71] - classifier.mean[4:71, 4:71].mean((0, 1))) / classifier.divide_pixels_by
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_the_card_gives_errors_with_their_protocol(folder, classifier):
    told, text = front(folder)
    metrics = classifier.header.metrics
    result = told["model-index"][0]["results"][0]
    assert told["license"] == "bsd-3-clause"
    assert result["dataset"] == {"name": "colours", "type": "image-folder", "split": "val"}
    assert result["metrics"][0]["value"] == pytest.approx(1 - metrics.top1_error)
    assert result["metrics"][0]["name"] == "top-1 accuracy, split val, 9 pictures, 1 view(s)"
    assert f"| top-1 error | {metrics.top1_error:.2%} |" in text
    assert "Protocol: split val, 9 pictures, 1 view(s)." in text
    assert "18 train, 9 val" in text
    assert classifier.header.data.hash in text


def test_an_evaluation_that_is_given_stands_in_the_card(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "toy", evaluation=MEASURED)
    told, text = front(tmp_path / "toy")
    assert told["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.75
    assert "Protocol: split test, 1,200 pictures, 10 view(s)." in text


def test_what_is_not_known_is_said(classifier, tmp_path):
    classifier.header = structs.replace(classifier.header, metrics=None, data=None)
    classifier.save_pretrained(tmp_path / "toy")
    told, text = front(tmp_path / "toy")
    assert (told["license"], told["license_name"], told["model-index"][0]["results"]) == ("other", "not-stated", [])
    assert "Not measured" in text
    assert "licence of the data: not stated" in text
    assert "Licence of the weights: not stated" in text


def test_a_folder_that_is_taken_and_rounded_weights_are_refused(run, classifier, folder, tmp_path):
    with pytest.raises(UsageError, match="exists already"):
        classifier.save_pretrained(folder)
    with pytest.raises(UsageError, match='numbers="float32"'):
        load(run, numbers="int8").save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_untrained_network_is_not_published(classifier, tmp_path):
    fresh = alexnet.create_model("toy", classes=3, input_size=67)
    classifier.model = fresh
    with pytest.raises(CheckpointError, match="untrained"):
        classifier.save_pretrained(tmp_path / "new")


@pytest.mark.parametrize("is_there", [False, True])
def test_the_folder_is_made_whole_or_not_at_all(is_there, classifier, tmp_path, monkeypatch):
    if is_there:
        (tmp_path / "toy").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            classifier.save_pretrained(tmp_path / "toy")
    assert [*tmp_path.rglob("*")] == [tmp_path / "toy"] * is_there
    classifier.save_pretrained(tmp_path / "toy")
    assert alexnet.load(tmp_path / "toy").classes == classifier.classes
    assert [*tmp_path.iterdir()] == [tmp_path / "toy"]
    assert len([*(tmp_path / "toy").iterdir()]) == 5


EVIL = "a\n\n## Licence\n\n<script>alert(1)</script> [free](http://x) `x` | *b* & \u202e\udcff\x85"


def test_hostile_names_stay_names(classifier, tmp_path):
    classes = [EVIL, "green", "größer — 大"]
    data = Dataset(name=EVIL, licence=EVIL, counts={EVIL: 3}, hash=EVIL)
    classifier.header = structs.replace(classifier.header, classes=tuple(classes), data=data)
    classifier.save_pretrained(tmp_path / "toy", licence=EVIL, evaluation=structs.replace(MEASURED, split=EVIL))
    assert list(read(tmp_path / "toy", "config.json")["id2label"].values()) == classes
    told, text = front(tmp_path / "toy")
    assert told == yaml.safe_load((tmp_path / "toy" / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# toy", "## How well", "## Use"]
    plain = text.replace("\n", "")
    assert plain.isprintable()
    assert "<" not in plain
    assert "größer — 大" in plain
    name = r"a  \#\# Licence  &lt;script&gt;alert(1)&lt;/script&gt; \[free\](http://x) \`x\` \| \*b\* &amp;"
    assert plain.count(name) == 7
