"""Caffe's files: a `.caffemodel` is a NetParameter, a `.binaryproto` a BlobProto.

A NetParameter repeats its layers, in the order in which they run, in field 100 (LayerParameter) or, before 2015, in
field 2 (V1LayerParameter); the two number the same contents differently. A layer that learns carries its blobs:
weights (outputs, inputs / groups, k, k) or (outputs, inputs), and biases, which Caffe's older blobs pad to four sides.

Source: src/caffe/proto/caffe.proto of BVLC/caffe.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.data.imagenet import WORDNET
from alexnet.errors import CheckpointError
from alexnet.foreign.imported import LAYERS, Imported, counts, identify, shapes
from alexnet.foreign.wire import Fields, Wire

ILSVRC_COLOUR = (122.67891434, 116.66876762, 104.00698793)
"""RGB mean of ILSVRC-2012, of Caffe's `ilsvrc_2012_mean.npy`."""


@dataclass(frozen=True)
class _Generation:
    """The field numbers of one generation of layers."""

    layers: int
    name: int
    kind: int
    blobs: int
    convolution: int
    pooling: int
    lrn: int
    dropout: int
    transform: int
    dense: int
    input: int


_V2 = _Generation(100, 1, 2, 7, 106, 121, 118, 108, 100, 117, 143)
_V1 = _Generation(2, 4, 5, 6, 10, 19, 18, 12, 36, 17, -1)

_V1_KINDS = {
    **{1: "Accuracy", 4: "Convolution", 5: "Data", 6: "Dropout", 9: "HDF5Data", 12: "ImageData", 14: "InnerProduct"},
    **{15: "LRN", 17: "Pooling", 18: "ReLU", 20: "Softmax", 21: "SoftmaxWithLoss", 22: "Split", 24: "WindowData"},
    **{29: "MemoryData", 32: "DummyData", 36: "Silence"},
}

_OURS = {
    **{"Convolution": "conv", "ReLU": "relu", "LRN": "norm", "Pooling": "pool", "InnerProduct": "fc"},
    "Dropout": "drop",
}

_WITHOUT_EFFECT = {
    *("Accuracy", "Data", "HDF5Data", "ImageData", "Input", "Softmax", "SoftmaxWithLoss", "Split", "WindowData"),
    *("MemoryData", "DummyData", "Silence"),
}


@dataclass(frozen=True)
class _Layer:
    name: str
    kind: str
    fields: Fields
    generation: _Generation

    def parameters(self, wire: Wire, number: int) -> Fields:
        """Gives the fields of the layer's own message with this number; {} where it has none."""
        values = self.fields.get(number)
        return wire.fields(values[-1]) if values else {}


def read(name: str, data: memoryview, asked: str | None) -> Imported:
    """Reads a `.caffemodel`.

    Args:
        name: What errors call the file.
        data: Its bytes; the tensors are views of them.
        asked: The variant that the user says it is.

    Raises:
        CheckpointError: It is damaged, or no AlexNet.
        UsageError: It does not tell its variant.
    """
    wire = Wire(name)
    generation, layers = _layers(wire, data)
    learned = [layer for layer in layers if layer.kind in ("Convolution", "InnerProduct")]
    counts(name, *(sum(layer.kind == kind for layer in learned) for kind in ("Convolution", "InnerProduct")))
    tensors, mapping = {}, {}
    for ours, layer in zip(LAYERS, learned, strict=True):
        weight, bias = _weights(wire, layer)
        tensors[f"{ours}.weight"], tensors[f"{ours}.bias"] = weight, bias
        mapping[ours] = f"{layer.name} {weight.shape}, {layer.kind}"
    found = {**shapes(name, tensors), "towers": 1, **_structure(wire, layers, len(layers) > len(learned))}
    tensors["conv1.weight"] = tensors["conv1.weight"][:, ::-1].copy()
    row = identify(name, found, asked)
    translated = [
        "conv1: channels turned from blue, green, red to red, green, blue",
        "pictures: warped to a square without regard to their shape, as Caffe's tools prepare them",
    ]
    if "alpha" in found:
        translated.append(
            f"local response normalisation: Caffe's alpha of {found['size'] * found['alpha']:.4g} is divided by its "
            f"window of {found['size']}: {found['alpha']:.4g}"
        )
    return Imported(
        dialect=f"Caffe, {'V1' if generation is _V1 else 'V2'} layers",
        variant=row,
        tensors={key: torch.from_numpy(value) for key, value in tensors.items()},
        mapping=mapping,
        class_order=WORDNET,
        square="warp",
        translated=translated,
        **_data_layer(wire, layers),
        **_dropout(wire, layers),
    )


