"""cuda-convnet's checkpoints against their layers run one by one, and what a pickle may not do."""

import pickle
import re
import struct
import zipfile
from pathlib import Path

import foreign
import numpy as np
import pytest
import torch
from foreign import CLASSES

from alexnet import pickles
from alexnet.data import imagenet
from alexnet.errors import AlexNetError, CheckpointError
from alexnet.pickles import PickleError
from alexnet.weights import checkpoint

TOY = {"channels": (4, 8, 6, 8, 4), "hidden": 16, "classes": CLASSES}


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_two_towers_compute_what_their_layers_compute(toys, turn, tmp_path, as_list, zipped):
    layers = foreign.two_towers(**TOY)
    run = turn(foreign.convnet_checkpoint(layers, as_list, zipped))
    loaded = checkpoint.load(tmp_path / "run" / "model.safetensors")
    images = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 50
    with torch.inference_mode():
        ours, theirs = loaded.model(images), foreign.run_layers(layers, images)
    assert run.variant == "toy-as-run"
    assert (ours - theirs).norm() < 1e-5 * theirs.norm()


def test_the_order_of_fc7s_inputs_decides(toys, turn, tmp_path):
    data = foreign.convnet_checkpoint(foreign.two_towers(**TOY, fc7=(("a", "b"), ("a", "b"))))
    turn(data)
    straight = checkpoint.load(tmp_path / "run" / "model.safetensors").model.fc7.weight
    (tmp_path / "run").rename(tmp_path / "other")
    turn(foreign.convnet_checkpoint(foreign.two_towers(**TOY)))
    crossed = checkpoint.load(tmp_path / "run" / "model.safetensors").model.fc7.weight
    assert torch.equal(straight[:16], crossed[:16])
    assert torch.equal(straight[16:], crossed[16:].roll(16, 1))


def test_classes_stand_in_the_order_of_the_development_kit(toys, turn):
    run = turn(foreign.convnet_checkpoint(foreign.two_towers(**{**TOY, "classes": 1000})))
    assert run.classes[:2] == ("n02119789", "n02100735")
    assert run.classes == imagenet.imagenet(imagenet.DEVKIT)


def test_the_newest_checkpoint_of_a_folder_is_taken(toys, tmp_path):
    from alexnet.foreign.convert import convert

    folder = tmp_path / "ConvNet__2012-10-01_12.00.00"
    folder.mkdir()
    for name, seed in (("9.50", 1), ("10.2", 2)):
        (folder / name).write_bytes(foreign.convnet_checkpoint(foreign.two_towers(**TOY, seed=seed)))
    assert convert(folder, tmp_path / "run").converted.file == "10.2"


def test_the_mean_of_batches_meta_is_turned(toys, turn, tmp_path):
    mean = np.arange(3 * 240 * 240, dtype=np.float32)[:, None] / 1000
    (tmp_path / "batches.meta").write_bytes(foreign.python2({"data_mean": mean, "num_vis": 172800}))
    turn(foreign.convnet_checkpoint(foreign.two_towers(**TOY)), mean=tmp_path / "batches.meta")
    loaded = checkpoint.load(tmp_path / "run" / "model.safetensors").mean
    assert np.array_equal(loaded, mean.reshape(3, 240, 240).transpose(1, 2, 0))


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_code_in_a_pickle_is_named_and_never_run(turn, tmp_path, protocol):
    with pytest.raises(CheckpointError, match=r"calls .*, which a weight file has no need of"):
        turn(pickle.dumps({"model_state": Evil(tmp_path / "run by a pickle")}, protocol))
    assert not (tmp_path / "run by a pickle").exists()


NESTED = b")2\x86" + b"2\x86" * 60
"""A tuple of tuples whose hash, or text, would take days."""


def nested(depth=60):
    """The same as a value."""
    value = ()
    for _ in range(depth):
        value = (value, value)
    return value


DTYPE = b"cnumpy\ndtype\nU\x02f4\x85R"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\x80\x02}" + b"T" + struct.pack("<I", 1 << 31) + bytes(30), "string of 2,147,483,648 bytes"),
        (b"\x80\x02" + b")2\x86" + b"2\x86" * 60 + b"q\x00}h\x00K\x01s." + bytes(9), "a key that is a tuple"),
        (b"\x80\x02" + b"N0" * 3000 + b".", "more than 5,000 instructions"),
        (b"\x80\x02}." + bytes(20), "no model_state"),
        (b"\x80\x02cnumpy\ndtype\nU\x01O\x85R." + bytes(20), "an array of type 'O'"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f" + bytes(20), "a number of 2,147,483,647 bytes"),
        (b"\x80\x02" + bytes(30), "instruction 0x00"),
        (b"\x80\x02" + b"(" * 20, "damaged at byte"),
        (b"\x80\x02" + b"0" * 20, "damaged at byte"),
        (b"\x80\x02c_codecs\nencode\nJ" + struct.pack("<i", 2_000_000_000) + b"N\x86R.", "a int stands where bytes"),
        (b"\x80\x02cnumpy\ndtype\n" + NESTED + b"\x85R.", "an array of type 'tuple'"),
        (b"\x80\x02" + DTYPE + b"(K\x03" + NESTED + b"tb.", "a damaged array type"),
        (b"\x80\x04" + NESTED + b"2\x93.", "it calls what has no name"),
        (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01(U\x01a"
            + 2 * (b"J" + struct.pack("<i", 2_100_000_000))
            + b"t"
            + DTYPE
            + b"\x89U\x00tb.",
            "an array of impossible shape",
        ),
    ],
)
def test_a_hostile_pickle_is_refused_in_bounded_time(turn, monkeypatch, data, told):
    monkeypatch.setattr(pickles, "MAX_INSTRUCTIONS", 5000)
    with pytest.raises(CheckpointError, match=told) as caught:
        turn(data)
    assert "\n" not in str(caught.value)


