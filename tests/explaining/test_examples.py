"""The maps of a report: those of `explain`, drawn together, kept with the pictures, and never in the way."""

import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import alexnet
from alexnet.evaluation.classifier import load
from alexnet.evaluation.evaluate import evaluate
from alexnet.explaining.checks import Mapped, check
from alexnet.explaining.examples import with_maps
from alexnet.explaining.explain import preprocessed
from alexnet.explaining.maps import grad_cam, grad_cams
from alexnet.run import Run


@pytest.fixture
def copy(run, store, tmp_path):
    """A copy of the finished run, evaluated, without maps."""
    folder = Run(shutil.copytree(run, tmp_path / "copy"))
    folder.put(*evaluate([load(run)], store), "val")
    return folder


def test_maps_drawn_together_are_those_drawn_alone(run, store):
    classifier = load(run, numbers="float32")
    images = torch.stack([preprocessed(classifier, store.splits["val"].read(i)) for i in range(3)])
    labels = torch.tensor([0, 2, 1])
    alone = [grad_cam(classifier.model, *each) for each in zip(images, labels.tolist(), strict=True)]
    torch.testing.assert_close(grad_cams(classifier.model, images, labels), torch.stack(alone), atol=1e-5, rtol=1e-4)


def test_a_map_carries_the_verdict_of_its_own_check(run, copy):
    classifier = load(run, numbers="float32")
    for example in with_maps(copy.folder, copy.examples()).sample[:2]:
        with Image.open(io.BytesIO(example.jpeg)) as picture:
            image = preprocessed(classifier, np.asarray(picture.convert("RGB")))
        label = classifier.classes.index(example.top[0][0])

        def draw(model, _, image=image, label=label):
            return [grad_cam(model, image, label)]

        (checks,) = check(classifier.model, [Mapped(image, label, draw(classifier.model, None)[0])], draw)
        assert example.map.failure == checks.failure
        with Image.open(io.BytesIO(example.map.jpeg)) as drawn:
            assert (drawn.format, drawn.size) == ("JPEG", (67, 67))


def test_a_report_draws_the_maps_that_are_missing_once(copy):
    alexnet.report(copy.folder)
    written = copy.examples_file.read_bytes()
    examples = copy.examples()
    assert all(each.map for each in (*examples.sample, *examples.mistakes))
    assert len(examples.errors) == 9
    page = copy.report.read_text(encoding="utf-8")
    shown = len(examples.sample) + len(examples.mistakes)
    assert page.count("Where it looks for") == page.count("map not to be trusted<") + page.count("map passes") == shown
    alexnet.report(copy.folder)
    assert copy.examples_file.read_bytes() == written


def test_a_report_without_weights_has_no_maps_and_is_written(copy):
    copy.weights.write_bytes(b"damaged")
    alexnet.report(copy.folder)
    assert "Where it looks for" not in copy.report.read_text(encoding="utf-8")
