"""Caffe's files against OpenCV's own reader and engine, and every convention by itself."""

import foreign
import numpy as np
import pytest
import torch
from foreign import CHANNELS, CLASSES, HIDDEN

from alexnet.errors import AlexNetError, CheckpointError, UsageError
from alexnet.foreign import wire
from alexnet.foreign.read import read, read_mean
from alexnet.models.create import create
from alexnet.records import Preprocessing
from alexnet.weights import checkpoint

ROWS = {"caffenet": foreign.CAFFENET, "caffe-alexnet": foreign.CAFFE_ALEXNET}


FULL = [("caffenet", foreign.V1, True), ("caffe-alexnet", foreign.V2, False)]


def toy_weights(**more):
    return foreign.random_weights(**{"channels": CHANNELS, "hidden": HIDDEN, "classes": CLASSES, **more})


def network(path, name):
    found = read(path)
    assert found.variant == name
    model = create(name, classes=len(found.tensors["fc8.weight"]), initialisation="none").eval()
    checkpoint.fill(model, found.tensors, path)
    return model


def difference(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


@pytest.mark.parametrize(("row", "numbers", "legacy"), FULL)
def test_full_size_networks_compute_what_opencv_computes(tmp_path, row, numbers, legacy):
    cv2 = pytest.importorskip("cv2")
    path, text = tmp_path / "net.caffemodel", tmp_path / "net.prototxt"
    path.write_bytes(foreign.caffemodel(foreign.random_weights(), ROWS[row], numbers, legacy))
    text.write_text(foreign.prototxt(ROWS[row]))
    model, peer = network(path, row), cv2.dnn.readNetFromCaffe(str(text), str(path))
    for count in (1, 7):
        rgb = np.random.default_rng(count).standard_normal((count, 3, 227, 227), np.float32) * 50
        peer.setInput(np.ascontiguousarray(rgb[:, ::-1]))
        with torch.inference_mode():
            ours = model(torch.from_numpy(rgb)).numpy()
        assert ours.std() > 0.01
        assert difference(ours, peer.forward()) < 1e-4


@pytest.mark.parametrize("numbers", [foreign.V1, foreign.V2])
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("row", ROWS)
def test_every_generation_of_layers_and_blobs_gives_the_same_weights(toys, tmp_path, row, numbers, legacy):
    weights = toy_weights()
    (tmp_path / "net").write_bytes(foreign.caffemodel(weights, ROWS[row], numbers, legacy))
    found = read(tmp_path / "net")
    assert found.variant == f"toy-{row}"
    assert np.array_equal(found.tensors["conv1.weight"], weights[0][0][:, ::-1])
    assert np.array_equal(found.tensors["conv2.weight"], weights[1][0])
    assert np.array_equal(found.tensors["fc8.bias"], weights[7][1])
    assert (found.dropout, found.rescale_dropout) == (0.5, True)


def test_what_the_data_layer_says_is_taken(toys, turn, tmp_path):
    colour = b"".join(foreign.field(5, value) for value in (104.0, 117.0, 123.0))
    data = foreign.field(1, 0.5) + foreign.field(3, 227) + colour
    run = turn(foreign.caffemodel(toy_weights(), data=data))
    loaded = checkpoint.load(tmp_path / "run" / "model.safetensors")
    assert run.preprocessing == Preprocessing(stored_size=256, square="warp", mean="one colour", divide_pixels_by=2.0)
    assert loaded.mean[0, 0].tolist() == [123, 117, 104]
    assert not [sentence for sentence in run.converted.not_known if "mean" in sentence]


def test_one_mean_value_is_that_of_every_channel(toys, turn, tmp_path):
    turn(foreign.caffemodel(toy_weights(), data=foreign.field(5, 128.0)))
    assert checkpoint.load(tmp_path / "run" / "model.safetensors").mean[0, 0].tolist() == [128, 128, 128]


def test_a_fully_connected_blob_of_four_sides_is_refused(toys, turn):
    weights = toy_weights()
    weights[7] = (weights[7][0].reshape(2, -1, 2, 4), weights[7][1])
    with pytest.raises(CheckpointError, match=r"fc8 has weights of shape \(2, 10, 2, 4\)"):
        turn(foreign.caffemodel(weights))


def test_a_mean_image_is_turned_to_rgb(toys, turn, tmp_path):
    mean = np.random.default_rng(0).random((3, 240, 240), np.float32) * 255
    (tmp_path / "m.binaryproto").write_bytes(foreign.blob(mean[None], legacy=True))
    np.save(tmp_path / "m.npy", mean.astype(np.float64))
    for name in ("m.npy", "m.binaryproto"):
        run = turn(foreign.caffemodel(toy_weights()), mean=tmp_path / name)
        loaded = checkpoint.load(tmp_path / "run" / "model.safetensors").mean
        assert np.array_equal(loaded, mean[::-1].transpose(1, 2, 0)), name
        assert run.preprocessing.stored_size == 240
        (tmp_path / "run").rename(tmp_path / f"run of {name}")


def test_a_mean_image_of_an_impossible_shape_is_no_array_that_can_be_read(tmp_path):
    np.save(tmp_path / "m.npy", np.zeros((3, 8, 8)))
    data = (tmp_path / "m.npy").read_bytes()
    shape = b"(3, 8, 8), }"
    (tmp_path / "m.npy").write_bytes(data.replace(shape.ljust(40), b"(99999999999999999999,), }".ljust(40)))
    with pytest.raises(CheckpointError, match=r"m\.npy is no array that can be read"):
        read_mean(tmp_path / "m.npy", is_bgr=True)


def test_a_file_of_weights_alone_needs_to_be_told_its_variant(toys, tmp_path):
    path = tmp_path / "net"
    path.write_bytes(foreign.caffemodel(toy_weights(), strip=True))
    with pytest.raises(UsageError, match=r"toy-caffenet, toy-caffe-alexnet.*`variant`"):
        read(path)
    assert read(path, "toy-caffenet").variant == "toy-caffenet"


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"norm": (5, 5e-4, 0.75, 2.0)}, "alpha is 0.0001, expected 2e-05; .*k is 2, expected 1"),
        ({"norm": (3, 6e-5, 0.75, None)}, "size is 3, expected 5"),
        ({"blocks": ("conv relu", *foreign.CAFFENET[1:])}, "block1 is conv relu, expected conv relu pool norm"),
        ({"blocks": (*foreign.CAFFENET[:2], "conv relu norm", *foreign.CAFFENET[3:])}, "conv3 stands in"),
    ],
)
def test_a_network_that_is_no_published_one_is_refused_with_the_difference(toys, turn, made, told):
    with pytest.raises(CheckpointError, match=told):
        turn(foreign.caffemodel(toy_weights(), **made))