def test_calls_cannot_copy_a_large_argument_again_and_again(monkeypatch):
    """A list of 100 pairs becomes a dict 20 times: of 400 items and twice 140 bytes at most."""
    start, pairs = b"\x80\x02ccollections\nOrderedDict\nq\x00]q\x01(", b"K\x01K\x02\x86q\x02" + b"h\x02" * 99 + b"e"
    monkeypatch.setattr(pickles, "MAX_INSTRUCTIONS", 400)
    twice, often = (start + pairs + b"h\x00h\x01\x85R0" * times + b"N." for times in (2, 20))
    assert pickles.read(memoryview(twice)) == (None, len(twice))
    with pytest.raises(PickleError, match="it copies the same things over and over"):
        pickles.read(memoryview(often))


INNOCENT = ["builtins.print", "__builtin__.eval", "builtins.dict", "os.system", "numpy.load", "torch.load"]


@pytest.mark.parametrize("name", INNOCENT)
def test_only_options_are_left_unbuilt_and_any_other_name_is_refused(turn, name):
    """`options` is the module that cuda-convnet wrote its own settings with."""
    call = b"c%b\n(U\x01xtR" % name.replace(".", "\n").encode()
    with pytest.raises(CheckpointError, match=rf"calls {re.escape(name)}, which a weight file has no need of"):
        turn(b"\x80\x02}" + b"U\x02op" + call + b"s." + bytes(9))
    with pytest.raises(CheckpointError, match="no model_state"):
        turn(b"\x80\x02}" + b"U\x02op" + b"coptions\nOption\n(U\x01xtR" + b"s." + bytes(9))


def test_every_truncation_is_refused(toys, turn):
    whole = foreign.convnet_checkpoint(foreign.two_towers(**TOY))
    for end in np.linspace(16, len(whole) - 2, 40).astype(int):
        with pytest.raises(AlexNetError):
            turn(whole[:end])


def test_a_member_that_is_compressed_in_another_way_is_refused(turn, tmp_path):
    with zipfile.ZipFile(tmp_path / "z", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("data", bytes(100))
    with pytest.raises(CheckpointError, match="data is compressed by method 14"):
        turn((tmp_path / "z").read_bytes())


def test_a_zip_bomb_is_refused(turn, tmp_path):
    with zipfile.ZipFile(tmp_path / "z", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", bytes(1 << 20))
    bomb = (tmp_path / "z").read_bytes().replace(struct.pack("<I", 1 << 20), struct.pack("<I", 0xF0000000))
    with pytest.raises(CheckpointError, match="unpacks to 4,026,531,840 bytes"):
        turn(bomb)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda n: n["conv3a"].update(inputs=["pool2a"], inputLayers=[]), "matrices for 1 inputs"),
        (lambda n: n["pool1a"].update(sizeX=2), "pools"),
        (lambda n: n["pool1a"].update(pool=nested()), r"pool1a pools \(tuple\) of windows of 3"),
        (lambda n: n["rnorm1a"].update(minDiv=1.0), "different constants"),
        (lambda n: n["pool1a_neuron"].update(neuron={"type": "tanh[1,1]"}), "neuron tanh"),
        (lambda n: n["conv4b"].update(type="local"), "kind 'local'"),
        (lambda n: n["conv2a"].update(weights=["x"]), "no array of floats"),
        (lambda n: n["data"].update(inputs=["probs"]), "depends on itself"),
        (lambda n: n["conv1a"].update(stride=[2]), "stride 2"),
        (lambda n: n["conv1a"].update(stride=[np.nan]), "conv1a has no number 'stride' that can be"),
        (lambda n: [layer.update(keep=0.0) for layer in n.values() if layer["type"] == "hs"], "keeps 0.0"),
        (lambda n: n["conv2b"].update(weights=[n["conv2b"]["weights"][0][:-25]]), "the towers of conv2 do not fit"),
    ],
)
def test_another_network_is_refused_with_what_was_found(toys, turn, change, told):
    layers = foreign.two_towers(**TOY)
    change(layers)
    with pytest.raises(CheckpointError, match=told):
        turn(foreign.convnet_checkpoint(layers))


def test_the_reader_agrees_with_python(tmp_path):
    value = {"a": [1, -5, 2**40, 0.25, None, True, False], "b": ("x", ("y",), ()), "größe": {1: [[]]}}
    value["n"] = np.arange(6.0)
    value["again"] = value["a"]
    for protocol in (2, 3, 4):
        found, _ = pickles.read(memoryview(pickle.dumps(value, protocol)))
        assert found["again"] is found["a"]
        assert np.array_equal(found.pop("n").values, np.arange(6.0))
        assert found == {name: each for name, each in value.items() if name != "n"}
