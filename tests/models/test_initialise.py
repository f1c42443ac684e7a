"""How the weights start: the authors' numbers, measured on the weights themselves."""

import pytest
import torch

from alexnet.models.create import create
from alexnet.models.initialise import quieten, settle
from alexnet.models.variants import VARIANTS, Variant

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")

# standard deviation and bias of conv1 .. fc8: the facts' table
PUBLISHED = {
    "paper": ((0.01,) * 8, (0, 1, 0, 1, 1, 1, 1, 0)),
    "source": ((0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01), (0, 1, 0, 1, 1, 1, 1, 0)),
    "caffe": ((0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.01), (0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0)),
    "caffenet": ((0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.01), (0, 1, 0, 1, 1, 1, 1, 0)),
}


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """AlexNet with its convolutions and an eighth of its hidden units: enough weights for statistics."""
    monkeypatch.setitem(VARIANTS, "narrow", Variant("", hidden=512))


def make(scheme, seed=0, **settings):
    return create("narrow", classes=100, input_size=67, initialisation=scheme, seed=seed, **settings)


@pytest.mark.parametrize("scheme", PUBLISHED)
def test_the_published_spreads_and_biases(scheme):
    model = make(scheme)
    for name, std, bias in zip(LAYERS, *PUBLISHED[scheme], strict=True):
        layer = getattr(model, name)
        assert layer.weight.std().item() == pytest.approx(std, rel=0.03), name
        assert abs(layer.weight.mean().item()) < 0.03 * std, name
        assert (layer.bias == bias).all(), name


def test_each_variant_starts_as_its_authors_did():
    assert {name: row.initialisation for name, row in VARIANTS.items() if name not in ("toy", "narrow")} == {
        "alexnet": "paper",
        "alexnet-two-tower": "paper",
        "alexnet-as-run": "source",
        "alexnet-one-tower": "source",
        "caffe-alexnet": "caffe",
        "caffenet": "caffenet",
        "one-weird-trick": "torch",
    }
    assert torch.equal(make(None).conv1.weight, make("paper").conv1.weight)


def test_torchs_own_is_uniform_with_the_fan_in():
    model = make("torch")
    for name in LAYERS:
        layer = getattr(model, name)
        bound = layer.weight[0].numel() ** -0.5
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
        assert layer.bias.abs().max() <= bound


@pytest.mark.parametrize("dropout", [0.5, 0.0])
def test_he_keeps_the_size_of_the_signal_through_normalisation_and_dropout(dropout):
    images = torch.randn(16, 3, 67, 67, generator=torch.Generator().manual_seed(0))
    model = make("he", dropout=dropout).train()
    for layer in model.dropouts():
        layer.seed = 1
    sizes = {name: out.square().mean().sqrt().item() for name, out in model.activations(images, *LAYERS).items()}
    assert all(1 < size < 6 for size in sizes.values()), sizes
    assert sizes["conv2"] > 1.4 * sizes["conv1"]  # pooling takes the largest; the norm takes nothing
    assert sizes["fc8"] == pytest.approx(sizes["fc6"], rel=0.2)  # neither does dropout


def test_he_is_what_its_paper_says_where_nothing_stands_between():
    model = make("he")
    assert model.conv4.weight.std().item() == pytest.approx((2 / (384 * 9)) ** 0.5, rel=0.02)
    assert all((getattr(model, name).bias == 0).all() for name in LAYERS)


@pytest.mark.parametrize("scheme", [*PUBLISHED, "he", "torch"])
def test_the_seed_decides_the_weights_whatever_was_drawn_before(scheme):
    def weights(seed):
        torch.rand(5)
        return create("toy", classes=3, input_size=67, initialisation=scheme, seed=seed).state_dict()

    one, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one if name.endswith("weight"))


def test_no_two_layers_start_from_the_same_numbers():
    model = create("toy", classes=3, input_size=67, initialisation="paper")
    starts = {tuple(getattr(model, name).weight.flatten()[:4].tolist()) for name in LAYERS}
    assert len(starts) == len(LAYERS)


def test_settled_layers_have_unit_spread_and_no_mean_on_the_pictures():
    model, pictures = make("measured", alpha_factor=1024.0), 9 * torch.randn(64, 3, 67, 67)
    settle(model, model.order, pictures)
    assert model.training
    model.eval()
    for name, out in model.activations(pictures, *LAYERS).items():
        channels = [d for d in range(out.dim()) if d != 1]
        assert out.std().item() == pytest.approx(0.3 if name == "fc8" else 1, rel=0.02), name
        assert out.mean(channels).abs().max() < 1e-3, name


def test_settling_blurs_the_kernels_of_conv1():
    model = make("measured")
    assert torch.equal(model.conv1.weight, make("he").conv1.weight)

    def roughness():
        kernels = model.conv1.weight
        return (kernels.diff(dim=-1).square().mean() / kernels.square().mean()).item()

    assert roughness() == pytest.approx(2, rel=0.05)
    settle(model, model.order, torch.randn(8, 3, 67, 67))
    assert roughness() < 0.4


def test_settling_leaves_kept_layers_alone():
    model = make("measured")
    before = {name: getattr(model, name).weight.detach().clone() for name in LAYERS}
    settle(model, model.order, torch.randn(8, 3, 67, 67), kept=LAYERS[:6])
    same = [name for name in LAYERS if torch.equal(getattr(model, name).weight, before[name])]
    assert same == list(LAYERS[:6])


def test_quietening_leaves_every_answer_to_the_bit():
    model, pictures = make("he").eval(), 9 * torch.randn(8, 3, 67, 67)
    with torch.no_grad():
        for name in ("conv1", "conv3", "conv5", "fc6"):
            getattr(model, name).weight.mul_(7)
        before, loud = model(pictures), model.activations(pictures, *LAYERS[:-1])
        quieten(model, model.order, loud)
        assert torch.equal(model(pictures), before)
        after = model.activations(pictures, *LAYERS[:-1])
    for name in LAYERS[:-1]:
        strength = after[name].clamp(min=0).square().mean().sqrt().item()
        is_normalised = name in ("conv1", "conv2")  # the factor of a layer before normalisation cannot be undone
        assert torch.equal(after[name], loud[name]) if is_normalised else 0.7 < strength < 1.42, name
