"""cuda-convnet's networks: the facts' numbers, and their layers as plain loops."""

import pytest
import torch

import alexnet
from alexnet.errors import UsageError
from alexnet.models.cifar import CifarNet, LocallyConnected
from alexnet.models.create import create
from alexnet.models.summary import summarise
from alexnet.models.variants import CIFAR, stored_size

TABLE = {
    "cifar-80sec": (145_578, 12_354_176),
    "cifar-19pct": (89_578, 12_298_240),
    "cifar-18pct": (89_578, 12_298_240),
    "cifar-13pct": (1_116_490, 18_517_248),
    "cifar-11pct": (2_112_970, 19_512_576),
}

PLAIN = "conv1 pool1 relu1 conv2 relu2 pool2 conv3 relu3 pool3"
ORDERS = {
    "cifar-80sec": f"{PLAIN} fc4 relu4 fc5",
    "cifar-19pct": f"{PLAIN} fc4",
    "cifar-18pct": "conv1 pool1 relu1 same1 conv2 relu2 pool2 same2 conv3 relu3 pool3 fc4",
    "cifar-13pct": "conv1 relu1 pool1 conv2 relu2 pool2 local3 relu3 local4 relu4 fc5",
    "cifar-11pct": "conv1 relu1 pool1 norm1 conv2 relu2 norm2 pool2 local3 relu3 local4 relu4 fc5",
}

# weight decay and standard deviation of the first weights, layer by layer: the facts' table
LEARNING = {
    "cifar-80sec": ((0.004, 0.004, 0.004, 0.03, 0.03), (0.0001, 0.01, 0.01, 0.1, 0.1)),
    "cifar-19pct": ((0.004, 0.004, 0.004, 3), (0.0001, 0.01, 0.01, 0.01)),
    "cifar-18pct": ((0.004, 0.004, 0.004, 1), (0.0001, 0.01, 0.01, 0.01)),
    "cifar-13pct": ((0, 0, 0.004, 0.004, 0.004), (0.0001, 0.01, 0.04, 0.04, 0.01)),
    "cifar-11pct": ((0, 0, 0.004, 0.004, 0.01), (0.0001, 0.01, 0.04, 0.04, 0.01)),
}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weighty(model):
    return [name for name in model.order if hasattr(getattr(model, name), "weight")]


def test_the_tables_of_this_file_hold_every_variant():
    assert sorted(CIFAR) == sorted(TABLE) == sorted(ORDERS) == sorted(LEARNING)


@pytest.mark.parametrize("name", TABLE)
def test_published_parameters_and_multiply_adds(name):
    rows = summarise(create(name))
    assert (sum(row.parameters for row in rows), sum(row.macs for row in rows)) == TABLE[name]


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("cifar-80sec", [2_432, 25_632, 51_264, 65_600, 650]),
        ("cifar-18pct", [2_432, 25_632, 51_264, 10_250]),
        ("cifar-13pct", [4_864, 102_464, 663_552 + 1_152, 331_776 + 1_152, 11_530]),
        ("cifar-11pct", [4_864, 102_464, 1_327_104 + 2_304, 663_552 + 1_152, 11_530]),
    ],
)
def test_published_parameters_layer_by_layer(name, published):
    assert [row.parameters for row in summarise(create(name)) if row.parameters] == published


@pytest.mark.parametrize("name", TABLE)
def test_layers_come_in_the_published_order(name):
    assert create(name).order == ORDERS[name].split()


@pytest.mark.parametrize(("name", "sides"), [("cifar-18pct", [16, 8, 4]), ("cifar-11pct", [12, 6])])
@pytest.mark.parametrize("pooling", ["overlapping", "2x2"])
def test_maps_are_halved_rounding_up(name, sides, pooling):
    rows = summarise(create(name, pooling=pooling))
    assert [row.output_shape[1] for row in rows if row.name.startswith("pool")] == sides


@pytest.mark.parametrize("name", LEARNING)
def test_published_weight_decay_and_first_weights(name):
    model, (decays, spreads) = create(name), LEARNING[name]
    layers = weighty(model)
    assert [0.004 * model.decays[layer] for layer in layers] == pytest.approx(decays)
    for layer, spread in zip(layers, spreads, strict=True):
        weight, bias = getattr(model, layer).weight, getattr(model, layer).bias
        assert weight.std().item() == pytest.approx(spread, rel=0.1), layer
        assert not bias.any()


def test_published_constants_of_the_normalisations():
    across, within = create("cifar-11pct").norm1, create("cifar-18pct").same2
    assert (across.size, across.alpha, across.beta, across.k) == (9, pytest.approx(0.001 / 9), 0.75, 1)
    assert (within.size, within.alpha, within.beta, within.k) == (3, pytest.approx(5e-5 / 9), 0.75, 1)


# the layers as loops


