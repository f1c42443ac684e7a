"""`convert` and `weights` as a person meets them, and what a converted run can do."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.imagenet import WORDNET, imagenet
from alexnet.models.variants import VARIANTS
from alexnet.weights import public

_spec = importlib.util.spec_from_file_location("foreign", Path(__file__).parents[1] / "foreign" / "foreign.py")
foreign = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(foreign)


@pytest.fixture
def caffe(monkeypatch, tmp_path):
    """A toy CaffeNet of 1,000 classes."""
    toy = replace(VARIANTS["caffenet"], channels=foreign.CHANNELS, hidden=foreign.HIDDEN)
    monkeypatch.setitem(VARIANTS, "toy-caffenet", toy)
    weights = foreign.random_weights(channels=foreign.CHANNELS, hidden=foreign.HIDDEN, classes=1000)
    path = tmp_path / "toy.caffemodel"
    path.write_bytes(foreign.caffemodel(weights))
    return path


@pytest.fixture
def tree(tmp_path):
    """Pictures wider than high in two of ImageNet's classes."""
    for split in ("train", "val"):
        for place, name in enumerate(("n01440764", "n07615774")):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            dice = np.random.default_rng(place)
            for i in range(2):
                small = dice.integers(0, 256, (3, 6, 3), np.uint8)
                Image.fromarray(small).resize((400, 200), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return tmp_path / "pictures"


def test_a_converted_run_predicts_evaluates_and_reports(alexnet, caffe, tree, tmp_path):
    run = tmp_path / "run"
    code, out, _ = alexnet("convert", caffe, run)
    assert code == 0
    assert "conv1  from conv1 (8, 3, 11, 11), Convolution" in out
    assert "not known" in out
    assert "`mean`" in out
    described = json.loads((run / "config.json").read_text())
    assert described["classes"] == list(imagenet(WORDNET))
    code, out, err = alexnet("evaluate", run, "--data", tree, "--json")
    assert code == 0, err
    assert json.loads(out)["n"] == 4
    code, out, _ = alexnet("predict", run, tree / "val", "--top", 1, "--json")
    best = json.loads(out)["images"][0]["predictions"][0]
    assert best["words"]
    assert best["class"] in described["classes"]
    code, out, _ = alexnet("report", run)
    assert code == 0
    code, _, err = alexnet("train", "--resume", run)
    assert (code, err.count("\n")) == (2, 1)
    assert "converted, not trained here" in err


def test_a_folder_that_is_taken_and_a_file_that_is_not_there_are_one_line(alexnet, caffe, tmp_path):
    for source, run, told in ((caffe, tmp_path, "exists already"), (tmp_path / "x", tmp_path / "r", "no file")):
        code, out, err = alexnet("convert", source, run)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert told in err


def test_weights_are_listed_with_what_is_known_and_what_is_not(alexnet):
    code, out, _ = alexnet("weights", "list")
    assert code == 0
    assert "size not published; sha1:9116a64c0fbe4459d18f4bb6b56d647b63920377; licence: unrestricted" in out
    assert "no checksum published" in out
    table = json.loads(alexnet("weights", "list", "--json")[1])["weights"]
    assert table.keys() == public.PUBLIC.keys()


def test_get_checks_a_given_file_and_needs_a_name(alexnet, tmp_path, monkeypatch):
    (tmp_path / "mine").write_bytes(b"x" * 100)
    code, _, err = alexnet("weights", "get", "caffenet", "--file", tmp_path / "mine", "--out", tmp_path / "w")
    assert (code, err.count("\n")) == (2, 1)
    assert "is not the published file" in err
    assert "takes a name" in alexnet("weights", "get")[2]
    assert "there are caffe-alexnet" in alexnet("weights", "get", "vgg")[2]
    code, out, _ = alexnet("weights", "get", "caffe-mean", "--file", tmp_path / "mine", "--out", tmp_path / "w")
    assert code == 0
    assert "could not be checked" in out
