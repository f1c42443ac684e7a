"""The networks: the slides' numbers, the published geometry, and forwards written anew."""

import functools
import math

import pytest
import torch
from torch.nn import functional as F

import alexnet
from alexnet.errors import UsageError
from alexnet.models.alexnet import Dropout, PadEnd
from alexnet.models.create import create
from alexnet.models.summary import summarise
from alexnet.models.variants import VARIANTS, stored_size

MATRIX = torch.tensor([[12.0, 20, 30, 0], [8, 12, 2, 0], [34, 70, 37, 4], [112, 100, 25, 12]])[None, None]

TABLE = {
    "alexnet": (62_378_344, 1_135_256_096),
    "alexnet-two-tower": (60_965_224, 724_406_816),
    "alexnet-as-run": (60_965_224, 724_406_816),
    "caffe-alexnet": (60_965_224, 724_406_816),
    "caffenet": (60_965_224, 724_406_816),
    "one-weird-trick": (61_100_840, 714_188_480),
    "alexnet-one-tower": (59_798_312, 391_514_384),
}

SMALLEST = {
    "alexnet": (67, 59),
    "alexnet-two-tower": (67, 59),
    "alexnet-as-run": (64, 56),
    "alexnet-one-tower": (64, 56),
    "caffe-alexnet": (67, 59),
    "caffenet": (67, 59),
    "one-weird-trick": (63, 55),
}

MIDDLE = "conv3 relu3 conv4 relu4"
HEAD = "fc6 relu6 drop6 fc7 relu7 drop7 fc8"
PAPER = f"conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 {MIDDLE} conv5 relu5 pool5 {HEAD}"
AS_RUN = f"pad1 conv1 norm1 pool1 relu1 conv2 relu2 norm2 same2 pool2 {MIDDLE} conv5 pool5 relu5 {HEAD}"
ORDERS = {
    "alexnet": PAPER,
    "alexnet-two-tower": PAPER,
    "alexnet-as-run": AS_RUN,
    "alexnet-one-tower": AS_RUN,
    "caffe-alexnet": PAPER,
    "caffenet": f"conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2 {MIDDLE} conv5 relu5 pool5 {HEAD}",
    "one-weird-trick": f"conv1 relu1 pool1 conv2 relu2 pool2 {MIDDLE} conv5 relu5 pool5 "
    "drop6 fc6 relu6 drop7 fc7 relu7 fc8",
}

PUBLISHED = sorted(TABLE)


@functools.cache
def blueprint(name="alexnet", **settings):
    """A network without weights: shapes only."""
    with torch.device("meta"):
        return create(name, initialisation="none", **settings)


@functools.cache
def rows(name="alexnet", **settings):
    return {row.name: row for row in summarise(blueprint(name, **settings))}


@functools.cache
def small(name="alexnet", size=67, seed=1, **settings):
    """A network of the real widths with weights of which every bias counts, in evaluation mode; only to be read."""
    model = create(name, classes=7, input_size=size, initialisation="he", seed=seed, **settings)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, 0, 0.3, generator=torch.Generator().manual_seed(len(parameter)))
    return model.eval()


def draw(count, size, seed=0):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 3


def test_the_table_of_this_file_holds_every_variant():
    assert sorted(set(VARIANTS) - {"toy"}) == PUBLISHED == sorted(ORDERS) == sorted(SMALLEST)


# the slides


def test_the_lectures_pooling_without_overlap():
    pool = blueprint(pooling="2x2").pool1
    assert pool(MATRIX).tolist() == [[[[20, 30], [112, 37]]]]


def test_the_lectures_pooling_with_overlap():
    pool = type(blueprint().pool1)(2, 1)
    assert pool(MATRIX).tolist() == [[[[20, 30, 30], [70, 70, 37], [112, 100, 37]]]]


