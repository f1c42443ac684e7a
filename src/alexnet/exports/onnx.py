"""ONNX: the network layer by layer, for any batch; and files with weights in one byte, a quarter of the size.

A node and its result have the name of the layer (`conv1`, `relu1`, ..., `fc8`), and weights their name in our files
(`conv1.weight`), so that the result of an earlier layer can be cut out by its name. The last node is `probabilities`.

Differs: ONNX's LRN divides by the window, so its alpha is `size` times the paper's; two towers are normalised as two
half images. Decomposed, normalisation is a convolution of the squares with a band of ones, which yields k + alpha times
the sum and does not reach over the towers' seam; then a power and a product.

8-bit weights have one scale an output channel. `round_weights` needs no pictures: activations stay float32. `calibrate`
is static quantisation: real pictures show how large activations are, and convolutions and products run on integers.
"""

import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from torch import nn

from alexnet import __version__
from alexnet.exports.format import Engine, Format, Input, Notes, PreprocessingSteps
from alexnet.models.alexnet import PadEnd
from alexnet.models.dropout import Dropout
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm
from alexnet.models.network import Network
from alexnet.models.variants import LAYERS

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

OPSET, IR_VERSION = 18, 8
"""The oldest with an antialiased Resize; ONNX 1.13 (December 2022), read by every ONNX Runtime from 1.14 on."""

OUTPUT = "probabilities"


def graph(
    model: Network, lrn: str = "native", preprocessing: PreprocessingSteps | None = None, notes: Notes | None = None
) -> "ModelProto":
    """Returns the network as an ONNX model.

    Its input is `images`, float (batch, 3, S, S), or with preprocessing `pictures`, uint8 (batch, height, width, 3).
    Its output is `probabilities`, float (batch, classes). `lrn` is `native`, which is ONNX's operator, or `decomposed`,
    for runtimes that lack it.
    """
    from onnx import TensorProto, helper

    start = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, *[model.input_size] * 2])
    if preprocessing is not None:
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
    """ONNX nodes in a row, each of which takes the result of the last one; `channels` counts that result's."""

    def __init__(self, start: str, side: int) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.last = start
        self.side, self.channels = side, 3

    def add(self, name: str, kind: str, *inputs: str, **attributes: object) -> str:
        """Adds a node that takes the last one's result and then others by name; returns its name."""
        self.last = self.beside(name, kind, self.last, *inputs, **attributes)
        return self.last

    def beside(self, name: str, kind: str, *inputs: str, **attributes: object) -> str:
        """Adds a node beside the row; returns its name, which is also that of its result."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))  # type: ignore[arg-type]
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


def _preprocess(nodes: _Nodes, preprocessing: PreprocessingSteps) -> None:
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


def build(lrn: str, network: Network, preprocessing: PreprocessingSteps | None, notes: Notes) -> bytes:
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


def calibrate(content: bytes, batches: Iterable[Input]) -> bytes:
    """Returns a file of `build` with 8-bit convolutions and products: symmetric weights, activations with a zero point.

    The batches are inputs of the file, made of real pictures.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    model = onnx.load_from_string(content)
    inputs = ({model.graph.input[0].name: batch} for batch in batches)

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # of a package without types
        def get_next(self) -> dict[str, Input] | None:
            return next(inputs, None)

    prepared = onnx.shape_inference.infer_shapes(model)
    # This is what keeps ONNX Runtime's quantiser from warning of missing shapes.
    onnx.helper.set_model_props(prepared, {"onnx.quant.pre_process": "onnxruntime.quant"})
    with tempfile.TemporaryDirectory(prefix="alexnet-int8-") as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            prepared,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=list(LAYERS),
        )
        small = onnx.load(path)
    small.producer_name, small.producer_version = model.producer_name, model.producer_version
    onnx.helper.set_model_props(small, {entry.key: entry.value for entry in model.metadata_props})
    return bytes(small.SerializeToString())


def round_weights(content: bytes) -> bytes:
    """Returns a file of `build` with 8-bit weights, which are multiplied out again as they are used."""
    import onnx
    from onnx import helper, numpy_helper

    small = onnx.load_from_string(content)
    constants, nodes = small.graph.initializer, []
    for constant in [entry for entry in constants if entry.name in {f"{layer}.weight" for layer in LAYERS}]:
        weight = numpy_helper.to_array(constant)
        scale = np.abs(weight.reshape(len(weight), -1)).max(1).clip(1e-12) / np.float32(127)
        levels = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
        names = [f"{constant.name}.levels", f"{constant.name}.scale"]
        nodes.append(helper.make_node("DequantizeLinear", names, [constant.name], constant.name, axis=0))
        constants.remove(constant)
        constants.extend(map(numpy_helper.from_array, (levels, scale), names))
    nodes += small.graph.node
    del small.graph.node[:]  # a graph's nodes stand in the order in which they run
    small.graph.node.extend(nodes)
    return bytes(small.SerializeToString())


BUILDS = {lrn: partial(build, lrn) for lrn in ("native", "decomposed")}
NEEDS = ("onnx", "onnxruntime")
FORMAT = Format("onnx", ".onnx", BUILDS, engine, NEEDS, opset=OPSET, quantise=calibrate)
