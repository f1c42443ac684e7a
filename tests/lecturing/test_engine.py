"""What the page computes in Chromium, against the package."""

import base64

import msgspec
import numpy as np
import pytest
import torch

from alexnet.config import Train
from alexnet.data import decode
from alexnet.data.augment import colour_shifts
from alexnet.evaluation.classifier import Classifier
from alexnet.lecturing import network as packing
from alexnet.lecturing.network import layers, tensors
from alexnet.lecturing.site import COVARIANCE
from alexnet.models.create import create
from alexnet.models.lrn import reference
from alexnet.models.variants import CIFAR
from alexnet.pages.kernels import scaled
from alexnet.records import Header, Preprocessing

SIDE = 99
ERROR = 1e-3  # of the norm


def error(found, expected):
    expected = np.asarray(expected).ravel()
    return np.linalg.norm(np.asarray(found).ravel() - expected) / np.linalg.norm(expected)


def made_up(side):
    """A picture, preprocessed: stripes in three directions, (3, S, S)."""
    y, x = np.mgrid[:side, :side] / side
    return np.stack([np.sin(20 * x), np.sin(13 * y), np.sin(15 * (x + y))]).astype(np.float32)


def in_page(page, picture, changes=None, keep=()):
    """Runs the page's network: (probabilities, name -> output)."""
    script = """async ([input, changes, keep]) => {
      const result = await lecture.run(Float32Array.from(input), changes, keep);
      const outputs = Object.entries(result.outputs).map(([name, map]) => [name, Array.from(map.data)]);
      return [Array.from(result.probabilities), Object.fromEntries(outputs)];
    }"""
    return page.evaluate(script, [picture.ravel().tolist(), changes or {}, list(keep)])


def in_package(model, picture, *names):
    with torch.no_grad():
        outputs = model.activations(torch.from_numpy(picture)[None], *names)
    return {name: output[0].numpy() for name, output in outputs.items()}


def test_every_layer_of_the_network_in_the_package_gives_what_the_package_computes(page, classifier):
    picture, order = made_up(SIDE), classifier.model.order
    _, outputs = in_page(page, picture, keep=order)
    expected = in_package(classifier.model, picture, *order)
    assert {name: e for name in order if not (e := error(outputs[name], expected[name])) < ERROR} == {}


NETWORKS = {
    "alexnet": {"input_size": 67},
    "alexnet-as-run": {"input_size": 67},
    "caffenet": {"input_size": 67},
    "one-weird-trick": {"input_size": 67},
    "alexnet-two-tower": {"input_size": 67, "pooling": "2x2", "activation": "tanh"},
    "cifar-18pct": {"dropout": 0.0},
    "cifar-13pct": {"dropout": 0.0},
}


@pytest.fixture
def small(monkeypatch):
    """A function that gives a network of a variant with few units and random weights."""
    from dataclasses import replace

    from alexnet.models.variants import VARIANTS

    def make(variant):
        if variant not in CIFAR:
            monkeypatch.setitem(VARIANTS, variant, replace(VARIANTS[variant], hidden=32))
        model = create(variant, classes=5, initialisation="he", seed=1, **NETWORKS[variant]).eval()
        side = model.input_size
        header = Header(classes=tuple("abcde"), preprocessing=Preprocessing(divide_pixels_by=64.0), network={}, crc32=0)
        mean = np.linspace(0, 255, side * side * 3, dtype=np.float32).reshape(side, side, 3)
        return Classifier(model, mean, torch.float32, header)

    return make


def rounded(weight, coding):
    """A tensor as the page has it."""
    if coding == "float16":
        return weight.half().float()
    rows = weight.reshape(len(weight), -1)
    scale = rows.abs().amax(1, keepdim=True) / 127
    return ((rows / scale).round() * scale).reshape(weight.shape)


@pytest.mark.parametrize("coding", ["float16", "int8"])
@pytest.mark.parametrize("variant", NETWORKS)
def test_every_layer_of_other_networks_gives_what_the_package_computes(page, small, monkeypatch, variant, coding):
    monkeypatch.setattr(packing, "LARGE", 10**9 if coding == "float16" else 0)
    network = small(variant)
    parts, stream = tensors(network)
    for parameter in network.model.parameters():
        if parameter.dim() > 1 and len(parameter.unique()) > 256:  # a few values are kept as they are
            parameter.data = rounded(parameter.data, coding)
    script = """async ([layers, parts, text, input, keep]) => {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const network = {layers, side: Math.sqrt(input.length / 3), tensors: await lecture.engine.unpack(parts, bytes)};
      const {outputs} = lecture.engine.forward(network, Float32Array.from(input), {}, keep);
      return Object.fromEntries(Object.entries(outputs).map(([name, map]) => [name, Array.from(map.data)]));
    }"""
    picture, order = made_up(network.model.input_size), network.model.order
    content = [
        msgspec.to_builtins(layers(network.model)),
        msgspec.to_builtins(parts),
        base64.b64encode(stream).decode(),
    ]
    outputs = page.evaluate(script, [*content, picture.ravel().tolist(), order])
    expected = in_package(network.model, picture, *order)
    assert {name: e for name in order if not (e := error(outputs[name], expected[name])) < ERROR} == {}


