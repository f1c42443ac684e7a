"""Weight files prove their outputs, and that they are trained."""

import copy
import hashlib
import json

import numpy as np
import pytest
import torch
from damage import unsealed
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from alexnet import native
from alexnet.config import Design
from alexnet.errors import CheckpointError
from alexnet.evaluation.classifier import load
from alexnet.models.create import create
from alexnet.models.initialise import SCHEMES
from alexnet.models.variants import CIFAR, VARIANTS, Variant
from alexnet.records import Description, Header, Preprocessing
from alexnet.weights import checkpoint, compressed, evidence

MEAN = (np.random.default_rng(0).random((76, 76, 3)) * 255).astype(np.float32)
CLASSES = ("blue", "green", "red")
HEADER = Header.of(
    Description(classes=CLASSES, preprocessing=Preprocessing(stored_size=76, divide_pixels_by=64.0)), Design()
)


def make(scheme="he", **settings):
    return create("toy", classes=3, input_size=67, initialisation=scheme, seed=3, **settings).eval()


def step(model, rate=0.05):
    """One step of plain gradient descent on noise."""
    side = model.input_size
    images = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(0))
    F.cross_entropy(model(images), torch.tensor([0, 1, 2, 0])).backward()
    with torch.no_grad():
        for weights in model.parameters():
            weights -= rate * weights.grad
    return model


@pytest.fixture
def path(tmp_path):
    checkpoint.save(tmp_path / "a.safetensors", step(make()), MEAN, HEADER)
    return tmp_path / "a.safetensors"


def rewrite(path, change):
    """Writes the file anew after `change(tensors, header)`, with the checksum that its tensors then have."""
    with safe_open(path, "pt") as file:
        header = unsealed(file.metadata()["alexnet"])
    tensors = load_file(path)
    change(tensors, header)
    header["crc32"] = checkpoint.checksum(tensors)
    save_file(tensors, path, {"alexnet": json.dumps(header)})


def test_the_pictures_are_the_same_for_ever():
    made = evidence.pictures(256)
    assert made.shape == (2, 256, 256, 3)
    assert made[0, 100, 7].tolist() == [abs((c * 14 + (4 - c) * 200) % 511 - 255) for c in (1, 2, 3)]
    assert hashlib.sha256(made.tobytes()).hexdigest() == (
        "80ad6fc9fed8dbfd82762cd8f98602b32bbe0a66529b719dc5fbefc7db0234e4"
    )


def test_what_is_recorded_is_what_the_network_answers_by_hand(path):
    loaded = checkpoint.load(path)
    pixels = (evidence.pictures(76).astype(np.float64) - MEAN) / 64
    centre = torch.from_numpy(pixels[:, 4:71, 4:71].transpose(0, 3, 1, 2).copy())
    expected = copy.deepcopy(loaded.model).double()(centre)
    found = torch.tensor(loaded.header.probe.logits, dtype=torch.float64)
    assert (found - expected).norm() < 1e-5 * expected.norm()
    assert (found[0] - found[1]).norm() > 0.01 * found.norm()


def test_other_kernels_and_rounded_arithmetic_do_not_matter(path, monkeypatch):
    monkeypatch.setattr(native, "library", lambda: None)
    checkpoint.load(path)
    exact = evidence.outputs

    def fast(model, *preprocessing):
        found = exact(model, *preprocessing)
        return found if found.dtype == torch.float64 else found.bfloat16().float()

    monkeypatch.setattr(evidence, "outputs", fast)
    checkpoint.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda t, h: h["preprocessing"].update(divide_pixels_by=32.0),
        lambda t, h: h["network"].update(variant="toy-of-another-k"),
        lambda t, h: h["network"].update(dropout=0.25),
        lambda t, h: t.update(mean_image=t["mean_image"] + 2),
        lambda t, h: t["conv1.weight"].copy_(t["conv1.weight"].flip(1)),
        lambda t, h: t["fc8.bias"].copy_(t["fc8.bias"] + 0.1),
        lambda t, h: h["probe"]["logits"].reverse(),
        lambda t, h: h["probe"].update(logits=[[0.0, 0.0, float("nan")]] * 2),
    ],
)
def test_other_outputs_than_recorded_are_refused(path, monkeypatch, change):
    monkeypatch.setitem(VARIANTS, "toy-of-another-k", Variant(**{**vars(VARIANTS["toy"]), "k": 1.0}))
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=r"does not give the outputs that it records.*of their norm apart"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    "probe", [3, {}, {"logits": "x"}, {"logits": [[1, 2, 3]]}, {"logits": [[1], [2, 3]]}, {"logits": [[10**400]]}]
)
def test_a_probe_that_is_none_is_damage(path, probe):
    rewrite(path, lambda tensors, header: header.update(probe=probe))
    with pytest.raises(CheckpointError, match=r"is damaged: its probe holds|is incomplete or damaged \(.*\$\.probe"):
        checkpoint.load(path)


