"""The one door to trained networks."""

import foreign
import pytest
import torch
from foreign import CHANNELS, CLASSES, HIDDEN

from alexnet.errors import CheckpointError, UsageError
from alexnet.evaluation.classifier import load
from alexnet.foreign.trained import open_trained
from alexnet.run import Run
from alexnet.weights import checkpoint
from alexnet.weights.public import PUBLIC


def caffe():
    return foreign.caffemodel(foreign.random_weights(channels=CHANNELS, hidden=HIDDEN, classes=CLASSES))


def test_a_run_a_weight_file_and_a_folder_of_hugging_face_are_the_same_network(run, tmp_path):
    load(run, numbers="float32").save_pretrained(tmp_path / "published")
    opened = [open_trained(place) for place in (run, run / "model.safetensors", tmp_path / "published")]
    right = checkpoint.load(run / "model.safetensors").model.state_dict()
    for each in opened:
        assert all(torch.equal(tensor, right[name]) for name, tensor in each.weights.model.state_dict().items())
    assert [each.name for each in opened] == [run.name, "model.safetensors", "published"]
    assert opened[0].sha256 == opened[1].sha256
    assert len(opened[0].sha256) == 64


def test_a_file_of_another_program_is_converted_on_the_fly(toys, tmp_path):
    (tmp_path / "net.caffemodel").write_bytes(caffe())
    trained = open_trained(tmp_path / "net.caffemodel")
    assert trained.weights.model.variant == "toy-caffenet"
    assert trained.weights.header.preprocessing.square == "warp"
    assert [path.name for path in tmp_path.iterdir()] == ["net.caffemodel"]


def test_public_weights_are_found_where_get_keeps_them(toys, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="fetch them with: alexnet weights get caffenet"):
        open_trained("caffenet")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / PUBLIC["caffenet"].url.rpartition("/")[2]).write_bytes(caffe())
    assert open_trained("caffenet").name == "caffenet"


def test_what_is_no_trained_network_is_refused(run, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"there is no trained network 'caffnet': perhaps 'caffenet'\?"):
        open_trained("caffnet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no checkpoints"):
        open_trained(tmp_path / "empty")
    damaged = tmp_path / "half.safetensors"
    damaged.write_bytes((run / "model.safetensors").read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"half\.safetensors"):
        open_trained(damaged)
    cut = tmp_path / "cut"
    cut.mkdir()
    Run(cut).config.write_bytes((run / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match="no weight file"):
        open_trained(cut)
