"""Caffe's files: a `.caffemodel` is a NetParameter, a `.binaryproto` a BlobProto.

A NetParameter repeats its layers in the order in which they run, as LayerParameters or, before 2015, as
V1LayerParameters; the two number the same contents differently. A layer that learns carries its blobs: weights
(outputs, inputs / groups, k, k) or (outputs, inputs), and biases, which Caffe's older blobs pad to four sides.

Source: src/caffe/proto/caffe.proto of BVLC/caffe.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.data.imagenet import WORDNET
from alexnet.errors import CheckpointError
from alexnet.foreign import imported, wire
from alexnet.foreign.imported import Dialect, Imported, Outline
from alexnet.foreign.wire import Message
from alexnet.models.variants import LAYERS

_MEAN_COLOUR = (122.67891434, 116.66876762, 104.00698793)  # of Caffe's ilsvrc_2012_mean.npy
DIALECT = Dialect(class_order=WORDNET, mean_colour=_MEAN_COLOUR, is_bgr=True, square="warp")

_CONVOLUTION, _DENSE = "Convolution", "InnerProduct"

_OURS = {_CONVOLUTION: "conv", "ReLU": "relu", "LRN": "norm", "Pooling": "pool", _DENSE: "fc", "Dropout": "drop"}

_V1_TYPES = {
    **{1: "Accuracy", 4: "Convolution", 5: "Data", 6: "Dropout", 9: "HDF5Data", 12: "ImageData", 14: "InnerProduct"},
    **{15: "LRN", 17: "Pooling", 18: "ReLU", 20: "Softmax", 21: "SoftmaxWithLoss", 22: "Split", 24: "WindowData"},
    **{29: "MemoryData", 32: "DummyData", 36: "Silence"},
}
"""V1LayerParameter.LayerType -> the `type` of a LayerParameter."""

_KINDS = {*_V1_TYPES.values(), "Input"}

_CONV1_PADDING = {0: "none", 2: "both"}


class _V2(IntEnum):
    """The fields of a LayerParameter; `LAYERS` is the network's list of them."""

    LAYERS, NAME, TYPE, BLOBS = 100, 1, 2, 7
    CONVOLUTION, DROPOUT, LRN, POOLING, TRANSFORM = 106, 108, 118, 121, 100


class _V1(IntEnum):
    """The same of a V1LayerParameter."""

    LAYERS, NAME, TYPE, BLOBS = 2, 4, 5, 6
    CONVOLUTION, DROPOUT, LRN, POOLING, TRANSFORM = 10, 12, 18, 19, 36


_Fields = type[_V1] | type[_V2]

# The numbers of the other fields, named as in caffe.proto.
_V0_LAYER = 1  # V1LayerParameter; there only in a file of an even older format
_INPUT_PARAM, _INPUT_SHAPE = 143, 1  # LayerParameter, InputParameter
_SIDES, _DATA, _SHAPE, _DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8  # BlobProto
_DIM = 1  # BlobShape
_PAD, _STRIDE = 3, 6  # ConvolutionParameter
_POOL, _KERNEL_SIZE, _POOL_STRIDE = 1, 2, 3  # PoolingParameter; a `_POOL` of 0 takes the maximum
_LOCAL_SIZE, _ALPHA, _BETA, _NORM_REGION, _K = 1, 2, 3, 4, 5  # LRNParameter; a `_NORM_REGION` of 0 is across channels
_DROPOUT_RATIO = 1  # DropoutParameter
_SCALE, _CROP_SIZE, _MEAN_VALUE = 1, 3, 5  # TransformationParameter


@dataclass(frozen=True)
class _Layer:
    name: str
    type: str
    message: Message
    fields: _Fields

    def part(self, number: int) -> Message:
        return self.message.message(number)


