"""torchvision's alexnet, saved in every way there was, against the network itself and torchvision's preprocessing."""

import io
import json
import struct
import zipfile
from argparse import Namespace
from pathlib import Path

import foreign
import numpy as np
import pytest
import torch
from foreign import CHANNELS, CLASSES, HIDDEN, TorchvisionAlexNet
from safetensors.torch import save as safetensors

from alexnet.errors import AlexNetError, CheckpointError
from alexnet.evaluation.classifier import load
from alexnet.foreign.read import read
from alexnet.foreign.torchvision import THEIRS

PLACES = [f"{place}.{part}" for place in THEIRS.values() for part in ("weight", "bias")]
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    made = TorchvisionAlexNet(CHANNELS, HIDDEN, CLASSES).eval()
    with torch.no_grad():
        for weights in made.parameters():
            weights *= 1.1  # beyond what an untrained one has
    return made


def saved(value, **how):
    buffer = io.BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


def script(net, **how):
    """What torchvision's own training script saves, after one step."""
    optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [30, 60])
    arguments = Namespace(lr=0.01, data_path=Path("/data"), device=torch.device("cpu"), amp=None)
    beside = {"optimizer": optimiser.state_dict(), "lr_scheduler": schedule.state_dict(), "epoch": 3, "args": arguments}
    return saved({"model": net.state_dict(), **beside}, **how)