def test_a_vgg_is_refused(turn):
    layers = b"".join(
        foreign.field(100, foreign.field(1, f"conv{i}") + foreign.field(2, "Convolution")) for i in range(13)
    )
    with pytest.raises(CheckpointError, match="13 convolutions and 0 fully connected layers; an AlexNet has 5 and 3"):
        turn(layers)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (foreign.field(1, "x" * 20), "holds no layers"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(20), "bytes where .* are left"),
        (b"\x12" + b"\xff" * 30, "more than ten bytes"),
        (b"\x0a\x00" * 3000, "more than 2,000 fields"),
        (b"\x12\x02\x0a\x00" * 8, "upgrade_net_proto_binary"),
        (b"\x1b" + bytes(20), "starts with|of type 3"),
        (foreign.field(100, foreign.field(1, "bn") + foreign.field(2, "BatchNorm")) + bytes(16), "."),
    ],
)
def test_damage_is_one_clear_line(turn, monkeypatch, data, told):
    monkeypatch.setattr(wire, "MAX_FIELDS", 2000)
    with pytest.raises(CheckpointError, match=told) as caught:
        turn(data)
    assert "\n" not in str(caught.value)


def test_every_truncation_is_refused(toys, turn):
    whole = foreign.caffemodel(toy_weights(), numbers=foreign.V1)
    for end in np.linspace(16, len(whole) - 60, 40).astype(int):
        with pytest.raises(AlexNetError):
            turn(whole[:end])


def test_a_shape_that_lies_is_refused(toys, turn):
    bad = foreign.field(7, foreign.field(1, foreign.varint(1 << 62) + foreign.varint(4))) + foreign.field(5, bytes(16))
    layer = foreign.field(1, "conv1") + foreign.field(2, "Convolution") + foreign.field(7, bad) * 2
    fc = foreign.field(1, "fc") + foreign.field(2, "InnerProduct")
    with pytest.raises(CheckpointError, match=r"shape .* and 4 values"):
        turn(foreign.field(100, layer) * 5 + foreign.field(100, fc) * 3)


def test_nan_is_refused(toys, turn):
    weights = toy_weights()
    weights[3][0][0, 0, 0, 0] = np.nan
    with pytest.raises(CheckpointError, match=r"not finite in conv4\.weight"):
        turn(foreign.caffemodel(weights))