def read_mean(name: str, data: memoryview) -> NDArray[np.float32]:
    """Reads a `.binaryproto`: RGB (S, S, 3), or one colour (3,), 0..255.

    Raises:
        CheckpointError: It is damaged, or not of three square channels.
    """
    return to_rgb(name, _blob(Wire(name), data, "the mean image"))


def to_rgb(name: str, mean: NDArray[Any]) -> NDArray[np.float32]:
    """Turns a mean in Caffe's layout, BGR (3, S, S) or (3,), into RGB (S, S, 3) or (3,).

    Raises:
        CheckpointError: It has another shape.
    """
    planes = mean.reshape([side for side in mean.shape if side != 1] or [1])
    if planes.ndim not in (1, 3) or planes.shape[0] != 3 or planes.shape[1:2] != planes.shape[2:3]:
        raise CheckpointError(f"{name} holds an array of shape {mean.shape}; a mean is (3, S, S) or (3,)")
    planes = planes[::-1].astype(np.float32)
    return np.ascontiguousarray(planes.transpose(1, 2, 0)) if planes.ndim == 3 else planes.copy()


def _layers(wire: Wire, data: memoryview) -> tuple[_Generation, list[_Layer]]:
    net = wire.fields(data)
    for generation in (_V2, _V1):
        messages = net.get(generation.layers, [])
        if messages:
            return generation, [_layer(wire, wire.fields(message), generation) for message in messages]
    raise CheckpointError(f"{wire.name} holds no layers; expected a .caffemodel with layers in field 100 or 2")


def _layer(wire: Wire, fields: Fields, generation: _Generation) -> _Layer:
    if generation is _V1 and 1 in fields:
        raise CheckpointError(
            f"{wire.name} is of Caffe's first format (V0); turn it with Caffe's own upgrade_net_proto_binary"
        )
    name = wire.text(fields.get(generation.name, [memoryview(b"?")])[-1])
    kind = fields.get(generation.kind, [0])[-1]
    word = _V1_KINDS.get(kind, f"type {kind}") if isinstance(kind, int) else wire.text(kind)
    if word not in _OURS and word not in _WITHOUT_EFFECT:
        raise CheckpointError(f"{wire.name} holds a layer {name} of kind {word}; an AlexNet has none")
    return _Layer(name, word, fields, generation)


def _weights(wire: Wire, layer: _Layer) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    blobs = layer.fields.get(layer.generation.blobs, [])
    if len(blobs) != 2:
        raise CheckpointError(f"{wire.name}: {layer.name} has {len(blobs)} blobs, expected weights and biases")
    weight, bias = (_blob(wire, blob, layer.name) for blob in blobs)
    if layer.kind == "InnerProduct" and weight.ndim > 2 and set(weight.shape[:-2]) == {1}:
        weight = weight.reshape(weight.shape[-2:])
    return weight, bias.reshape(-1)


def _blob(wire: Wire, message: int | memoryview, name: str) -> NDArray[np.float32]:
    """Gives a blob; float32 as a view of the file."""
    fields = wire.fields(message)
    if 7 in fields:
        shape = wire.integers(wire.fields(fields[7][-1]).get(1, []))
    else:
        shape = [side for number in (1, 2, 3, 4) for side in wire.integers(fields.get(number, [1]))[-1:]]
    values = wire.floats(fields.get(5, [])) if 5 in fields else wire.floats(fields.get(8, []), "<f8").astype("<f4")
    if math.prod(shape) != values.size or not 1 <= len(shape) <= 8:
        raise CheckpointError(
            f"{wire.name} is damaged: {name} has shape {tuple(shape)[:8]} and {values.size:,} values; fetch it again"
        )
    try:
        return values.reshape(shape)  # type: ignore[return-value]
    except ValueError as error:  # a side beyond what any array can have, beside a side of 0
        raise CheckpointError(f"{wire.name} is damaged: {name} has shape {tuple(shape)}; fetch it again") from error


def _structure(wire: Wire, layers: list[_Layer], is_whole: bool) -> dict[str, Any]:
    """Gives the order of the layers, their geometry and the constants of normalisation, as attributes of a variant."""
    _check_geometry(wire, layers)
    found: dict[str, Any] = {}
    padding = [_integer(wire, layer, layer.generation.convolution, 3, 0) for layer in layers if layer.kind == _CONV]
    if any(layer.parameters(wire, layer.generation.convolution) for layer in layers):
        found["conv1_padding"] = {0: "none", 2: "both"}.get(padding[0], f"{padding[0]} pixels")
    if not is_whole:
        return found
    kinds = " ".join(_OURS[layer.kind] for layer in layers if layer.kind in _OURS)
    before, *blocks = (kinds.replace("conv", "|conv").replace("fc", "|fc")).split("|")
    blocks = [block.strip() for block in blocks]
    for number in (2, 3):
        if blocks[number] != "conv relu":
            raise CheckpointError(f"{wire.name}: conv{number + 1} stands in {blocks[number]!r}, expected 'conv relu'")
    if before or blocks[5] != blocks[6] or blocks[7] != "fc":
        raise CheckpointError(f"{wire.name} runs as {kinds!r}, which no AlexNet does")
    found |= {"block1": blocks[0], "block2": blocks[1], "block5": blocks[4], "head": blocks[5]}
    if "drop" not in found["head"]:
        del found["head"]  # a network saved for use only
    return found | _normalisation(wire, [layer for layer in layers if layer.kind == "LRN"])


