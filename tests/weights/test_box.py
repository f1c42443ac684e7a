"""The networks that come with the package are found by name, from anywhere."""

import json
import shutil
from pathlib import Path

import pytest

import alexnet
from alexnet.errors import CheckpointError
from alexnet.evaluation.classifier import load, weight_file
from alexnet.weights import box

SHIPPED = box.find("tiny-imagenet")


def test_a_name_stands_for_the_file_in_the_package_wherever_one_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert weight_file("tiny-imagenet") == SHIPPED
    assert SHIPPED.is_relative_to(Path(alexnet.__file__).parent)


def test_a_path_is_a_path_even_where_it_ends_in_the_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, tmp_path / "tiny-imagenet")
    assert weight_file("./tiny-imagenet") == Path("tiny-imagenet/model.safetensors")
    assert weight_file("tiny-imagenet") == SHIPPED


def test_any_other_name_is_refused_with_the_names_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"no trained network at tiny-imagnet: .* or tiny-imagenet"):
        load("tiny-imagnet")


def test_the_shipped_network_is_the_papers_with_200_of_imagenets_classes():
    classifier = load("tiny-imagenet", numbers="float32")
    assert classifier.model.variant == "alexnet-two-tower"
    assert (len(classifier.classes), classifier.model.input_size, classifier.stored_size) == (200, 99, 112)
    assert "n02124075" in classifier.classes  # Egyptian cat
    assert classifier.header.data.source is None  # a folder of somebody's machine


def test_the_shipped_file_is_small_and_its_manifest_true():
    manifest = json.loads((SHIPPED.parent / "manifest.json").read_text())
    assert SHIPPED.stat().st_size <= 5_000_000
    assert manifest["weights"]["bytes"] == SHIPPED.stat().st_size
    assert manifest["licence"]