CONVENTIONS = {  # what a framework is given for k = 2, a window of 5 channels and alpha = 0.01 in the equation
    "paper": {"k": 2, "size": 5, "alpha": 0.01, "beta": 0.75},
    "cuda-convnet": {"k": 2, "size": 5, "alpha": 0.05, "beta": 0.75},
    "caffe": {"k": 2, "size": 5, "alpha": 0.05, "beta": 0.75},
    "pytorch": {"k": 2, "size": 5, "alpha": 0.05, "beta": 0.75},
    "tensorflow": {"k": 2, "size": 2, "alpha": 0.01, "beta": 0.75},
    "onnx": {"k": 2, "size": 5, "alpha": 0.05, "beta": 0.75},
}


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("towers", [1, 2])
def test_normalisation_by_every_convention_is_the_equation(page, convention, towers):
    maps = torch.linspace(-9, 40, 12 * 4).reshape(1, 12, 2, 2)
    script = """([data, convention, constants, towers]) => {
      const map = {data: Float32Array.from(data), shape: [12, 2, 2]};
      return Array.from(lecture.engine.norm(map, {...lecture.fromConvention(convention, constants), towers}).data);
    }"""
    normalised = page.evaluate(script, [maps.ravel().tolist(), convention, CONVENTIONS[convention], towers])
    expected = torch.cat([reference(part, 5, 0.01, 0.75, 2.0) for part in maps.chunk(towers, 1)], 1)
    assert error(normalised, expected) < 1e-6


@pytest.mark.parametrize(("stride", "expected"), [(2, [20, 30, 112, 37]), (1, [20, 30, 30, 70, 70, 37, 112, 100, 37])])
def test_the_lectures_matrix_is_pooled_as_on_the_slide(page, stride, expected):
    script = f"Array.from(lecture.engine.pool(lecture.matrix, {{kernel: 2, stride: {stride}}}).data)"
    assert page.evaluate(script) == expected


@pytest.mark.parametrize(
    ("layer", "size", "step"),
    [
        ("conv1", 11, 4),
        ("pool1", 19, 8),
        ("conv2", 51, 8),
        ("pool2", 67, 16),
        ("conv3", 99, 16),
        ("conv4", 131, 16),
        ("conv5", 163, 16),
        ("pool5", 195, 32),
    ],
)
def test_receptive_fields_are_those_of_arithmetic(page, layer, size, step):
    field = page.evaluate(f"lecture.receptiveField(lecture.site.layers, '{layer}')")
    assert (field["size"], field["step"]) == (size, step)


def test_a_unit_of_conv1_changes_with_the_pixels_of_its_field_and_with_no_others(page):
    """Row 3, column 5 of conv1 sees rows 12 to 22 and columns 20 to 30."""
    field = page.evaluate("lecture.receptiveField(lecture.site.layers, 'conv1')")
    top, left = field["start"] + 3 * field["step"], field["start"] + 5 * field["step"]
    assert (top, left, field["size"]) == (12, 20, 11)
    plain = made_up(SIDE)
    units = []
    for row, column in ((0, 0), (12, 20), (22, 30), (23, 20), (12, 31)):
        changed = plain.copy()
        changed[:, row, column] += 5
        units.append(np.array(in_page(page, changed, keep=["conv1"])[1]["conv1"]).reshape(96, 23, 23)[:, 3, 5])
    is_other = [not np.array_equal(unit, units[0]) for unit in units]
    assert is_other == [False, True, True, False, False]


def test_the_distances_of_neighbours_are_those_of_the_packages_features(page, classifier):
    script = """async () => {
      const layer = lecture.hidden(), rows = [], pictures = [lecture.picture.rgb, lecture.pixels.drawn(112).data];
      for (const rgb of pictures) {
        const { outputs } = await lecture.run(lecture.pixels.input(rgb), {}, [layer]);
        rows.push(outputs[layer].data);
      }
      return [pictures.map((rgb) => [...rgb]), layer, lecture.distance(rows[0], rows[1])];
    }"""
    pictures, layer, distance = page.evaluate(script)
    first, second = classifier.features(np.array(pictures, np.uint8).reshape(2, 112, 112, 3))
    assert layer == "relu7"
    assert distance == pytest.approx(float(np.linalg.norm(first - second)), rel=1e-3)


def test_a_window_that_is_dragged_passes_every_place_between(page):
    passed = page.evaluate("lecture.passed({top: 3, left: 7}, {top: 1, left: 3})")
    assert passed == ["3,6", "2,5", "2,4", "1,3"]


