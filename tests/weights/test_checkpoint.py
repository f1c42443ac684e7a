"""Weight files: bit for bit, and every kind of damage one clear line."""

import errno
import json
import os

import numpy as np
import pytest
import torch
from damage import unsealed
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from alexnet.config import Design
from alexnet.errors import AlexNetError, CheckpointError, DataError
from alexnet.models.create import create
from alexnet.records import Description, Header, Preprocessing
from alexnet.weights import checkpoint

MEAN = (np.random.default_rng(0).random((76, 76, 3)) * 255).astype(np.float32)
CLASSES = ["blue", "green", "red"]
HEADER = Header.of(
    Description(
        classes=tuple(CLASSES), preprocessing=Preprocessing(divide_pixels_by=64.0, stored_size=76), recipe="größer — 大"
    ),
    Design(),
)


def make(classes=3, seed=0, **settings):
    return create("toy", classes=classes, **{"input_size": 67, "initialisation": "he", "seed": seed, **settings})


@pytest.fixture
def path(tmp_path):
    checkpoint.save(tmp_path / "a.safetensors", make(), MEAN, HEADER)
    return tmp_path / "a.safetensors"


def rewrite(path, change):
    """Writes the file anew after `change(tensors, header)`, with whatever checksum `header` then has."""
    with safe_open(path, "pt") as file:
        header = unsealed(file.metadata()["alexnet"])
    tensors = load_file(path)
    header = change(tensors, header) or header
    save_file(tensors, path, {"alexnet": json.dumps(header)})


def refused(path, told):
    with pytest.raises(CheckpointError, match=told) as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_round_trip_keeps_every_bit(tmp_path, layout):
    model = make().to(memory_format=layout)
    momentum = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    checkpoint.save(tmp_path / "a.safetensors", model, MEAN, HEADER, momentum)
    loaded = checkpoint.load(tmp_path / "a.safetensors")
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], value), name
    assert loaded.momentum.keys() == momentum.keys()
    assert all(torch.equal(loaded.momentum[name], value) for name, value in momentum.items())
    np.testing.assert_array_equal(loaded.mean, MEAN)
    assert (loaded.header.classes, loaded.header.preprocessing) == (HEADER.classes, HEADER.preprocessing)
    assert loaded.header.recipe == "größer — 大"
    assert not loaded.model.training


def test_the_network_is_rebuilt_with_its_switches(tmp_path):
    model = make(activation="tanh", lrn=False, pooling="2x2", dropout=0.0, input_size=75).eval()
    checkpoint.save(tmp_path / "a.safetensors", model, MEAN, HEADER)
    loaded = checkpoint.load(tmp_path / "a.safetensors").model
    images = torch.randn(2, 3, 75, 75)
    assert loaded.order == model.order
    assert torch.equal(loaded(images), model(images))


def test_any_safetensors_reader_reads_it(path):
    tensors = load_file(path)
    assert {"conv1.weight", "fc8.bias", "mean_image"} <= tensors.keys()
    assert not [name for name in tensors if name.startswith("momentum.")]


