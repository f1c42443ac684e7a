"""Files of other programs, made from their documented layouts: field numbers, pickles, archives."""

import io
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import torch
from torch import nn

CHANNELS, HIDDEN, CLASSES = (8, 16, 12, 16, 8), 32, 5
"""Of the toy rows in the table of variants."""

# protocol buffers


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(number, value):
    """One field: an int as varint, a float as four bytes, anything else with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array, legacy):
    shape = (1,) * (4 - array.ndim) + array.shape
    if legacy:
        head = b"".join(field(i + 1, side) for i, side in enumerate(shape))
    else:
        head = field(7, field(1, b"".join(map(varint, array.shape))))
    return head + field(5, np.ascontiguousarray(array, "<f4").tobytes())


V1 = {
    "layers": 2,
    "name": 4,
    "type": 5,
    "blobs": 6,
    "conv": 10,
    "pool": 19,
    "norm": 18,
    "drop": 12,
    "data": 36,
    "fc": 17,
}
V2 = {"layers": 100, "name": 1, "type": 2, "blobs": 7, "conv": 106, "pool": 121, "norm": 118, "drop": 108, "data": 100}
KINDS = {
    "conv": ("Convolution", 4),
    "relu": ("ReLU", 18),
    "norm": ("LRN", 15),
    "pool": ("Pooling", 17),
    "fc": ("InnerProduct", 14),
    "drop": ("Dropout", 6),
    "data": ("Data", 5),
    "softmax": ("SoftmaxWithLoss", 21),
}
CAFFENET = ("conv relu pool norm", "conv relu pool norm", "conv relu", "conv relu", "conv relu pool")
CAFFE_ALEXNET = ("conv relu norm pool", "conv relu norm pool", "conv relu", "conv relu", "conv relu pool")
HEAD = ("fc relu drop", "fc relu drop", "fc")


def plan(blocks):
    """The layers as (kind, number): [("conv", 1), ("relu", 1), ...]."""
    return [(kind, i) for i, block in enumerate((*blocks, *HEAD), 1) for kind in block.split()]


def random_weights(channels=(96, 256, 384, 384, 256), hidden=4096, classes=1000, side=6, groups=2, seed=0):
    """Weights and biases in Caffe's layout, of a size that keeps the signal."""
    dice = np.random.default_rng(seed)
    weights = []
    for i, (count, kernel) in enumerate(zip(channels, (11, 5, 3, 3, 3), strict=True)):
        inputs = 3 if i == 0 else channels[i - 1] // (groups if i in (1, 3, 4) else 1)
        weights.append((count, inputs, kernel, kernel))
    weights += [(hidden, channels[4] * side * side), (hidden, hidden), (classes, hidden)]
    made = []
    for shape in weights:
        deviation = (2 / np.prod(shape[1:])) ** 0.5 * (0.02 if shape[1] == 3 else 1)
        weight = dice.standard_normal(shape, np.float32) * np.float32(deviation)
        made.append((weight, dice.standard_normal(shape[0], np.float32) * np.float32(0.1)))
    return made


def caffemodel(weights, blocks=CAFFENET, numbers=V2, legacy=False, norm=(5, 1e-4, 0.75, None), data=b"", strip=False):
    """A NetParameter."""
    out, weights = field(1, "a net"), iter(weights)
    is_v1 = numbers is V1

    def layer(kind, name, *fields):
        word = KINDS[kind][1 if is_v1 else 0]
        return field(numbers["layers"], field(numbers["name"], name) + field(numbers["type"], word) + b"".join(fields))

    if data:
        out += layer("data", "data", field(numbers["data"], data))
    for kind, i in plan(blocks):
        name = kind + str(i)
        blobs = (
            [field(numbers["blobs"], blob(part, legacy)) for part in next(weights)] if kind in ("conv", "fc") else []
        )
        message = b""
        if kind == "conv":
            padding, stride, groups = (0, 2, 1, 1, 1)[i - 1], (4, 1, 1, 1, 1)[i - 1], (1, 2, 1, 2, 2)[i - 1]
            message = field(3, padding) + field(6, stride) + field(5, groups)
        elif kind == "pool":
            message = field(1, 0) + field(2, 3) + field(3, 2)
        elif kind == "norm":
            size, alpha, beta, k = norm
            message = field(1, size) + field(2, alpha) + field(3, beta) + (field(5, k) if k is not None else b"")
        elif kind == "drop":
            message = field(1, 0.5)
        if strip and kind not in ("conv", "fc"):
            continue
        out += layer(kind, name, *blobs, *([field(numbers[kind], message)] if message and kind in numbers else []))
    return out if strip else out + layer("softmax", "loss")