def read(name: str, data: memoryview, variant: str | None) -> Imported:
    """Reads a `.caffemodel`; the tensors are views of its bytes."""
    fields, layers = _layers(wire.read(name, data))
    learning = [layer for layer in layers if layer.type in (_CONVOLUTION, _DENSE)]
    imported.check_counts(name, *(sum(layer.type == kind for layer in learning) for kind in (_CONVOLUTION, _DENSE)))
    arrays, mapping = {}, {}
    for ours, layer in zip(LAYERS, learning, strict=True):
        weight, bias = _weights(name, layer)
        arrays[f"{ours}.weight"], arrays[f"{ours}.bias"] = weight, bias
        mapping[ours] = f"{layer.name} {weight.shape}, {layer.type}"
    outline = imported.outline_of_shapes(name, {key: array.shape for key, array in arrays.items()})
    outline = replace(outline, towers=1, conv1_padding=_check_geometry(name, layers))
    if len(layers) > len(learning):  # else only the layers that learn were saved, which says nothing of the order
        outline = _with_order(name, outline, layers)
    arrays["conv1.weight"] = arrays["conv1.weight"][:, ::-1].copy()
    network = Imported(
        dialect=DIALECT,
        format=f"Caffe, {'V1' if fields is _V1 else 'V2'} layers",
        variant=imported.identify(name, outline, variant),
        tensors={key: torch.from_numpy(array) for key, array in arrays.items()},
        mapping=mapping,
        dropout=_dropout(name, layers),
        translated=tuple(_translated(outline)),
    )
    return _with_input(network, layers)


def read_mean(name: str, data: memoryview) -> NDArray[np.float32]:
    """Returns the mean of a `.binaryproto`: RGB (S, S, 3), or one colour (3,), 0..255."""
    return to_rgb(name, _blob(name, wire.read(name, data), "the mean image"))


def to_rgb(name: str, mean: NDArray[np.generic]) -> NDArray[np.float32]:
    """Returns a mean in Caffe's layout, BGR (3, S, S) or (3,), as RGB (S, S, 3) or (3,)."""
    planes = mean.reshape([side for side in mean.shape if side != 1] or [1])
    if planes.ndim not in (1, 3) or planes.shape[0] != 3 or planes.shape[1:2] != planes.shape[2:3]:
        raise CheckpointError(f"{name} holds an array of shape {mean.shape}; a mean is (3, S, S) or (3,)")
    return np.ascontiguousarray(np.moveaxis(planes[::-1], 0, -1), np.float32)


def _layers(net: Message) -> tuple[_Fields, list[_Layer]]:
    generations: tuple[_Fields, ...] = (_V2, _V1)
    for fields in generations:
        if fields.LAYERS in net:
            return fields, [_layer(message, fields) for message in net.messages(fields.LAYERS)]
    raise CheckpointError(f"{net.file.name} holds no layers; expected a .caffemodel with layers in field 100 or 2")


def _layer(message: Message, fields: _Fields) -> _Layer:
    file = message.file.name
    if fields is _V1 and _V0_LAYER in message:
        raise CheckpointError(f"{file} is of Caffe's first format (V0); turn it with Caffe's upgrade_net_proto_binary")
    name = message.text(fields.NAME, "?")
    number = message.fields.get(fields.TYPE, [0])[-1]  # an enumeration in V1, text since
    kind = _V1_TYPES.get(number, f"type {number}") if isinstance(number, int) else message.text(fields.TYPE, "")
    if kind not in _KINDS:
        raise CheckpointError(f"{file} holds a layer {name} of kind {kind}; an AlexNet has none")
    return _Layer(name, kind, message, fields)


def _weights(file: str, layer: _Layer) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    blobs = layer.message.messages(layer.fields.BLOBS)
    if len(blobs) != 2:
        raise CheckpointError(f"{file}: {layer.name} has {len(blobs)} blobs, expected weights and biases")
    weight, bias = (_blob(file, blob, layer.name) for blob in blobs)
    if layer.type == _DENSE and weight.ndim > 2 and set(weight.shape[:-2]) == {1}:
        weight = weight.reshape(weight.shape[-2:])
    return weight, bias.reshape(-1)


def _blob(file: str, blob: Message, name: str) -> NDArray[np.float32]:
    """Returns a blob; float32 as a view of the file."""
    shape = blob.message(_SHAPE).integers(_DIM) if _SHAPE in blob else [blob.integer(side, 1) for side in _SIDES]
    is_double = _DOUBLE_DATA in blob and _DATA not in blob
    values = blob.floats(_DOUBLE_DATA, "<f8").astype("<f4") if is_double else blob.floats(_DATA)
    if math.prod(shape) != values.size or not 1 <= len(shape) <= 8:
        sides = tuple(shape)[:8]
        raise CheckpointError(f"{file} is damaged: {name} has shape {sides} and {values.size:,} values; fetch it again")
    try:
        return values.reshape(shape)  # type: ignore[return-value]
    except ValueError as error:  # a side of 0, and another beyond what any array can have
        raise CheckpointError(f"{file} is damaged: {name} has shape {tuple(shape)}; fetch it again") from error