def test_the_papers_pooling_overlaps():
    """Windows of 3 at stride 2: the pixel in the middle is the maximum of all four."""
    peak = torch.zeros(1, 1, 5, 5)
    peak[0, 0, 2, 2] = 1
    assert blueprint().pool1(peak).tolist() == [[[[1, 1], [1, 1]]]]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters_and_multiply_adds(name):
    table = rows(name)
    assert sum(row.parameters for row in table.values()) == TABLE[name][0]
    assert sum(row.macs for row in table.values()) == TABLE[name][1]
    assert sum(p.numel() for p in blueprint(name).parameters()) == TABLE[name][0]


def test_the_lectures_table_layer_by_layer():
    by_hand = {
        "conv1": (34_944, 105_415_200),
        "conv2": (614_656, 447_897_600),
        "conv3": (885_120, 149_520_384),
        "conv4": (1_327_488, 224_280_576),
        "conv5": (884_992, 149_520_384),
        "fc6": (37_752_832, 37_748_736),
        "fc7": (16_781_312, 16_777_216),
        "fc8": (4_097_000, 4_096_000),
    }
    assert {name: (row.parameters, row.macs) for name, row in rows().items() if row.parameters} == by_hand


def test_the_two_towers_halve_three_layers():
    found = rows("alexnet-two-tower")
    assert [found[name].parameters for name in ("conv2", "conv4", "conv5")] == [307_456, 663_936, 442_624]