def test_two_saves_of_the_same_are_the_same_bytes(path, tmp_path):
    checkpoint.save(tmp_path / "b.safetensors", make(), MEAN, HEADER)
    assert (tmp_path / "b.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("new_name", ["momentum.conv1.weights", "impetus.conv1.weight"])
def test_a_renamed_momentum_is_one_line(tmp_path, new_name):
    model, path = make(), tmp_path / "a.safetensors"
    momentum = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    checkpoint.save(path, model, MEAN, HEADER, momentum)

    def rename(tensors, header):
        tensors[new_name] = tensors.pop("momentum.conv1.weight")
        return header | {"crc32": checkpoint.checksum(tensors)}

    rewrite(path, rename)
    refused(path, rf"does not hold a .*: .*{new_name.removeprefix('momentum.')} should be absent")


@pytest.mark.parametrize("place", [0.3, 0.6, 0.999])
def test_one_flipped_bit_in_a_tensor_is_noticed(path, place):
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    data[start + int((len(data) - start) * place)] ^= 1
    path.write_bytes(data)
    refused(path, "is damaged: its tensors do not match its checksum")


@pytest.mark.parametrize("keep", [0, 4, 100, 5000, -1])
def test_a_truncated_file_is_noticed(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, "is not a whole safetensors file")


@pytest.mark.parametrize("content", [b"not a safetensors file at all", b"\xff" * 200, bytes(500)])
def test_another_kind_of_file_is_noticed(path, content):
    path.write_bytes(content)
    refused(path, "is not a whole safetensors file")


def test_a_foreign_safetensors_file_is_noticed(tmp_path):
    save_file({"features.0.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    refused(tmp_path / "other.safetensors", "was not written by alexnet: it has no entry")
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors", {"alexnet": "{}"})
    refused(tmp_path / "other.safetensors", "was not written by alexnet")


@pytest.mark.parametrize("header", ["[1]", "3", '"text"', "{", '{"network": 1, "classes": 2, "crc32": 3}'])
def test_a_strange_header_is_noticed(path, header):
    save_file(load_file(path), path, {"alexnet": header})
    refused(path, "was not written by alexnet|is not a whole|is incomplete or damaged")


def spoil(tensors, value):
    tensors["conv3.weight"][0, 0, 1, 1] = value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_noticed(path, value):
    def change(tensors, header):
        spoil(tensors, value)
        return {**header, "crc32": checkpoint.checksum(tensors)}

    rewrite(path, change)
    refused(path, r"not finite in conv3\.weight; the training diverged")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t, h: {**h, "classes": ["only", "two"]}, r"fc8\.bias should be \(2,\), is \(3,\)"),
        (
            lambda t, h: {**h, "network": {**h["network"], "variant": "alexnet"}},
            r"does not hold a alexnet: conv1\.bias",
        ),
        (lambda t, h: {**h, "network": {**h["network"], "input_size": 99}}, r"fc6\.weight should be"),
        (lambda t, h: {**h, "network": {**h["network"], "variant": "vgg"}}, "no variant 'vgg'"),
        (lambda t, h: {**h, "network": {**h["network"], "depth": 3}}, "depth"),
        (lambda t, h: t.pop("fc7.bias") is None, r"fc7\.bias should be \(32,\), is absent"),
        (lambda t, h: t.update({"conv6.weight": torch.zeros(1)}), r"conv6\.weight should be absent, is \(1,\)"),
    ],
)
def test_tensors_of_another_network_are_noticed(path, change, told):
    def changed(tensors, header):
        found = change(tensors, header)
        found = found if isinstance(found, dict) else header
        return {**found, "crc32": checkpoint.checksum(tensors)}

    rewrite(path, changed)
    refused(path, told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda h: h["network"].update(input_size=4096, variant="alexnet"), "does not hold a alexnet"),
        (
            lambda h: h["network"].update(input_size=-(10**12)),
            "damaged \\(input_size must lie between 1 and 4096, got -1000000000000\\)",
        ),
        (
            lambda h: h["network"].update(input_size=10**30),
            "damaged \\(input_size must lie between 1 and 4096, got 10{30}\\)",
        ),
        (lambda h: h.update(classes=[str(i) for i in range(300_000)]), r"fc8\.bias should be \(300000,\)"),
        (lambda h: h.update(classes=[1, 2, 3]), "Expected `str`, got `int` - at `\\$.classes\\[0\\]`"),
        (lambda h: h.update(classes=["a", "b", "a"]), "it names the class 'a' twice"),
        (lambda h: h.update(classes=[str(i) for i in range(1_000_001)]), "at most 1,000,000 classes, got 1,000,001"),
        (
            lambda h: h["preprocessing"].update(divide_pixels_by=0),
            "> 0.0 - at `\\$.preprocessing.div",
        ),
        (
            lambda h: h["preprocessing"].update(divide_pixels_by="64"),
            "got `str` - at `\\$.preprocessing.div",
        ),
        (
            lambda h: h["preprocessing"].update(divide_pixels_by=10**400),
            "out of range - at `\\$.preprocessing.div",
        ),
        (
            lambda h: h["preprocessing"].update(square="round"),
            "Invalid enum value 'round' - at `\\$.preprocessing.sq",
        ),
        (lambda h: h["preprocessing"].update(square=["warp"]), "got `array` - at `\\$.preprocessing.sq"),
        (lambda h: h["preprocessing"].clear(), "divide_pixels_by"),
        (lambda h: h.update(preprocessing=[64.0]), "Expected `object`, got `array` - at `\\$.preprocessing`"),
        (lambda h: h.update(data=3), "Expected `object \\| null`, got `int` - at `\\$.data`"),
    ],
)
def test_a_header_that_claims_the_impossible_is_refused_before_memory_is_taken(path, change, told):
    rewrite(path, lambda tensors, header: change(header))
    refused(path, told)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("mean_image", torch.zeros(76, 76), r"its mean image is torch\.float32 of shape \(76, 76\)"),
        ("mean_image", torch.zeros(60, 60, 3), "its mean image is"),
        ("mean_image", torch.full((76, 76, 3), torch.nan), "its mean image holds values that are not finite"),
        ("mean_image", torch.full((76, 76, 3), torch.inf), "its mean image holds values that are not finite"),
        ("conv1.bias", torch.zeros(8, dtype=torch.bfloat16), r"conv1\.bias as torch\.bfloat16, expected float32"),
    ],
)
def test_tensors_of_another_kind_are_refused(path, name, value, told):
    def change(tensors, header):
        tensors[name] = value
        return {**header, "crc32": checkpoint.checksum(tensors)}

    rewrite(path, change)
    refused(path, told)


def test_filling_another_network_is_refused_and_changes_nothing(path):
    tensors = {name: tensor for name, tensor in load_file(path).items() if name != "mean_image"}
    other = make(classes=5, seed=9)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"fc8\.bias should be \(5,\), is \(3,\)"):
        checkpoint.fill(other, tensors, path)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "nothing.safetensors", "no weight file")
    refused(tmp_path, "no weight file")


def test_a_full_disk_keeps_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"disk of .* is full"):
        checkpoint.save(path, make(seed=1), MEAN, HEADER)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_very_file_that_stays_was_flushed_to_the_disk(tmp_path, monkeypatch):
    flushed, fsync = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (flushed.add(os.fstat(handle).st_ino), fsync(handle)))
    checkpoint.save(tmp_path / "a.safetensors", make(), MEAN, HEADER)
    assert (tmp_path / "a.safetensors").stat().st_ino in flushed


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
def test_a_weight_file_may_be_read_by_whom_the_user_lets_read_files(path):
    (path.parent / "plain").write_text("")
    assert path.stat().st_mode == (path.parent / "plain").stat().st_mode


def test_every_refusal_is_of_the_family():
    assert issubclass(CheckpointError, AlexNetError)
