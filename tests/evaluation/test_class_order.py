"""Networks whose outputs stand in different orders agree on names, whatever order the data have."""

import numpy as np
import pytest
import torch
from msgspec import to_builtins
from PIL import Image

from alexnet.data.imagenet import DEVKIT, WORDNET, imagenet
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.evaluation.classifier import Classifier, predict
from alexnet.evaluation.evaluate import evaluate
from alexnet.models.create import create
from alexnet.records import Description, Header, Preprocessing

SEEN = ("n01751748", "n09193705", "n02105855", "n04263257")
"""Of the first four pictures of the validation split."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder a class for all of ImageNet's, as its training archives unpack, and four pictures to validate on."""
    root = tmp_path_factory.mktemp("imagenet")
    dice = np.random.default_rng(0)
    for split, names in (("train", imagenet(DEVKIT)), ("val", SEEN)):
        for name in names:
            folder = root / split / name
            folder.mkdir(parents=True)
            Image.fromarray(dice.integers(0, 256, (9, 9, 3), np.uint8)).save(folder / "0.bmp")
    return pack(open_source(root), tmp_path_factory.mktemp("stores") / "imagenet", size=67)


def network(classes, mean):
    """The same toy for any order: the output of a class has the weights that its name gives."""
    model = create("toy", classes=1000, input_size=67, initialisation="he").eval()
    own = sorted(classes)
    rows = torch.randn(1000, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.fc8.weight.copy_(rows[[own.index(name) for name in classes]])
    description = Description(classes=classes, preprocessing=Preprocessing(divide_pixels_by=64.0))
    return Classifier(model, mean, torch.float32, Header.of(description, model.design))


def test_every_order_gives_the_same_errors_and_the_same_names(store, tmp_path):
    assert list(store.classes) == sorted(imagenet(DEVKIT))
    shuffled = tuple(np.random.default_rng(1).permutation(imagenet(WORDNET)).tolist())
    orders = [imagenet(WORDNET), imagenet(DEVKIT), shuffled, store.classes]
    networks = [network(tuple(order), store.mean_image) for order in orders]
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (80, 90, 3), np.uint8)).save(tmp_path / "a.png")
    measured = [to_builtins(evaluate([each], store)[0]) for each in networks]
    answers = [to_builtins(next(predict(each, [tmp_path / "a.png"])))["predictions"] for each in networks]
    for summary, answer in zip(measured[1:], answers[1:], strict=True):
        assert summary["loss"] == pytest.approx(measured[0]["loss"], rel=1e-5)
        assert summary["top5_error"] == measured[0]["top5_error"]
        assert [(best["class"], best["words"]) for best in answer] == [(b["class"], b["words"]) for b in answers[0]]


def test_a_network_that_knows_the_label_is_right_in_either_order(store):
    """What ILSVRC's labels mean: devkit number or sorted place, one name."""
    for order, place in ((DEVKIT, 489), (WORDNET, 65)):
        answering = network(imagenet(order), store.mean_image)
        with torch.no_grad():
            answering.model.fc8.weight.zero_()
            answering.model.fc8.bias.zero_()[place] = 9
        assert evaluate([answering], store)[0].top1_error == 0.75
