"""Evaluation: every picture once, classes by name, networks averaged."""

import base64
import copy
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from msgspec import structs

from alexnet.data.decode import load as decode
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import load
from alexnet.evaluation.evaluate import evaluate
from alexnet.evaluation.metrics import interval
from alexnet.observer import Observer

evaluate_module = sys.modules["alexnet.evaluation.evaluate"]


class Progress(Observer):
    def __init__(self, told):
        self.told = told

    def advanced(self, done, total):
        self.told.append((done, total))


def measure(*arguments, **more):
    """Returns evaluation and examples as JSON has them."""
    return tuple(json.loads(record.to_json()) for record in evaluate(*arguments, **more))


@pytest.fixture(scope="module")
def classifier(run):
    return load(run, numbers="float32")


@pytest.fixture(scope="module")
def other(classifier):
    """Another network over the same classes, with another opinion."""
    model = copy.deepcopy(classifier.model)
    with torch.no_grad():
        model.fc8.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(3))
    return replace(classifier, model=model)


def opinions(classifier, split, views=1):
    return classifier.probabilities(np.stack([split.read(i) for i in range(len(split))]), views)


def confusion(probabilities, labels):
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (labels, probabilities.argmax(1)), 1)
    return counts.tolist()


@pytest.mark.parametrize("batch", [1, 2, 4, 9, 128])
def test_every_picture_counts_once_whatever_the_batch(classifier, store, monkeypatch, batch):
    monkeypatch.setattr(evaluate_module, "BATCH", batch)
    told = []
    summary, _ = measure([classifier], store, "val", observer=Progress(told))
    split = store.splits["val"]
    assert summary["n"] == 9
    assert [row["n"] for row in summary["per_class"]] == [4, 3, 2]
    assert summary["confusion"] == confusion(opinions(classifier, split), split.labels)
    assert told[-1] == (9, 9)
    assert len(told) == -(-9 // batch)


def test_several_splits_are_counted_together(classifier, store):
    summary, _ = measure([classifier], store, "train+val")
    assert summary["n"] == 27
    assert [row["n"] for row in summary["per_class"]] == [11, 9, 7]


def test_a_split_named_twice_counts_once(classifier, store):
    assert measure([classifier], store, "val+val")[0]["n"] == 9


def test_the_summary_says_how_it_was_measured(classifier, store):
    summary, _ = measure([classifier], store, "val", views=10)
    assert (summary["views"], summary["models"], summary["split"]) == (10, 1, "val")
    assert summary["classes"] == ["blue", "green", "red"]
    assert summary["top1_interval"] == pytest.approx(interval(summary["top1_error"], 9))
    assert summary["top5_interval"] == pytest.approx([0, 0.299145], abs=1e-6)
    assert summary["top5_error"] == 0  # three classes
    assert summary["quarantined"] == []


def test_two_networks_average_their_probabilities(classifier, other, store):
    split = store.splits["train"]
    mean = (opinions(classifier, split) + opinions(other, split)) / 2
    summary, _ = measure([classifier, other], store, "train")
    assert summary["models"] == 2
    assert summary["confusion"] == confusion(mean, split.labels)
    assert summary["top1_error"] == pytest.approx((mean.argmax(1) != split.labels).mean())
    assert summary["confusion"] != measure([other], store, "train")[0]["confusion"]


def test_the_naive_error_is_that_of_the_largest_class(classifier, store):
    evaluation, _ = evaluate([classifier], store, "val")  # of 4, 3 and 2 pictures
    assert evaluation.naive_error == pytest.approx(5 / 9)
    assert structs.replace(evaluation, per_class=()).naive_error is None


def test_pictures_of_other_squares_than_a_network_takes_are_refused(classifier, store):
    preprocessing = structs.replace(classifier.header.preprocessing, square="warp")
    warped = replace(classifier, header=structs.replace(classifier.header, preprocessing=preprocessing))
    with pytest.raises(UsageError, match="holds the centre squares of its pictures, but the network was trained on"):
        evaluate([warped], store, "val")


def renamed(classifier, classes):
    return replace(classifier, header=structs.replace(classifier.header, classes=classes))


def permuted(classifier, order):
    """The same network with its outputs in another order."""
    model = copy.deepcopy(classifier.model)
    with torch.no_grad():
        model.fc8.weight.copy_(model.fc8.weight[order].clone())
        model.fc8.bias.copy_(model.fc8.bias[order].clone())
    return renamed(replace(classifier, model=model), tuple(classifier.classes[i] for i in order))


def test_classes_are_aligned_by_name(other, store):
    plain, _ = measure([other], store, "train")
    mixed, _ = measure([permuted(other, [2, 0, 1])], store, "train")
    assert 0 < plain["top1_error"] < 1
    assert mixed["top1_error"] == plain["top1_error"]
    assert mixed["classes"] == ["red", "blue", "green"]
    by_name = [
        {
            (a, b): summary["confusion"][i][j]
            for i, a in enumerate(summary["classes"])
            for j, b in enumerate(summary["classes"])
        }
        for summary in (plain, mixed)
    ]
    assert by_name[0] == by_name[1]


def test_data_that_lack_a_class_can_be_measured(classifier, make_folder, tmp_path):
    folder = make_folder(tmp_path / "two", {"train/blue": 2, "train/red": 3, "val/red": 3, "val/blue": 1})
    summary, _ = measure([classifier], pack(open_source(folder), tmp_path / "store", size=76), "val")
    assert [(row["name"], row["n"]) for row in summary["per_class"]] == [("blue", 1), ("green", 0), ("red", 3)]


def test_an_unknown_class_stops_with_its_name(classifier, store):
    narrow = renamed(classifier, ("blue", "green", "violet"))
    with pytest.raises(UsageError, match="does not know the class 'red'; it knows blue, green, violet"):
        measure([narrow], store, "val")


def test_networks_that_do_not_fit_together_are_refused(classifier, store):
    with pytest.raises(UsageError, match="different classes cannot be averaged"):
        measure([classifier, permuted(classifier, [1, 0, 2])], store, "val")
    with pytest.raises(UsageError, match="takes pictures of 80 pixels, the store holds 76"):
        measure([replace(classifier, mean=np.zeros((80, 80, 3), np.float32))], store, "val")


def test_a_missing_split_is_named_with_those_there_are(classifier, store):
    with pytest.raises(UsageError, match="no split 'test'; there are train, val"):
        measure([classifier], store, "val+test")


def test_ten_views_are_ten_views_of_every_picture(other, store):
    split = store.splits["val"]
    summary, _ = measure([other], store, "val", views=10)
    assert summary["confusion"] == confusion(opinions(other, split, 10), split.labels)


def test_examples_are_a_spread_sample_and_the_surest_mistakes(other, store, monkeypatch):
    monkeypatch.setattr(evaluate_module, "BATCH", 5)
    monkeypatch.setattr(evaluate_module, "SHOWN", 4)
    split = store.splits["train"]
    _, examples = measure([other], store, "train")
    places = [0, 5, 11, 17]
    assert [example["name"] for example in examples["sample"]] == [split.name(i) for i in places]
    found = opinions(other, split)
    wrong = [i for i in np.argsort(-found.max(1), kind="stable") if found[i].argmax() != split.labels[i]]
    assert sorted(example["name"] for example in examples["mistakes"]) == sorted(split.name(i) for i in wrong[:4])
    for example in examples["sample"] + examples["mistakes"]:
        confidences = [probability for _, probability in example["top"]]
        assert confidences == sorted(confidences, reverse=True)
        assert {name for name, _ in example["top"]} == {"blue", "green", "red"}
        assert decode(base64.b64decode(example["jpeg"]), example["name"], 76).shape == (76, 76, 3)
    surest = [example["top"][0][1] for example in examples["mistakes"]]
    assert surest == sorted(surest, reverse=True)


def test_quarantined_pictures_of_the_split_are_named_not_replaced(classifier, make_folder, tmp_path):
    folder = make_folder(tmp_path / "ill", {"train/blue": 2, "train/red": 2, "val/red": 3, "val/blue": 2})
    (folder / "val" / "red" / "001.jpg").write_bytes(b"<html>")
    (folder / "train" / "red" / "001.jpg").write_bytes(b"")
    summary, _ = measure([classifier], pack(open_source(folder), tmp_path / "store", size=76), "val")
    assert summary["n"] == 4
    assert [entry["name"] for entry in summary["quarantined"]] == ["val/red/001.jpg"]


def test_the_error_of_every_picture_is_kept_in_order(classifier, store):
    evaluation, examples = evaluate([classifier], store)
    split = store.splits["val"]
    wrong = opinions(classifier, split).argmax(1) != split.labels
    assert list(examples.errors) == [240 * each for each in wrong.tolist()]
    assert sum(examples.errors) / 240 / len(split) == evaluation.top1_error


def test_pictures_are_known_again_at_another_size_and_others_are_not(run, classifier, store, pictures, tmp_path):
    from alexnet.data.pack import pack
    from alexnet.data.sources import open_source

    small = pack(open_source(pictures), tmp_path / "small", size=70)

    class Blind:
        classes, stored_size, square = classifier.classes, 70, "centre"

        def probabilities(self, pictures, views=1):
            return np.full((len(pictures), 3), 1 / 3, np.float32)

    known = evaluate([classifier], store)[0].pictures
    assert known is not None
    assert evaluate([Blind()], small)[0].pictures == known
    assert evaluate([classifier], store, "train")[0].pictures != known
    assert list(evaluate([Blind()], small)[1].errors) == [160] * 9  # two thirds: a tie of three