_CONV = "Convolution"


def _check_geometry(wire: Wire, layers: list[_Layer]) -> None:
    """Checks padding, stride and windows where the file states them."""
    convolutions = [layer for layer in layers if layer.kind == _CONV]
    for i, layer in enumerate(convolutions):
        if not layer.parameters(wire, layer.generation.convolution):
            continue
        stride = _integer(wire, layer, layer.generation.convolution, 6, 1)
        padding = _integer(wire, layer, layer.generation.convolution, 3, 0)
        if stride != (4, 1, 1, 1, 1)[i] or (i and padding != (0, 2, 1, 1, 1)[i]):
            raise CheckpointError(
                f"{wire.name}: {layer.name} has stride {stride} and padding {padding}, which no AlexNet has"
            )
    for layer in layers:
        if layer.kind == "Pooling":
            method, window, stride = (_integer(wire, layer, layer.generation.pooling, n, d) for n, d in _POOLING)
            if (method, window, stride) != (0, 3, 2):
                raise CheckpointError(
                    f"{wire.name}: {layer.name} pools windows of {window} at stride {stride} by method {method}; "
                    "expected the maximum (0) of windows of 3 at stride 2"
                )


_POOLING = ((1, 0), (2, 0), (3, 1))


def _normalisation(wire: Wire, layers: list[_Layer]) -> dict[str, Any]:
    constants = set()
    for layer in layers:
        fields = layer.parameters(wire, layer.generation.lrn)
        size = _integer(wire, layer, layer.generation.lrn, 1, 5)
        if _integer(wire, layer, layer.generation.lrn, 4, 0) or size % 2 == 0:
            raise CheckpointError(f"{wire.name}: {layer.name} normalises within channels; expected across channels")
        alpha, beta, k = (_float(wire, fields, number, default) for number, default in ((2, 1), (3, 0.75), (5, 1)))
        constants.add((size, alpha / size, beta, k))
    if len(constants) > 1:
        raise CheckpointError(f"{wire.name} normalises with different constants in different layers: {constants}")
    return dict(zip(("size", "alpha", "beta", "k"), *constants, strict=True)) if constants else {}


def _data_layer(wire: Wire, layers: list[_Layer]) -> dict[str, Any]:
    """Gives mean, size and division of the input, from the data layer it was trained with."""
    known: dict[str, Any] = {"mean": None, "input_size": None, "divide_pixels_by": 1.0}
    for layer in layers:
        fields = layer.parameters(wire, layer.generation.transform)
        colour = wire.floats(fields.get(5, [])) if 5 in fields else np.empty(0)
        if colour.size == 1:  # one for all channels
            colour = np.repeat(colour, 3)
        if colour.size == 3:
            known["mean"] = colour[::-1].astype(np.float32)
        if 3 in fields:
            known["input_size"] = wire.integers(fields[3])[-1]
        if 1 in fields:
            known["divide_pixels_by"] = 1 / max(_float(wire, fields, 1, 1), 1e-9)
        for shape in layer.parameters(wire, layer.generation.input).get(1, []):
            known["input_size"] = [0, *wire.integers(wire.fields(shape).get(1, []))][-1] or None
    return known


def _dropout(wire: Wire, layers: list[_Layer]) -> dict[str, Any]:
    for layer in layers:
        if layer.kind == "Dropout":
            rate = _float(wire, layer.parameters(wire, layer.generation.dropout), 1, 0.5)
            if not 0 <= rate < 1:
                raise CheckpointError(f"{wire.name}: {layer.name} has a rate of {rate}, expected 0 to 1")
            return {"dropout": rate}
    return {}


def _integer(wire: Wire, layer: _Layer, message: int, number: int, default: int) -> int:
    return [default, *wire.integers(layer.parameters(wire, message).get(number, []))][-1]


def _float(wire: Wire, fields: Fields, number: int, default: float) -> float:
    return float([default, *wire.floats(fields.get(number, []))][-1]) if number in fields else float(default)