def windows(side, size=3, stride=2):
    """The pixels of each pooling window as a slice; the last one hangs over the edge and is clipped."""
    last = -(-(side - size) // stride)
    return [slice(start, min(start + size, side)) for start in range(0, last * stride + 1, stride)]


@pytest.mark.parametrize(("layer", "rule"), [("pool1", "amax"), ("pool2", "mean")])
@pytest.mark.parametrize("side", [8, 9, 12])
def test_pools_hang_over_the_edge_and_average_what_is_there(layer, rule, side):
    images = draw(2, 3, side, side)
    rows = [[getattr(images[:, :, y, x], rule)((2, 3)) for x in windows(side)] for y in windows(side)]
    expected = torch.stack([torch.stack(row, -1) for row in rows], -2)
    torch.testing.assert_close(getattr(create("cifar-18pct"), layer)(images), expected)


def local_by_loops(layer, images):
    """Each place by itself: what its 3 x 3 windows see, times weights that no other place has."""
    side, outputs = layer.side, layer.outputs
    weight = layer.weight.view(side, side, outputs, 3, 3, layer.inputs)
    bias = layer.bias.view(side, side, outputs)
    result = bias.permute(2, 0, 1).repeat(len(images), 1, 1, 1)
    for y in range(side):
        for x in range(side):
            for dy in range(3):
                for dx in range(3):
                    if 0 <= y + dy - 1 < side and 0 <= x + dx - 1 < side:
                        result[:, :, y, x] += images[:, :, y + dy - 1, x + dx - 1] @ weight[y, x, :, dy, dx].T
    return result


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_local_layer_is_a_convolution_without_sharing(layout):
    layer = LocallyConnected(4, 5, 6).double()
    torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(2))
    images = draw(3, 4, 6, 6).double().contiguous(memory_format=layout)
    torch.testing.assert_close(layer(images), local_by_loops(layer, images))


def test_a_local_layer_of_equal_filters_is_the_convolution():
    layer, filters = LocallyConnected(4, 5, 6), draw(5, 4, 3, 3)
    layer.weight.data = filters.permute(0, 2, 3, 1).reshape(5, -1).repeat(36, 1)
    layer.bias.data = torch.arange(5.0).repeat(36)
    images = draw(3, 4, 6, 6, seed=1)
    expected = torch.nn.functional.conv2d(images, filters, torch.arange(5.0), padding=1)
    torch.testing.assert_close(layer(images), expected, rtol=1e-4, atol=1e-4)


def test_the_gradients_of_a_local_layer_are_right():
    layer = LocallyConnected(2, 2, 3).double()
    tensors = [
        draw(*shape, seed=i).double().requires_grad_() for i, shape in enumerate([(2, 2, 3, 3), (18, 18), (18,)])
    ]

    def run(images, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (images,))

    assert torch.autograd.gradcheck(run, tensors)


def test_the_normalisation_within_a_channel_is_the_equation():
    images = 100 * draw(1, 2, 5, 5)
    expected = images.clone()
    for y in range(5):
        for x in range(5):
            square = images[:, :, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            expected[:, :, y, x] /= (1 + 5e-5 / 9 * (square**2).sum((2, 3))) ** 0.75
    torch.testing.assert_close(create("cifar-18pct").same1(images), expected)


def test_a_whole_network_is_its_layers_one_after_the_other():
    model = create("cifar-11pct", classes=4, initialisation="he").eval()
    images = 50 * draw(2, 3, 24, 24)
    units = images
    for name in ORDERS["cifar-11pct"].split():
        units = getattr(model, name)(units.flatten(1) if name == "fc5" else units)
    assert units.shape == (2, 4)
    torch.testing.assert_close(model(images), units, rtol=1e-4, atol=1e-4)


# what else it can do


def test_create_model_makes_them_by_name():
    model = alexnet.create_model("cifar-13pct", classes=4)
    assert isinstance(model, CifarNet)
    assert model(draw(2, 3, 24, 24)).shape == (2, 4)
    assert isinstance(alexnet.create_model("toy", input_size=67), alexnet.AlexNet)


@pytest.mark.parametrize(("name", "units"), [("cifar-18pct", 1024), ("cifar-80sec", 64), ("cifar-11pct", 1152)])
def test_features_are_what_the_last_layer_reads(name, units):
    model = create(name, initialisation="he").eval()
    images = draw(2, 3, model.input_size, model.input_size)
    features = model.features(images)
    assert features.shape == (2, units)
    torch.testing.assert_close(getattr(model, model.order[-1])(features), model(images))


def test_normalisation_and_activation_can_be_changed():
    assert create("cifar-18pct", lrn=False).order == ORDERS["cifar-19pct"].split()
    assert isinstance(create("cifar-18pct", activation="tanh").relu1, torch.nn.Tanh)


def test_pictures_are_stored_as_large_as_cifars():
    assert [stored_size(name, None) for name in CIFAR] == [32] * 5
    assert stored_size("cifar-13pct", 48) == 64


@pytest.mark.parametrize("name", CIFAR)
def test_eight_pixels_are_enough_and_seven_too_few(name):
    assert create(name, input_size=8)(draw(1, 3, 8, 8)).shape == (1, 10)
    with pytest.raises(UsageError, match=r"7 pixels are too few for .*; the smallest input is 8"):
        create(name, input_size=7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 0.5}, "cifar-18pct has no dropout"),
        ({"initialisation": "paper"}, "initialisation paper is for 8 layers with weights, this has 4"),
        ({"classes": 0}, "at least one class"),
    ],
)
def test_what_they_cannot_have_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        create("cifar-18pct", **settings)


def test_an_unknown_variant_is_answered_with_all():
    with pytest.raises(UsageError, match=r"no variant 'cifar'; there are alexnet, .*cifar-80sec, .*cifar-11pct"):
        create("cifar")