def _check_geometry(file: str, layers: list[_Layer]) -> str | None:
    """Checks padding, stride and windows where the file states them; returns conv1's padding, or None."""
    for layer in layers:
        if layer.type == "Pooling":
            pooling = layer.part(layer.fields.POOLING)
            method, window = pooling.integer(_POOL, 0), pooling.integer(_KERNEL_SIZE, 0)
            word = "max" if method == 0 else f"by method {method}"
            imported.check_pooling(file, layer.name, word, window, pooling.integer(_POOL_STRIDE, 1))
    convolutions = [layer for layer in layers if layer.type == _CONVOLUTION]
    parameters = [layer.part(layer.fields.CONVOLUTION) for layer in convolutions]
    for number, (layer, convolution) in enumerate(zip(convolutions, parameters, strict=True), 1):
        if convolution.fields:
            stride, padding = convolution.integer(_STRIDE, 1), convolution.integer(_PAD, 0)
            imported.check_convolution(file, layer.name, number, stride, padding)
    if not any(convolution.fields for convolution in parameters):
        return None
    padding = parameters[0].integer(_PAD, 0)
    return _CONV1_PADDING.get(padding, f"{padding} pixels")


def _with_order(file: str, outline: Outline, layers: list[_Layer]) -> Outline:
    """Adds the order of the layers and the constants of normalisation."""
    kinds = " ".join(_OURS[layer.type] for layer in layers if layer.type in _OURS)
    before, *blocks = (kinds.replace("conv", "|conv").replace("fc", "|fc")).split("|")
    blocks = [block.strip() for block in blocks]
    if before or blocks[7] != "fc":
        raise CheckpointError(f"{file} runs as {kinds!r}, which no AlexNet does")
    outline = imported.with_order(file, outline, blocks)
    if "drop" not in blocks[5].split():  # a network saved for use only has no dropout
        outline = replace(outline, head=None)
    return imported.with_normalisation(file, outline, {_constants(file, each) for each in layers if each.type == "LRN"})


def _constants(file: str, layer: _Layer) -> tuple[int, float, float, float]:
    norm = layer.part(layer.fields.LRN)
    size = norm.integer(_LOCAL_SIZE, 5)
    if norm.integer(_NORM_REGION, 0) or size % 2 == 0:
        raise CheckpointError(f"{file}: {layer.name} normalises within channels; expected across channels")
    return size, norm.number(_ALPHA, 1) / size, norm.number(_BETA, 0.75), norm.number(_K, 1)


def _with_input(network: Imported, layers: list[_Layer]) -> Imported:
    """Adds mean, size and division of the input, from the data layer that the network was trained with."""
    for layer in layers:
        transform = layer.part(layer.fields.TRANSFORM)
        colour = transform.floats(_MEAN_VALUE)
        if colour.size in (1, 3):  # one for all channels, or one for each
            network = replace(network, mean=np.broadcast_to(colour[::-1].astype(np.float32), 3))
        if _CROP_SIZE in transform:
            network = replace(network, input_size=transform.integer(_CROP_SIZE, 0) or None)
        if _SCALE in transform:
            network = replace(network, divide_pixels_by=1 / max(transform.number(_SCALE, 1), 1e-9))
        if layer.fields is _V2:  # V1 states its inputs elsewhere
            for shape in layer.part(_INPUT_PARAM).messages(_INPUT_SHAPE):
                network = replace(network, input_size=shape.integer(_DIM, 0) or None)
    return network


def _dropout(file: str, layers: list[_Layer]) -> float:
    layer = next((layer for layer in layers if layer.type == "Dropout"), None)
    rate = layer.part(layer.fields.DROPOUT).number(_DROPOUT_RATIO, 0.5) if layer else 0.5
    if layer and not 0 <= rate < 1:
        raise CheckpointError(f"{file}: {layer.name} has a rate of {rate}, expected at least 0 and below 1")
    return rate


def _translated(outline: Outline) -> Iterable[str]:
    yield "conv1: channels turned from blue, green, red to red, green, blue"
    yield "pictures: warped to a square without regard to their shape, as Caffe's tools prepare them"
    if outline.alpha is not None and outline.size is not None:
        theirs = f"Caffe's alpha of {outline.size * outline.alpha:.4g} is divided by its window of {outline.size}"
        yield f"local response normalisation: {theirs}: {outline.alpha:.4g}"
