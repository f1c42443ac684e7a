"""`alexnet explain`: from picture files to a folder with maps, a record and a page."""

import json

import numpy as np
import pytest
import torch
from damage import unsealed
from PIL import Image

import alexnet
from alexnet import machine
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import load
from alexnet.explaining import maps
from alexnet.explaining.explain import label_of, preprocessed
from alexnet.serving.looking import activations, explanation
from alexnet.serving.served import open_runs


@pytest.fixture
def picture(pictures, store):
    return pictures / store.splits["val"].name(0)


def test_a_folder_of_maps_with_a_page(run, picture, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    images = [picture, tmp_path / "broken.jpg"]
    result = alexnet.explain(run, images, method=["gradcam", "gradient"], out=tmp_path / "maps")
    assert [(one.image, one.method) for one in result.explanations] == [
        (str(picture), "gradcam"),
        (str(picture), "gradient"),
    ]
    assert [bad.image for bad in result.unread] == [str(tmp_path / "broken.jpg")]
    assert result.problem == "1 picture could not be read"
    for one in result.explanations:
        with Image.open(one.map) as drawn:
            assert drawn.size == (67, 67)
    written = (tmp_path / "maps/explanations.json").read_text()
    assert '"seal"' in written
    assert unsealed(written) == json.loads(result.to_json())
    page = (tmp_path / "maps/index.html").read_text()
    assert page.count("data:image/png") == 3
    assert 'src="http' not in page


def test_the_first_guess_is_explained_unless_a_class_is_named(run, picture, tmp_path):
    classifier = load(run, numbers="float32")
    guess = classifier.classes[int(classifier.probabilities(classifier.read(picture)).argmax())]
    one = alexnet.explain(run, picture, method="gradcam", out=tmp_path / "a").explanations[0]
    assert one.class_name == guess
    other = alexnet.explain(run, picture, method="gradcam", class_name="red", out=tmp_path / "b").explanations[0]
    assert other.class_name == "red"
    assert other.probability == pytest.approx(
        float(classifier.probabilities(classifier.read(picture))[0, classifier.classes.index("red")]), abs=1e-6
    )


def test_the_network_sees_the_centre_less_the_mean(run, store):
    classifier = load(run, numbers="float32")
    pixels = store.splits["val"].read(0)
    right = (pixels.astype(np.float32) - classifier.mean)[4:71, 4:71] / 64
    np.testing.assert_allclose(preprocessed(classifier, pixels).numpy(), right.transpose(2, 0, 1), atol=1e-6)


def test_a_class_that_the_network_lacks_is_named_before_a_folder_is_made(run, picture, tmp_path):
    with pytest.raises(UsageError, match="does not know the class 'zebra'; it knows blue, green, red"):
        alexnet.explain(run, picture, class_name="zebra", out=tmp_path / "maps")
    assert not (tmp_path / "maps").exists()


def test_classes_are_named_in_the_words_by_which_they_can_be_chosen():
    classes = ["n01443537", "n02012849", "n03126707", "n02124075", *map(str, range(9))]
    for words, label in (("goldfish, Carassius auratus", 0), ("n02012849 crane", 1), ("Egyptian cat", 3)):
        assert label_of(classes, words) == label
    for name, told in (
        ("goldfish", "perhaps 'goldfish, Carassius auratus'"),
        ("egyptian cta", "perhaps 'Egyptian cat'"),
        ("cat", "perhaps 'Egyptian cat'"),
        (
            "wibble",
            "it knows 'goldfish, Carassius auratus', n02012849 crane, n03126707 crane, Egyptian cat, 0, 1, 2, 3, ",
        ),
    ):
        with pytest.raises(UsageError, match=f"does not know the class '{name}'; {told}"):
            label_of(classes, name)
    with pytest.raises(UsageError, match=r"4, 5, \.\.\.$"):
        label_of(classes, "wibble")


def test_a_folder_that_holds_something_is_left_alone(run, picture, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        alexnet.explain(run, picture, out=tmp_path)


@pytest.mark.parametrize("method", ["gradcam", "gradient"])
def test_a_map_of_slopes_is_drawn_once_for_itself_and_its_check(method, run, picture, tmp_path, monkeypatch):
    function = {"gradcam": "grad_cam", "gradient": "gradient"}[method]
    models, draw = [], getattr(maps, function)
    monkeypatch.setattr(maps, function, lambda model, *others: models.append(model) or draw(model, *others))
    alexnet.explain(run, picture, method=method, out=tmp_path / "maps")
    assert models.count(models[0]) == 1


def test_maps_are_drawn_on_the_processor_wherever_networks_are_put(run, picture, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "device", lambda: torch.device("meta"))  # which computes nothing, in place of a GPU
    assert load(run).model.fc8.weight.device.type == "meta"
    result = alexnet.explain(run, picture, method=["gradcam", "gradient", "occlusion"], out=tmp_path / "maps")
    assert len(result.explanations) == 3
    served = open_runs([run], "float32")[run.name]
    pixels = served.exact.read(picture)[0]
    assert explanation(served, pixels, "gradcam", None).class_name == result.explanations[0].class_name
    assert activations(served, pixels, "conv5").shape == (8, 3, 3)