def test_files_of_older_versions_and_files_to_resume_from_record_no_outputs(path, tmp_path):
    rewrite(path, lambda tensors, header: header.pop("probe"))
    assert load(path).classes == ("blue", "green", "red")
    model = make()
    momentum = {name: torch.zeros_like(weights) for name, weights in model.named_parameters()}
    checkpoint.save(tmp_path / "last.safetensors", model, MEAN, HEADER, momentum)
    assert checkpoint.load(tmp_path / "last.safetensors").header.probe is None


def test_weights_given_beside_a_network_are_what_is_recorded(path, tmp_path):
    weights = checkpoint.load(path).model.state_dict()
    checkpoint.save(tmp_path / "b.safetensors", make("paper").train(), MEAN, HEADER, weights=weights)
    assert (tmp_path / "b.safetensors").read_bytes() == path.read_bytes()


def test_a_compressed_file_records_its_outputs_too(tmp_path):
    model = step(make())
    with torch.no_grad():
        for weights in (p for p in model.parameters() if p.dim() > 1):
            weights.copy_((weights * 20).round() / 20)
    compressed.save(tmp_path / "a.compressed", model, MEAN.round(), HEADER)
    data = (tmp_path / "a.compressed").read_bytes()
    assert load(tmp_path / "a.compressed").classes == ("blue", "green", "red")
    changed = data.replace(b'"divide_pixels_by": 64.0', b'"divide_pixels_by": 16.0').replace(b'"seal"', b'"none"')
    (tmp_path / "b.compressed").write_bytes(changed)
    with pytest.raises(CheckpointError, match="does not give the outputs"):
        compressed.load(tmp_path / "b.compressed")


@pytest.mark.parametrize("scheme", sorted(SCHEMES.keys() - CIFAR.keys()))
def test_fresh_networks_of_every_scheme_are_refused_until_they_are_trained(tmp_path, scheme):
    """`none` leaves what PyTorch fills layers with; a network of few weights needs a large step to leave its range."""
    torch.manual_seed(0)
    path, model = tmp_path / "a.safetensors", make(scheme)
    checkpoint.save(path, model, MEAN, HEADER)
    with pytest.raises(CheckpointError, match="untrained network"):
        load(path)
    checkpoint.save(path, step(model, 1 if scheme in ("none", "torch") else 0.01), MEAN, HEADER)
    load(path)


@pytest.mark.parametrize("name", sorted(CIFAR))
def test_fresh_networks_for_cifar_are_refused_until_they_are_trained(tmp_path, name):
    path, model = tmp_path / "a.safetensors", create(name, classes=3).eval()
    checkpoint.save(path, model, MEAN, HEADER)
    with pytest.raises(CheckpointError, match="untrained network"):
        load(path)
    checkpoint.save(path, step(model), MEAN, HEADER)
    load(path)


def test_frozen_biases_are_no_sign_where_filters_are_smooth(tmp_path):
    model = make()
    with torch.no_grad():
        model.conv1.weight.copy_(F.avg_pool2d(model.conv1.weight, 3, 1, 1))
    checkpoint.save(tmp_path / "a.safetensors", model, MEAN, HEADER)
    load(tmp_path / "a.safetensors")