def prototxt(blocks, side=227, widths=(96, 256, 384, 384, 256, 4096, 4096, 1000)):
    """The same network as Caffe's text, for OpenCV."""
    text, bottom = [f'input: "data" input_dim: 1 input_dim: 3 input_dim: {side} input_dim: {side}'], "data"
    for kind, i in plan(blocks):
        name, top = kind + str(i), bottom if kind in ("relu", "drop") else kind + str(i)
        settings = {
            "conv": f"convolution_param {{ num_output: {widths[i - 1]} kernel_size: {(11, 5, 3, 3, 3, 0, 0, 0)[i - 1]} "
            f"pad: {(0, 2, 1, 1, 1, 0, 0, 0)[i - 1]} stride: {4 if i == 1 else 1} group: {1 + (i in (2, 4, 5))} }}",
            "pool": "pooling_param { pool: MAX kernel_size: 3 stride: 2 }",
            "norm": "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }",
            "fc": f"inner_product_param {{ num_output: {widths[i - 1]} }}",
        }.get(kind, "")
        text.append(f'layer {{ name: "{name}" type: "{KINDS[kind][0]}" bottom: "{bottom}" top: "{top}" {settings} }}')
        bottom = top
    return "\n".join(text)


# torchvision


class TorchvisionAlexNet(nn.Module):
    """The network as torchvision has it, in the names and order of its modules."""

    def __init__(self, channels=(64, 192, 384, 256, 256), hidden=4096, classes=1000):
        super().__init__()
        a, b, c, d, e = channels
        convolutions = [nn.Conv2d(3, a, 11, 4, 2), nn.Conv2d(a, b, 5, padding=2)]
        convolutions += [nn.Conv2d(i, o, 3, padding=1) for i, o in ((b, c), (c, d), (d, e))]
        one, two, three, four, five = ((layer, nn.ReLU()) for layer in convolutions)
        pools = [nn.MaxPool2d(3, 2) for _ in range(3)]
        self.features = nn.Sequential(*one, pools[0], *two, pools[1], *three, *four, *five, pools[2])
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        head = [nn.Dropout(), nn.Linear(e * 36, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU()]
        self.classifier = nn.Sequential(*head, nn.Linear(hidden, classes))

    def forward(self, images):
        return self.classifier(self.avgpool(self.features(images)).flatten(1))


# cuda-convnet


class _Python2(pickle._Pickler):
    """Pickles as Python 2 did: text as byte strings, which its readers cannot tell from text."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def save_str(self, value):
        data = value.encode("latin-1")
        self.write(b"U" + bytes([len(data)]) + data if len(data) < 256 else b"T" + struct.pack("<I", len(data)) + data)
        self.memoize(value)

    def save_bytes(self, value):
        self.write(b"T" + struct.pack("<I", len(value)) + value)
        self.memoize(value)

    def save_array(self, value):
        """By `_reconstruct` and state, in the module's name of those years."""
        self.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R")
        self.memoize(value)
        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        state = value.tobytes("F" if fortran else "C")
        self.write(b"(K\x01")
        self.save(value.shape)
        self.write(
            b"cnumpy\ndtype\nU\x02" + value.dtype.str[1:].encode() + b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ"
        )
        self.write(b"\xff\xff\xff\xffK\x00tb" + (b"\x88" if fortran else b"\x89"))
        self.save_bytes(state)
        self.write(b"tb")

    dispatch[str], dispatch[bytes], dispatch[np.ndarray] = save_str, save_bytes, save_array


def python2(value):
    """The pickle that Python 2 would have written, protocol 2."""
    buffer = io.BytesIO()
    _Python2(buffer, 2).dump(value)
    return buffer.getvalue()


class OptionsParser:
    """Stands for the class of the module `options` whose object lies beside the network in a checkpoint."""


def options():
    module = types.ModuleType("options")
    module.OptionsParser = OptionsParser
    OptionsParser.__module__ = "options"
    sys.modules["options"] = module
    made = OptionsParser()
    made.options = {"epochs": 90, "deep": [1, 2]}
    return made


def two_towers(channels=(48, 128, 192, 192, 128), hidden=2048, classes=1000, seed=0, fc7=(("a", "b"), ("b", "a"))):
    """Layers of the 2012 source's net 145: name -> dict, every weight with a matrix for each input."""
    dice = np.random.default_rng(seed)
    layers = {"data": {"name": "data", "type": "data", "inputs": []}}

    def matrix(rows, columns, fortran):
        made = dice.standard_normal((rows, columns), np.float32) * np.float32((2 / rows) ** 0.5)
        return np.asfortranarray(made) if fortran else made

    def add(name, kind, inputs, **values):
        inputs_of = [layers[each] for each in inputs]
        layers[name] = {"name": name, "type": kind, "inputs": list(inputs), "inputLayers": inputs_of, **values}

    def conv(name, inputs, channels_in, count, side, stride, padding, **more):
        weights = [matrix(channels_in * side * side, count, False) for _ in inputs]
        biases = dice.standard_normal((count, 1), np.float32)
        lists = {"stride": [stride], "padding": [-padding], "filterSize": [side], "groups": [1] * len(inputs)}
        add(name, "conv", inputs, weights=weights, biases=biases, weightsInc=[w * 0 for w in weights], **lists, **more)

    def fc(name, inputs, sizes, count):
        weights = [matrix(size, count, True) for size in sizes]
        add(name, "fc", inputs, weights=weights, biases=dice.standard_normal((1, count), np.float32))

    def relu(name):
        add(f"{name}_neuron", "neuron", [name], neuron={"type": "relu", "params": {}})

    def norm(name, source):
        add(name, "cmrnorm", [source], size=5, scale=2e-5, pow=0.75, minDiv=2.0)

    def pool(name, source):
        add(name, "pool", [source], sizeX=3, stride=2, start=0, pool="max")

    c1, c2, c3, c4, c5 = channels
    for t in "ab":
        conv(f"conv1{t}", ["data"], 3, c1, 11, 4, 0, imgSize=[224])
        norm(f"rnorm1{t}", f"conv1{t}")
        pool(f"pool1{t}", f"rnorm1{t}")
        relu(f"pool1{t}")
        conv(f"conv2{t}", [f"pool1{t}_neuron"], c1, c2, 5, 1, 2)
        relu(f"conv2{t}")
        norm(f"rnorm2{t}", f"conv2{t}_neuron")
        add(f"cnorm2{t}", "rnorm", [f"rnorm2{t}"], size=5, scale=4e-5, pow=0.75, minDiv=1.0)
        pool(f"pool2{t}", f"cnorm2{t}")
    for t in "ab":
        conv(f"conv3{t}", ["pool2a", "pool2b"], c2, c3, 3, 1, 1)
        relu(f"conv3{t}")
        conv(f"conv4{t}", [f"conv3{t}_neuron"], c3, c4, 3, 1, 1)
        relu(f"conv4{t}")
        conv(f"conv5{t}", [f"conv4{t}_neuron"], c4, c5, 3, 1, 1)
        pool(f"pool3{t}", f"conv5{t}")
        relu(f"pool3{t}")
    for t in "ab":
        fc(f"fc2048{t}", ["pool3a_neuron", "pool3b_neuron"], [c5 * 36] * 2, hidden)
        relu(f"fc2048{t}")
        add(f"hs1{t}", "hs", [f"fc2048{t}_neuron"], keep=0.5)
    for t, order in zip("ab", fc7, strict=True):
        fc(f"fc2048b{t}", [f"hs1{o}" for o in order], [hidden] * 2, hidden)
        relu(f"fc2048b{t}")
        add(f"hs2{t}", "hs", [f"fc2048b{t}_neuron"], keep=0.5)
    fc("fc1000", ["hs2a", "hs2b"], [hidden] * 2, classes)
    add("probs", "softmax", ["fc1000"])
    add("logprob", "cost.logreg", ["probs"])
    return layers


def convnet_checkpoint(layers, as_list=False, zipped=False):
    """A checkpoint: the options' object, the counters, the layers."""
    state = {"epoch": 90, "batchnum": 1, "train_outputs": [([0.5, 1.5], 128)] * 3, "test_outputs": []}
    state["layers"] = list(layers.values()) if as_list else layers
    data = python2({"op": options(), "model_state": state})
    if not zipped:
        return data
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", data)
    return buffer.getvalue()


def run_layers(layers, images):
    """What the layers compute, one by one as cuda-convnet's do: the logits; images (N, 3, 224, 224)."""
    done = {"data": torch.nn.functional.pad(images, (0, 3, 0, 3))}

    def across(x, scale):
        squares = torch.nn.functional.pad(x * x, (0, 0, 0, 0, 2, 2)).unfold(1, 5, 1).sum(-1)
        return x * (2 + scale * squares) ** -0.75

    for name, layer in layers.items():
        if name == "data" or layer["type"].startswith(("softmax", "cost")):
            continue
        inputs = [done[each] for each in layer["inputs"]]
        kind = layer["type"]
        if kind == "conv":
            side, out = layer["filterSize"][0], 0
            for x, w in zip(inputs, layer["weights"], strict=True):
                filters = torch.from_numpy(w.reshape(-1, side, side, w.shape[1]).transpose(3, 0, 1, 2).copy())
                out = out + torch.nn.functional.conv2d(x, filters, None, layer["stride"][0], -layer["padding"][0])
            out = out + torch.from_numpy(layer["biases"]).reshape(1, -1, 1, 1)
        elif kind == "fc":
            out = sum(x.flatten(1) @ torch.from_numpy(w.copy()) for x, w in zip(inputs, layer["weights"], strict=True))
            out = out + torch.from_numpy(layer["biases"])
        elif kind == "neuron":
            out = inputs[0].relu()
        elif kind == "cmrnorm":
            out = across(inputs[0], layer["scale"])
        elif kind == "rnorm":
            squares = torch.nn.functional.avg_pool2d(inputs[0] ** 2, 5, 1, 2) * 25
            out = inputs[0] * (1 + layer["scale"] * squares) ** -0.75
        elif kind == "pool":
            out = torch.nn.functional.max_pool2d(inputs[0], 3, 2)
        else:
            out = inputs[0] * layer["keep"]
        done[name] = out
    return done["fc1000"]
