"""ONNX: the network layer by layer, under the layers' own names, for any batch.

A node and its result are called as the layer is (`conv1`, `relu1`, ..., `fc8`), weights as in our files
(`conv1.weight`), so that the result of an earlier layer can be cut out by its name. The last node is `probabilities`.

Differs: ONNX's LRN divides by the window, so its alpha is `size` times the paper's; two towers are normalised as two
half pictures. Decomposed, it is a convolution of the squares with a band of ones, which yields k + alpha times the sum
and does not reach over the towers' seam; then a power and a product.
"""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from torch import nn

from alexnet import __version__
from alexnet.exports import int8
from alexnet.exports.format import Engine, Format, Input, Notes
from alexnet.exports.preprocessing import Preprocessing
from alexnet.models.alexnet import PadEnd
from alexnet.models.dropout import Dropout
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm
from alexnet.models.network import Network

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

OPSET, IR_VERSION = 18, 8
"""The oldest with an antialiased Resize; ONNX 1.13 (December 2022), read by every ONNX Runtime from 1.14 on."""

OUTPUT = "probabilities"


def graph(
    model: Network, lrn: str = "native", preprocessing: Preprocessing | None = None, notes: Notes | None = None
) -> "ModelProto":
    """Translates a network.

    Args:
        model: The network.
        lrn: `native`, ONNX's operator; or `decomposed`, for runtimes that lack it.
        preprocessing: Done inside; without it the input is what the network takes.
        notes: Metadata: names and text.

    Returns:
        A model with one input, `images`: float (batch, 3, S, S), or `pictures`: uint8 (batch, height, width, 3) where
        preprocessing is inside. One output, `probabilities`: float (batch, classes).
    """
    from onnx import TensorProto, helper

    if preprocessing is None:
        sides = [model.input_size] * 2
        start = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, *sides])
    else:
        start = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["batch", "height", "width", 3])
    nodes = _Nodes(start.name, model.input_size)
    if preprocessing is not None:
        _preprocess(nodes, preprocessing)
    for name in model.order:
        _layer(nodes, name, getattr(model, name), lrn)
    nodes.add(OUTPUT, "Softmax", axis=1)
    end = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", model.classes])
    whole = helper.make_model(
        helper.make_graph(nodes.nodes, model.variant, [start], [end], nodes.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="alexnet",
        producer_version=__version__,
    )
    helper.set_model_props(whole, dict(notes or {}))
    return whole


class _Nodes:
    """ONNX nodes in a row, each of which takes the result of the last one."""

    def __init__(self, start: str, side: int) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.last = start
        self.side, self.channels = side, 3

    def add(self, name: str, kind: str, *inputs: str, **attributes: object) -> str:
        """Adds a node that takes the last one's result, then constants or results by name; returns the node's name."""
        self.last = self.beside(name, kind, self.last, *inputs, **attributes)
        return self.last

    def beside(self, name: str, kind: str, *inputs: str, **attributes: object) -> str:
        """Adds a node beside the row; returns its name, which is that of its result."""
        from onnx import helper

        node = helper.make_node(kind, list(inputs), [name], name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self.nodes.append(node)
        return name

    def constant(self, name: str, values: ArrayLike, dtype: DTypeLike = np.float32) -> str:
        """Adds a constant; returns its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), name))
        return name

    def parameters(self, name: str, layer: nn.Conv2d | nn.Linear) -> list[str]:
        """Adds weights and biases under their names in our files."""
        return [self.constant(f"{name}.{key}", value.detach().numpy()) for key, value in layer.named_parameters()]


def _layer(nodes: _Nodes, name: str, layer: nn.Module, lrn: str) -> None:
    match layer:
        case nn.Conv2d():
            window = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": [*layer.padding] * 2}
            nodes.add(name, "Conv", *nodes.parameters(name, layer), **window, group=layer.groups)
            nodes.channels = layer.out_channels
        case nn.Linear():
            if name == "fc6":
                nodes.add("flatten", "Flatten", axis=1)
            nodes.add(name, "Gemm", *nodes.parameters(name, layer), transB=1)
        case nn.ReLU() | nn.Tanh():
            nodes.add(name, "Relu" if isinstance(layer, nn.ReLU) else "Tanh")
        case nn.MaxPool2d():
            sides = {"kernel_shape": [layer.kernel_size] * 2, "strides": [layer.stride] * 2}
            nodes.add(name, "MaxPool", **sides, ceil_mode=int(layer.ceil_mode))
        case LocalResponseNorm() if lrn == "native":
            _native_norm(nodes, name, layer)
        case LocalResponseNorm() | SameMapNorm():
            _norm(nodes, name, layer)
        case Dropout():
            if not layer.rescale:
                nodes.add(name, "Mul", nodes.constant(f"{name}.keep", 1 - layer.rate))
        case PadEnd():
            end = -(nodes.side - layer.kernel) % layer.stride
            nodes.add(name, "Pad", nodes.constant(f"{name}.widths", [0] * 6 + [end, end], np.int64))
        case _:
            raise AssertionError(f"no ONNX for {name}, a {type(layer).__name__}")


def band(layer: LocalResponseNorm, channels: int) -> NDArray[np.float32]:
    """Returns the (channels, channels) matrix that turns squares into alpha times their sums over the window."""
    channel = np.arange(channels)
    is_near = abs(channel[:, None] - channel) <= layer.size // 2
    tower = channel // (channels // layer.towers)
    return np.asarray(layer.alpha * (is_near & (tower[:, None] == tower)), np.float32)


def _native_norm(nodes: _Nodes, name: str, layer: LocalResponseNorm) -> None:
    settings = {"size": layer.size, "alpha": layer.alpha * layer.size, "beta": layer.beta, "bias": layer.k}
    if layer.towers == 1:
        nodes.add(name, "LRN", **settings)
        return
    halves = nodes.constant(f"{name}.apart", [-1, nodes.channels // layer.towers, 0, 0], np.int64)
    whole = nodes.constant(f"{name}.together", [-1, nodes.channels, 0, 0], np.int64)
    nodes.add(f"{name}.towers", "Reshape", halves)
    nodes.add(f"{name}.normalised", "LRN", **settings)
    nodes.add(name, "Reshape", whole)


def _norm(nodes: _Nodes, name: str, layer: LocalResponseNorm | SameMapNorm) -> None:
    """Multiplies pixels by (k + alpha times the sums of their squares) to the power of -beta."""
    pixels = nodes.last
    squares = nodes.beside(f"{name}.squares", "Mul", pixels, pixels)
    if isinstance(layer, LocalResponseNorm):
        weight = nodes.constant(f"{name}.weight", band(layer, nodes.channels)[:, :, None, None])
        bias = nodes.constant(f"{name}.bias", np.full(nodes.channels, layer.k))
        sums = nodes.beside(f"{name}.sums", "Conv", squares, weight, bias, kernel_shape=[1, 1])
    else:
        window = {"kernel_shape": [layer.size] * 2, "pads": [layer.size // 2] * 4, "count_include_pad": 1}
        means = nodes.beside(f"{name}.means", "AveragePool", squares, strides=[1, 1], **window)
        alpha = nodes.constant(f"{name}.alpha", layer.alpha * layer.size**2)
        scaled = nodes.beside(f"{name}.scaled", "Mul", means, alpha)
        sums = nodes.beside(f"{name}.sums", "Add", scaled, nodes.constant(f"{name}.k", layer.k))
    scale = nodes.beside(f"{name}.scale", "Pow", sums, nodes.constant(f"{name}.beta", -layer.beta))
    nodes.last = nodes.beside(name, "Mul", pixels, scale)


def _preprocess(nodes: _Nodes, preprocessing: Preprocessing) -> None:
    def integers(name: str, *values: int) -> str:
        return nodes.constant(f"preprocess.{name}", values, np.int64)

    sides = integers("sides", 2, 3)
    nodes.add("preprocess.planes", "Transpose", perm=[0, 3, 1, 2])
    planes = nodes.add("preprocess.float", "Cast", to=1)
    is_centre = preprocessing.square == "centre"
    if is_centre:
        size = nodes.beside("preprocess.size", "Shape", planes, start=2, end=4)
        side = nodes.beside("preprocess.shorter", "ReduceMin", size, keepdims=1)
        margins = nodes.beside("preprocess.margins", "Sub", size, side)
        start = nodes.beside("preprocess.start", "Div", margins, integers("two", 2))
        end = nodes.beside("preprocess.end", "Add", start, side)
        nodes.add("preprocess.square", "Slice", start, end, sides)
    outer = nodes.beside("preprocess.outer", "Shape", nodes.last, start=0, end=2)
    stored = integers("side", *[preprocessing.stored_size] * 2)
    # Sizes of all axes, not the attribute `axes`, which ONNX Runtime 1.32 misreads once it moves the Transpose of an
    # int8 graph.
    sizes = nodes.beside("preprocess.sizes", "Concat", outer, stored, axis=0)
    nodes.add("preprocess.resized", "Resize", "", "", sizes, mode="linear", antialias=int(is_centre))
    nodes.add("preprocess.rounded", "Round" if is_centre else "Floor")  # as Pillow does in either case
    view = preprocessing.view
    corners = integers("from", view.start, view.start), integers("to", view.stop, view.stop)
    nodes.add("preprocess.view", "Slice", *corners, sides)
    mean = preprocessing.mean_of_view.transpose(2, 0, 1)[None]
    nodes.add("preprocess.centred", "Sub", nodes.constant("preprocess.mean", mean))
    nodes.add("preprocess.images", "Div", nodes.constant("preprocess.divisor", preprocessing.divide_pixels_by))


def build(lrn: str, network: Network, preprocessing: Preprocessing | None, notes: Notes) -> bytes:
    """Returns the contents of an `.onnx` file; see `graph`."""
    return bytes(graph(network, lrn, preprocessing, notes).SerializeToString())


def engine(content: bytes) -> Engine:
    """Loads the contents of a file into ONNX Runtime, on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    start = session.get_inputs()[0].name

    def run(images: Input) -> NDArray[np.float32]:
        return np.asarray(session.run([OUTPUT], {start: images})[0])

    return Engine(f"ONNX Runtime {onnxruntime.__version__}", run)


BUILDS = {lrn: partial(build, lrn) for lrn in ("native", "decomposed")}
NEEDS = ("onnx", "onnxruntime")
FORMAT = Format("onnx", ".onnx", BUILDS, engine, NEEDS, opset=OPSET, quantise=int8.calibrate)
