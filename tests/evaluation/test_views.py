"""Ten views are ten views, several networks are several, and one name is one: by values, from the command line down."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet.evaluation.classifier import load, predict
from alexnet.evaluation.evaluate import evaluate


@pytest.fixture(scope="module")
def classifier(run):
    return load(run, numbers="float32")


@pytest.fixture(scope="module")
def other(classifier):
    """Another network over the same classes."""
    model = copy.deepcopy(classifier.model)
    with torch.no_grad():
        model.fc8.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(3))
    return replace(classifier, model=model)


def loss(probabilities, split):
    """The mean surprise, which no two ways to measure have in common."""
    return -np.log(probabilities[np.arange(len(split)), split.labels]).mean()


def answers(classifier, split, views=1):
    return classifier.probabilities(np.stack([split.read(i) for i in range(len(split))]), views)


def test_an_evaluation_averages_the_views_that_it_states(classifier, store):
    split = store.splits["val"]
    one, ten = (evaluate([classifier], store, views=views)[0] for views in (1, 10))
    assert one.loss == pytest.approx(loss(answers(classifier, split), split), abs=1e-6)
    assert ten.loss == pytest.approx(loss(answers(classifier, split, 10), split), abs=1e-6)
    assert abs(one.loss - ten.loss) > 1e-5


def test_the_command_evaluates_ten_views(alexnet, run, classifier, store):
    code, out, err = alexnet(
        "evaluate", run, "--data", store.directory, "--views", 10, "--precision", "float32", "--json"
    )
    assert code == 0, err
    split = store.splits["val"]
    assert json.loads(out)["loss"] == pytest.approx(loss(answers(classifier, split, 10), split), abs=1e-6)


def test_an_evaluation_of_several_is_that_of_their_mean_whatever_their_order(classifier, other, store):
    split = store.splits["val"]
    mean = (answers(classifier, split) + answers(other, split)) / 2
    for networks in ([classifier, other], [other, classifier]):
        assert evaluate(networks, store)[0].loss == pytest.approx(loss(mean, split), abs=1e-6)


@pytest.mark.parametrize("views", [1, 10])
def test_the_command_names_pictures_by_the_views_that_it_states(alexnet, run, classifier, pictures, views):
    file = pictures / "val" / "red" / "000.jpg"
    code, out, err = alexnet("predict", run, file, "--views", views, "--precision", "float32", "--json")
    assert code == 0, err
    probabilities = {each["class"]: each["probability"] for each in json.loads(out)["images"][0]["predictions"]}
    wanted, unwanted = (classifier.probabilities(classifier.read(file), count)[0] for count in (views, 11 - views))
    assert [probabilities[name] for name in classifier.classes] == pytest.approx(wanted.tolist(), abs=1e-6)
    assert abs(wanted - unwanted).max() > 1e-5


@pytest.mark.parametrize(("top", "named"), [(1, 1), (2, 2), (3, 3), (7, 3)])
def test_so_many_classes_are_named_as_were_wanted(classifier, pictures, top, named):
    [prediction] = predict(classifier, [pictures / "val" / "red" / "000.jpg"], top=top)
    assert len(prediction.predictions) == named


def test_one_class_is_the_most_probable(alexnet, run, classifier, pictures):
    file = pictures / "val" / "blue" / "001.jpg"
    _, out, _ = alexnet("predict", run, file, "--top", 1, "--json")
    [guess] = json.loads(out)["images"][0]["predictions"]
    assert guess["class"] == classifier.classes[classifier.probabilities(classifier.read(file))[0].argmax()]