def test_a_tower_that_is_off_gives_what_zeros_in_its_layers_give(page, classifier):
    picture, model = made_up(SIDE), classifier.model
    probabilities, _ = in_page(page, picture, page.evaluate("({silent: lecture.silentTower('2')})"))

    def silence(layer, inputs, output):
        output[:, output.shape[1] // 2 :] = 0
        return output

    names = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    hooks = [getattr(model, name).register_forward_hook(silence) for name in names]
    try:
        with torch.no_grad():
            expected = model(torch.from_numpy(picture)[None]).softmax(1)[0]
    finally:
        for hook in hooks:
            hook.remove()
    assert error(probabilities, expected) < ERROR


def test_a_toss_of_coins_takes_the_place_of_the_strength_of_a_test(page, classifier):
    picture, model = made_up(SIDE), classifier.model
    mask = [i % 3 == 0 for i in range(4096)]
    masks = {name: [int(bit) for bit in mask] for name in ("drop6", "drop7")}
    probabilities, _ = in_page(page, picture, {"masks": masks})
    coins = torch.tensor(mask, dtype=torch.float32)
    hidden = torch.from_numpy(in_package(model, picture, "relu6")["relu6"])[None] * coins
    with torch.no_grad():
        expected = model.fc8(torch.relu(model.fc7(hidden)) * coins).softmax(1)[0]
    assert error(probabilities, expected) < ERROR


def test_slopes_are_counted_as_in_the_notebook(page):
    sums = np.linspace(-6, 6, 500)
    slopes = page.evaluate("(sums) => lecture.slopes(sums, 1)", sums.tolist())
    tanh = 1 - np.tanh(sums) ** 2
    assert slopes["relu"] == {"silent": 0.5, "mean": 0.5}
    assert slopes["tanh"]["silent"] == pytest.approx(np.mean(tanh < 0.01))
    assert slopes["tanh"]["mean"] == pytest.approx(tanh.mean())


def test_colour_is_shifted_as_in_training(page):
    draws = np.array([0.3, -0.2, 0.1])
    shift = page.evaluate("(draws) => lecture.colourShift(draws)", draws.tolist())
    components = np.array(page.evaluate("lecture.site.components.vectors"))
    eigenvectors = np.linalg.eigh(np.array(COVARIANCE))[1].T
    signs = np.sign((components[::-1] * eigenvectors).sum(1))  # an eigenvector is one with either sign
    settings = Train(colour="lecture", colour_strength=1.0)
    expected, _ = colour_shifts(settings, np.array(COVARIANCE), (draws[::-1] * signs)[None])
    assert shift == pytest.approx(expected[0].tolist(), rel=1e-5)


def test_kernels_are_shown_as_the_report_shows_them(page, classifier):
    script = (
        """() => Array.from(lecture.kernelPictures(lecture.layer('conv1'), lecture.tensors['conv1.weight']).pixels)"""
    )
    expected = scaled(classifier.model.conv1.weight.detach().numpy())
    assert np.abs(np.array(page.evaluate(script)).reshape(96, 11, 11, 3) - expected.astype(int)).max() <= 1


def test_a_gray_square_covers_what_it_should(page, classifier):
    script = """async () => {
      const {rgb} = lecture.picture, covered = lecture.occluded(rgb, 30, 40, 28);
      const {probabilities} = await lecture.run(lecture.pixels.input(covered));
      return [Array.from(rgb), Array.from(probabilities)];
    }"""
    rgb, probabilities = page.evaluate(script)
    picture = np.array(rgb, np.uint8).reshape(1, 112, 112, 3)
    picture[:, 30:58, 40:68] = 128
    assert error(probabilities, classifier.probabilities(picture)[0]) < ERROR


def test_a_photograph_is_read_as_the_package_reads_it_and_its_ten_views_have_the_packages_mean(page, classifier):
    rgb, mean = page.evaluate(
        "async () => [[...lecture.picture.rgb], [...(await lecture.tenViews(lecture.picture.rgb)).mean]]"
    )
    address = page.evaluate("lecture.photographs.coffee")
    expected = decode.load(base64.b64decode(address.split(",")[1]), "coffee.jpg", 112)
    picture = np.array(rgb, np.uint8).reshape(112, 112, 3)
    assert np.abs(picture.astype(int) - expected).max() <= 3  # two decoders of JPEG
    assert error(mean, classifier.probabilities(picture[None], views=10)[0]) < ERROR
    assert error(mean, classifier.probabilities(expected[None], views=10)[0]) < 0.02


@pytest.mark.parametrize(("count", "right", "wrong"), [(1, 0.6, 0.4), (3, 0.6, 0.352), (5, 0.4, 0.68256)])
def test_a_vote_is_wrong_as_often_as_the_binomial_says(page, count, right, wrong):
    assert 1 - page.evaluate(f"lecture.majority({count}, {right})") == pytest.approx(wrong)