WAYS = {
    "zip": lambda net: saved(net.state_dict()),
    "older": lambda net: saved(net.state_dict(), _use_new_zipfile_serialization=False),
    "safetensors": lambda net: safetensors(net.state_dict()),
    "half": lambda net: saved({key: value.half() for key, value in net.state_dict().items()}),
    "checkpoint": lambda net: saved({"epoch": 90, "best_acc1": torch.tensor(56.5), "state_dict": net.state_dict()}),
    "ddp": lambda net: saved({f"module._orig_mod.{key}": value for key, value in net.state_dict().items()}),
    "features": lambda net: saved(
        {key.replace("features", "features.module"): v for key, v in net.state_dict().items()}
    ),
    "script": script,
    "older script": lambda net: script(net, _use_new_zipfile_serialization=False),
    "parameters": lambda net: saved(dict(net.named_parameters())),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_gets_the_probabilities_that_torchvision_gives_it(toys, turn, tmp_path, net, way):
    run = turn(WAYS[way](net))
    classifier = load(tmp_path / "run", numbers="float32")
    pictures = np.random.default_rng(1).integers(0, 256, (3, 256, 256, 3), np.uint8)
    crop = torch.from_numpy(pictures[:, 16:240, 16:240]) / 255
    with torch.inference_mode():
        theirs = net(((crop - MEAN) / DEVIATION).permute(0, 3, 1, 2)).softmax(1).numpy()
    ours = classifier.probabilities(pictures)
    assert run.variant == "toy-torchvision"
    assert np.linalg.norm(ours - theirs) < (2e-3 if way == "half" else 1e-5) * np.linalg.norm(theirs)


def test_outputs_without_names_are_numbered_and_said_to_be_unknown(toys, turn, net):
    run = turn(WAYS["zip"](net))
    assert run.classes == tuple(f"output-000{i}" for i in range(CLASSES))
    assert any("`classes`" in sentence for sentence in run.converted.not_known)


def rezipped(data, change):
    """The archive with its members changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.infolist():
            name, content, how = change(member.filename, old.read(member))
            new.writestr(name, content, how)
    return buffer.getvalue()


def test_a_compressed_archive_is_refused(toys, turn, net):
    data = rezipped(WAYS["zip"](net), lambda name, content: (name, content, zipfile.ZIP_DEFLATED))
    with pytest.raises(CheckpointError, match=r"is compressed, which torch\.save never does"):
        turn(data)


def test_a_storage_shorter_than_its_tensor_is_refused(toys, turn, net):
    data = rezipped(WAYS["zip"](net), lambda name, content: (name, content[:300] if "/data/" in name else content, 0))
    with pytest.raises(CheckpointError, match=r"a tensor of shape .* in a storage of 300 bytes"):
        turn(data)


def test_a_few_numbers_do_not_become_a_tensor_that_fills_the_memory(turn):
    one = torch.zeros(1)
    shapes = {name: (4096, 1 << 20) if name.endswith("weight") else (4096,) for name in PLACES}
    data = saved({name: one.expand(shape) for name, shape in shapes.items()})
    assert len(data) < 10_000
    with pytest.raises(CheckpointError, match="in a storage of 4 bytes"):
        turn(data)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_is_named_and_never_run(turn, tmp_path, is_zip):
    data = saved({"state_dict": Evil(tmp_path / "touched")}, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(CheckpointError, match="which a weight file has no need of"):
        turn(data)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: {"model": net, "epoch": 3}])
def test_a_whole_model_is_refused_with_what_to_save(turn, net, is_zip, wrap):
    with pytest.raises(CheckpointError, match=r"calls .*AlexNet.*save model.state_dict\(\)$") as caught:
        turn(saved(wrap(net), _use_new_zipfile_serialization=is_zip))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("way", ["zip", "older", "safetensors"])
def test_every_truncation_is_refused(toys, turn, net, way):
    whole = WAYS[way](net)
    for end in np.linspace(16, len(whole) - 30, 30).astype(int):
        with pytest.raises(AlexNetError):
            turn(whole[:end])


def lying(length, header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", length or len(text)) + text + bytes(64)


@pytest.mark.parametrize(
    "data",
    [
        lying(1 << 60, {"a": 1}),
        lying(None, {"features.0.weight": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 64]}}),
        lying(None, {"features.0.weight": {"dtype": "F32", "shape": [16], "data_offsets": [0, 1 << 50]}}),
    ],
)
def test_a_safetensors_header_that_lies_is_refused(turn, data):
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        turn(data)


def test_nan_a_vgg_our_own_file_and_no_weights_at_all_are_refused(toys, turn, net, tmp_path):
    state = dict(net.state_dict())
    vgg = {f"features.{i}.weight": torch.zeros(8, 8, 3, 3) for i in range(13)}
    state["features.3.bias"] = torch.full((CHANNELS[1],), torch.nan)
    turn(WAYS["zip"](net))
    ours = (tmp_path / "run" / "model.safetensors").read_bytes()
    (tmp_path / "run").rename(tmp_path / "done")
    refused = {
        r"not finite in conv2\.bias": saved(state),
        "13 convolutions and 0 fully connected": saved(vgg),
        "a weight file of alexnet already": ours,
        "starts with": b"<html>not found</html>",
        "is a zip archive of archive/": rezipped(saved({}), lambda name, content: (f"{name}.txt", b"a", 0)),
        "has 3 bytes": b"abc",
    }
    for told, data in refused.items():
        with pytest.raises(CheckpointError, match=told):
            turn(data)
        assert not (tmp_path / "run").exists()


def test_a_file_too_large_for_weights_is_refused_unread(tmp_path):
    with (tmp_path / "huge.pth").open("wb") as file:
        file.truncate((2 << 30) + 1)  # takes no room on the disk
    with pytest.raises(CheckpointError, match="has 2,147,483,649 bytes; weights have 16 to 2,147,483,648"):
        read(tmp_path / "huge.pth")


def test_an_untrained_network_is_refused(toys, turn):
    """As they were published for a year: https://github.com/brain-score/vision/issues/2459."""
    torch.manual_seed(1)
    fresh = TorchvisionAlexNet(CHANNELS, HIDDEN, CLASSES)
    with pytest.raises(CheckpointError, match="holds an untrained network: all numbers lie within"):
        turn(WAYS["zip"](fresh))


def test_the_reader_sees_the_tensors_that_torch_sees(net, tmp_path):
    from alexnet.foreign.torchvision import read_older

    data = WAYS["older"](net)
    found, expected = read_older("x", memoryview(bytearray(data))), torch.load(io.BytesIO(data), weights_only=True)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert len(found["classifier.6.bias"]) == foreign.CLASSES