@pytest.mark.parametrize("name", ["alexnet-two-tower", "alexnet-as-run"])
def test_the_units_of_the_papers_figure(name):
    table = rows(name)
    units = [math.prod(table[layer].output_shape) for layer in ("conv1", "conv2", "conv3", "conv4", "conv5")]
    assert units == [290_400, 186_624, 64_896, 64_896, 43_264]
    assert [table[layer].output_shape for layer in ("fc6", "fc7", "fc8")] == [(4096,), (4096,), (1000,)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_variant_goes_55_27_13_6(name):
    table = rows(name)
    assert [table[layer].output_shape[1] for layer in ("conv1", "pool1", "pool2", "pool5")] == [55, 27, 13, 6]


@pytest.mark.parametrize("name", PUBLISHED)
def test_layers_come_in_the_published_order(name):
    assert blueprint(name).order == ORDERS[name].split()


def test_published_constants_of_the_normalisation():
    """k and the factor of the plain sum of squares, as in the facts' table."""
    found = {name: blueprint(name).norm1 for name in PUBLISHED if name != "one-weird-trick"}
    assert {name: (norm.k, norm.alpha, norm.beta, norm.size, norm.towers) for name, norm in found.items()} == {
        "alexnet": (2, 1e-4, 0.75, 5, 1),
        "alexnet-two-tower": (2, 1e-4, 0.75, 5, 2),
        "alexnet-as-run": (2, 2e-5, 0.75, 5, 2),
        "alexnet-one-tower": (2, 2e-5, 0.75, 5, 1),
        "caffe-alexnet": (1, 2e-5, 0.75, 5, 1),
        "caffenet": (1, 2e-5, 0.75, 5, 1),
    }


# forwards written anew


def convolve(model, name, images, tower, padding=0, stride=1):
    """One tower's half of a convolution's filters, applied to `images`."""
    layer = getattr(model, name)
    half = len(layer.weight) // 2
    mine = slice(tower * half, (tower + 1) * half)
    return F.conv2d(images, layer.weight[mine], layer.bias[mine], stride, padding)


def fully_connect(model, name, units, tower):
    layer = getattr(model, name)
    half = len(layer.weight) // 2
    mine = slice(tower * half, (tower + 1) * half)
    return F.linear(units, layer.weight[mine], layer.bias[mine])


def pooled(images):
    return F.max_pool2d(images, 3, 2)


def head(model, fives):
    """fc6 .. fc8 of two towers at test time: each half reads both, dropout is times one half."""
    units = fives
    for name in ("fc6", "fc7"):
        both = torch.cat([half.flatten(1) for half in units], 1)
        units = [fully_connect(model, name, both, tower).relu() * 0.5 for tower in (0, 1)]
    return F.linear(torch.cat(units, 1), model.fc8.weight, model.fc8.bias)


def test_two_towers_are_two_networks_that_meet_four_times():
    model, images = small("alexnet-two-tower", 99), draw(2, 99)
    towers = []
    for t in (0, 1):
        one = convolve(model, "conv1", images, t, stride=4).relu()
        one = pooled(F.local_response_norm(one, 5, 5e-4, 0.75, 2))
        two = convolve(model, "conv2", one, t, padding=2).relu()
        towers.append(pooled(F.local_response_norm(two, 5, 5e-4, 0.75, 2)))
    three = [convolve(model, "conv3", torch.cat(towers, 1), t, padding=1).relu() for t in (0, 1)]
    four = [convolve(model, "conv4", three[t], t, padding=1).relu() for t in (0, 1)]
    five = [pooled(convolve(model, "conv5", four[t], t, padding=1).relu()) for t in (0, 1)]
    torch.testing.assert_close(model(images), head(model, five), rtol=1e-4, atol=1e-5)


def test_the_network_as_run_in_2012():
    """Normalisation before the ReLU, pooling before it too, a second norm over squares of positions, padding at the
    end.
    """
    model, images = small("alexnet-as-run", 98), draw(2, 98)
    padded = F.pad(images, (0, 1, 0, 1))
    towers = []
    for t in (0, 1):
        one = convolve(model, "conv1", padded, t, stride=4)
        one = pooled(F.local_response_norm(one, 5, 1e-4, 0.75, 2)).relu()
        two = F.local_response_norm(convolve(model, "conv2", one, t, padding=2).relu(), 5, 1e-4, 0.75, 2)
        squares = F.conv2d((two**2).flatten(0, 1)[:, None], torch.ones(1, 1, 5, 5), padding=2).view_as(two)
        towers.append(pooled(two / (1 + 0.001 / 25 * squares) ** 0.75))
    three = [convolve(model, "conv3", torch.cat(towers, 1), t, padding=1).relu() for t in (0, 1)]
    four = [convolve(model, "conv4", three[t], t, padding=1).relu() for t in (0, 1)]
    five = [pooled(convolve(model, "conv5", four[t], t, padding=1)).relu() for t in (0, 1)]
    torch.testing.assert_close(model(images), head(model, five), rtol=1e-4, atol=1e-5)


def test_an_input_of_224_gets_three_zeros_at_the_bottom_and_right():
    images = draw(1, 224)
    padded = PadEnd(11, 4)(images)
    assert torch.equal(padded, F.pad(images, (0, 3, 0, 3)))
    assert PadEnd(11, 4)(draw(1, 227)).shape[-1] == 227
    assert blueprint("alexnet-as-run").pad1.kernel == 11
    assert F.conv2d(padded, torch.zeros(1, 3, 11, 11), stride=4).shape[-1] == 55


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", ["alexnet", "alexnet-as-run", "caffenet", "one-weird-trick"])
def test_calling_the_layers_one_by_one_is_the_network(name, mode):
    """The forward joins a ReLU and the norm after it; the layers by themselves give the same."""
    model = small(name, 67)
    model.train(mode == "train")
    for layer in model.dropouts():
        layer.seed = 5
    images = draw(2, 67)
    one_by_one = images
    for layer in model.order:
        if "fc6" in layer or (layer == "drop6" and name == "one-weird-trick"):
            one_by_one = one_by_one.flatten(1)
        one_by_one = getattr(model, layer)(one_by_one)
    together = model(images)
    model.eval()
    torch.testing.assert_close(together, one_by_one, rtol=1e-5, atol=1e-6)


# taps


def test_a_tapped_layer_is_untouched_by_later_ones():
    model, images = small(), draw(2, 67)
    taken = model.activations(images, *model.order)
    torch.testing.assert_close(taken["conv1"], F.conv2d(images, model.conv1.weight, model.conv1.bias, 4))
    for before, after in [
        ("conv1", "relu1"),
        ("conv2", "relu2"),
        ("conv5", "relu5"),
        ("fc6", "relu6"),
        ("fc7", "relu7"),
    ]:
        assert (taken[before] < 0).any()
        assert torch.equal(taken[after], taken[before].relu())
    torch.testing.assert_close(taken["fc8"], model(images), rtol=1e-5, atol=1e-5)


def test_gradients_reach_a_tapped_layer():
    model, images = small(), draw(2, 67)
    taken = model.activations(images, "conv1", "fc7", "fc8")
    gradients = torch.autograd.grad(taken["fc8"].sum(), [taken["conv1"], taken["fc7"]])
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_features_are_fc7_after_its_relu():
    model, images = small(), draw(2, 67)
    features = model.features(images)
    assert features.shape == (2, 4096)
    torch.testing.assert_close(features, model.activations(images, "relu7")["relu7"])
    torch.testing.assert_close(features, model.activations(images, "fc7")["fc7"].relu())


def test_layers_behind_the_last_that_is_asked_for_are_not_called():
    model, called = small(), []
    for name in model.order:
        getattr(model, name).register_forward_hook(lambda *_, name=name: called.append(name))
    model.activations(draw(1, 67), "conv1", "pool1")
    assert called == ["conv1", "relu1", "norm1", "pool1"]
    assert model.activations(draw(1, 67)) == {}


def test_an_unknown_layer_is_named():
    with pytest.raises(UsageError, match="no layer 'conv6'; there are conv1, relu1"):
        small().activations(draw(1, 67), "conv1", "conv6")


# inputs


@pytest.mark.parametrize("pooling", ["overlapping", "2x2"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_smallest_input_is_stated_and_works(name, pooling):
    smallest = SMALLEST[name][pooling == "2x2"]
    assert rows(name, input_size=smallest, pooling=pooling)["pool5"].output_shape[1:] == (1, 1)
    with pytest.raises(UsageError, match=rf"the smallest (input )?is {smallest}$"):
        create(name, input_size=smallest - 1, pooling=pooling)
    with pytest.raises(UsageError, match=rf"the smallest (input )?is {smallest}$"):
        create(name, input_size=1, pooling=pooling)


@pytest.mark.parametrize("shape", [(1, 3, 68, 68), (1, 1, 67, 67), (1, 3, 67, 66), (3, 67, 67)])
def test_another_shape_is_refused(shape):
    for function in (small(), small().features, lambda images: small().activations(images, "conv1")):
        with pytest.raises(UsageError, match=r"takes images of shape \(N, 3, 67, 67\), got \("):
            function(torch.zeros(shape))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": "alexnett"}, "no variant 'alexnett'; there are alexnet"),
        ({"classes": 0}, "at least one class, got 0"),
        ({"activation": "gelu"}, "activation must be one of relu, tanh, got 'gelu'"),
        ({"pooling": "3x3"}, "pooling must be one of overlapping, 2x2, got '3x3'"),
        ({"dropout": 1.0}, "got 1.0"),
        ({"initialisation": "xavier"}, "no initialisation 'xavier'; there are paper"),
        ({"input_size": -5}, "input_size must lie between 1 and 4096, got -5$"),
    ],
)
def test_a_wrong_wish_is_named(wrong, told):
    with pytest.raises(UsageError, match=told):
        create(**{"input_size": 67, **wrong})


def test_stored_pictures_are_as_much_larger_as_the_papers():
    assert stored_size("alexnet", None) == stored_size("alexnet", 227) == 256
    assert stored_size("alexnet-as-run", None) == stored_size("one-weird-trick", 224) == 256
    assert stored_size("alexnet", 131) == round(131 / 227 * 256)


# switches


def test_net_147_pools_without_overlap():
    table = rows("alexnet-as-run", pooling="2x2")
    sides = [table[name].output_shape[1] for name in ("pool1", "conv2", "pool2", "conv4", "conv5", "pool5")]
    assert sides == [28, 26, 13, 13, 11, 6]
    assert sum(row.parameters for row in table.values()) == 60_965_224


def test_tanh_takes_the_place_of_every_relu():
    model, images = small(activation="tanh"), draw(2, 67)
    taken = model.activations(images, *model.order)
    for number in "1234567":
        before = next(name for name in model.order if name.endswith(number) and name[:2] in ("co", "fc"))
        torch.testing.assert_close(taken["relu" + number], taken[before].tanh())
    torch.testing.assert_close(model(images), taken["fc8"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["alexnet", "alexnet-as-run"])
def test_without_normalisation(name):
    assert blueprint(name, lrn=False).order == [n for n in ORDERS[name].split() if n[:4] not in ("norm", "same")]


def test_without_dropout():
    model = small(dropout=0.0)
    assert not list(model.dropouts())
    assert model.order == [name for name in PAPER.split() if not name.startswith("drop")]
    trained = model.train()(draw(2, 67))
    assert torch.equal(model.eval()(draw(2, 67)), trained)


def test_half_the_width_is_a_variant():
    half, whole = blueprint("alexnet-one-tower"), blueprint("alexnet-as-run")
    for name in ("conv1", "conv2", "conv3", "conv4"):
        assert 2 * getattr(half, name).out_channels == getattr(whole, name).out_channels


# dropout


def test_the_papers_dropout_silences_in_training_and_halves_at_the_test():
    units = torch.rand(200, 300) + 1
    layer = Dropout(0.25, rescale=False)
    kept = layer(units) / units
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert kept.mean().item() == pytest.approx(0.75, abs=0.01)
    assert torch.equal(layer.eval()(units), units * 0.75)


def test_caffes_dropout_rescales_in_training_and_does_nothing_at_the_test():
    units = torch.rand(200, 300) + 1
    layer = Dropout(0.25, rescale=True)
    kept = layer(units) / units
    torch.testing.assert_close(kept, (kept > 0) / 0.75)
    assert kept.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(layer.eval()(units), units)


def test_the_seed_alone_decides_the_mask():
    units, layer = torch.ones(64, 64), Dropout(0.5, rescale=False)

    def masked(seed):
        torch.rand(7)  # what else is drawn does not matter
        layer.seed = seed
        return layer(units)

    assert torch.equal(masked(1), masked(1))
    assert 0.4 < (masked(1) == masked(2)).float().mean() < 0.6


@pytest.mark.parametrize(("name", "rescales"), [("alexnet", False), ("alexnet-as-run", False), ("caffenet", True)])
def test_each_variant_has_its_authors_dropout(name, rescales):
    assert [(layer.rate, layer.rescale) for layer in blueprint(name).dropouts()] == [(0.5, rescales)] * 2


# the python side


def test_create_model_is_the_class_under_the_name_of_the_command():
    model = alexnet.create_model("toy", classes=4, input_size=67)
    assert isinstance(model, alexnet.AlexNet)
    assert model(draw(2, 67)).shape == (2, 4)


def test_the_exported_program_gives_the_same_numbers():
    model = alexnet.create_model("toy", classes=4, input_size=67, initialisation="he").eval()
    images = draw(2, 67)
    program = torch.export.export(model, (images,))
    torch.testing.assert_close(program.module()(images), model(images), rtol=1e-5, atol=1e-6)
    assert program.module()(images).std() > 1e-3


def test_summarising_leaves_the_network_as_it_was():
    model = alexnet.create_model("toy", classes=4, input_size=67).train()
    table = summarise(model)
    assert model.training
    assert [row.name for row in table] == model.order
