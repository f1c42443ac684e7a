"""A trained network with its preprocessing bound to it."""

import shutil

import numpy as np
import pytest
import torch

import alexnet
from alexnet import machine
from alexnet.errors import BadImage, CheckpointError, UsageError
from alexnet.evaluation.classifier import load


@pytest.fixture(scope="module")
def classifier(run):
    return load(run, numbers="float32")


@pytest.fixture(scope="module")
def images(store):
    return np.stack([store.splits["val"].read(i) for i in range(5)])


def by_hand(classifier, images, top, left, mirrored):
    """One view: subtract the mean where the crop lies, divide, softmax."""
    crop = (images.astype(np.float32) - classifier.mean)[:, top : top + 67, left : left + 67] / 64
    crop = crop[:, :, ::-1] if mirrored else crop
    with torch.no_grad():
        logits = classifier.model.eval()(torch.from_numpy(crop.transpose(0, 3, 1, 2).copy()))
    return logits.softmax(1).numpy()


def test_one_view_is_the_centre_by_hand(classifier, images):
    found = classifier.probabilities(images)
    np.testing.assert_allclose(found, by_hand(classifier, images, 4, 4, False), atol=2e-6)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


def test_ten_views_average_probabilities_by_hand(classifier, images):
    corners = [(0, 0), (0, 9), (4, 4), (9, 0), (9, 9)]
    each = [by_hand(classifier, images, *corner, mirrored) for mirrored in (False, True) for corner in corners]
    found = classifier.probabilities(images, 10)
    np.testing.assert_allclose(found, np.mean(each, 0), atol=2e-6)
    assert abs(found - each[2]).max() > 1e-5


def test_features_are_fc7_of_the_centre(classifier, images):
    found = classifier.features(images)
    assert found.shape == (5, 32)
    assert (found >= 0).all()
    assert found.std() > 0


def test_the_training_mode_of_the_network_is_left_as_it_was(classifier, images):
    classifier.model.train()
    one, again = classifier.probabilities(images), classifier.probabilities(images)
    assert classifier.model.training
    np.testing.assert_array_equal(one, again)  # no dropout
    classifier.model.eval()


def test_files_are_read_as_the_store_reads_them(classifier, pictures, store):
    split = store.splits["val"]
    found = classifier.read([pictures / split.name(i) for i in range(3)])
    stored = np.stack([split.read(i) for i in range(3)])
    assert found.shape == (3, 76, 76, 3)
    assert classifier.stored_size == 76
    assert abs(found.astype(int) - stored).mean() < 5  # the store's are JPEG again


def test_one_file_needs_no_list(classifier, pictures, store):
    path = pictures / store.splits["val"].name(0)
    for one in (path, str(path)):
        assert np.array_equal(classifier.read(one), classifier.read([path]))


def test_a_classifier_is_shown_in_a_line(classifier):
    assert repr(classifier) == "Classifier('toy', 3 classes, 76 pixels)"


def test_a_file_that_is_no_picture_is_named(classifier, tmp_path):
    (tmp_path / "x.jpg").write_text("<html>")
    with pytest.raises(BadImage, match=r"x\.jpg"):
        classifier.read([tmp_path / "x.jpg"])


def test_loading_gives_the_best_weights_with_classes_and_preprocessing(run, classifier):
    for place in (run, str(run), run / "model.safetensors"):
        loaded = alexnet.load(place, numbers="float32")
        assert loaded.classes == ("blue", "green", "red")
        assert loaded.divide_pixels_by == 64
        assert loaded.header.step <= 6
        assert torch.equal(loaded.model.fc8.weight, classifier.model.fc8.weight)


def test_a_run_folder_can_be_moved(run, tmp_path, images, classifier):
    shutil.copytree(run, tmp_path / "moved")
    np.testing.assert_array_equal(
        load(tmp_path / "moved", numbers="float32").probabilities(images), classifier.probabilities(images)
    )


@pytest.mark.parametrize("numbers", ["bf16", "int8"])
def test_smaller_numbers_cost_little(run, images, classifier, numbers, monkeypatch):
    monkeypatch.setattr(machine, "has_bf16", lambda: True)  # PyTorch computes it everywhere, if slowly
    loaded = load(run, numbers=numbers)
    assert loaded.dtype == torch.bfloat16
    found = loaded.probabilities(images)
    assert found.dtype == np.float32
    assert not np.array_equal(found, classifier.probabilities(images))
    np.testing.assert_allclose(found, classifier.probabilities(images), atol=0.02)


def test_a_folder_without_weights_is_named(tmp_path):
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(CheckpointError, match="no trained network at"):
            load(place)


def test_unknown_numbers_are_refused(run):
    with pytest.raises(UsageError, match="int4"):
        load(run, numbers="int4")
