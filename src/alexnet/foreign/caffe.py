"""Caffe's files: a `.caffemodel` is a NetParameter, a `.binaryproto` a BlobProto.

A NetParameter repeats its layers in the order in which they run, as LayerParameters or, before 2015, as
V1LayerParameters; the two number the same contents differently. A layer that learns carries its blobs: weights
(outputs, inputs / groups, k, k) or (outputs, inputs), and biases, which Caffe's older blobs pad to four sides.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.data.imagenet import WORDNET
from alexnet.errors import CheckpointError
from alexnet.foreign import caffe_proto as proto
from alexnet.foreign import wire
from alexnet.foreign.caffe_proto import BlobProto, LayerParameter, V1LayerParameter
from alexnet.foreign.imported import Dialect, Imported, Outline, check_counts, identify, outline_of_shapes
from alexnet.foreign.wire import Message
from alexnet.models.variants import LAYERS

DIALECT = Dialect(
    name="Caffe",
    class_order=WORDNET,
    mean_colour=(122.67891434, 116.66876762, 104.00698793),  # of Caffe's ilsvrc_2012_mean.npy
    is_bgr=True,
    square="warp",
)

_CONVOLUTION, _DENSE = "Convolution", "InnerProduct"

_OURS = {_CONVOLUTION: "conv", "ReLU": "relu", "LRN": "norm", "Pooling": "pool", _DENSE: "fc", "Dropout": "drop"}

_WITHOUT_EFFECT = {*proto.V1_LAYER_TYPES.values(), "Input"} - _OURS.keys()

_Fields = type[LayerParameter] | type[V1LayerParameter]

_CONV1_PADDING = {0: "none", 2: "both"}


@dataclass(frozen=True)
class _Layer:
    name: str
    type: str
    message: Message
    fields: _Fields


@dataclass(frozen=True)
class _Input:
    mean: NDArray[np.float32] | None = None
    size: int | None = None
    divide_pixels_by: float = 1.0


def read(name: str, data: memoryview, variant: str | None) -> Imported:
    """Reads a `.caffemodel`.

    Args:
        name: What errors call the file.
        data: Its bytes; the tensors are views of them.
        variant: The variant that the user names, or None.

    Raises:
        CheckpointError: The file is damaged, or holds no AlexNet.
        UsageError: The file does not tell its variant.
    """
    fields, layers = _layers(wire.read(name, data))
    learning = [layer for layer in layers if layer.type in (_CONVOLUTION, _DENSE)]
    check_counts(name, *(sum(layer.type == kind for layer in learning) for kind in (_CONVOLUTION, _DENSE)))
    arrays, mapping = {}, {}
    for ours, layer in zip(LAYERS, learning, strict=True):
        weight, bias = _weights(name, layer)
        arrays[f"{ours}.weight"], arrays[f"{ours}.bias"] = weight, bias
        mapping[ours] = f"{layer.name} {weight.shape}, {layer.type}"
    outline = replace(
        outline_of_shapes(name, {key: array.shape for key, array in arrays.items()}),
        towers=1,
        conv1_padding=_check_geometry(name, layers),
    )
    if len(layers) > len(learning):  # else only what learns was kept, which says nothing of the order
        outline = _with_order(name, outline, layers)
    arrays["conv1.weight"] = arrays["conv1.weight"][:, ::-1].copy()
    picture = _input(layers)
    return Imported(
        dialect=DIALECT,
        format=f"Caffe, {'V1' if fields is V1LayerParameter else 'V2'} layers",
        variant=identify(name, outline, variant),
        tensors={key: torch.from_numpy(array) for key, array in arrays.items()},
        mapping=mapping,
        mean=picture.mean,
        input_size=picture.size,
        divide_pixels_by=picture.divide_pixels_by,
        dropout=_dropout(name, layers),
        translated=tuple(_translated(outline)),
    )


def read_mean(name: str, data: memoryview) -> NDArray[np.float32]:
    """Returns the mean of a `.binaryproto`: RGB (S, S, 3), or one colour (3,), 0..255.

    Raises:
        CheckpointError: The file is damaged, or the mean has not three square channels.
    """
    return to_rgb(name, _blob(name, wire.read(name, data), "the mean image"))


def to_rgb(name: str, mean: NDArray[np.generic]) -> NDArray[np.float32]:
    """Turns a mean in Caffe's layout, BGR (3, S, S) or (3,), into RGB (S, S, 3) or (3,).

    Raises:
        CheckpointError: The mean has another shape.
    """
    planes = mean.reshape([side for side in mean.shape if side != 1] or [1])
    if planes.ndim not in (1, 3) or planes.shape[0] != 3 or planes.shape[1:2] != planes.shape[2:3]:
        raise CheckpointError(f"{name} holds an array of shape {mean.shape}; a mean is (3, S, S) or (3,)")
    rgb = planes[::-1].astype(np.float32)
    return np.ascontiguousarray(rgb.transpose(1, 2, 0)) if rgb.ndim == 3 else rgb


def _layers(net: Message) -> tuple[_Fields, list[_Layer]]:
    generations: list[tuple[int, _Fields]] = [
        (proto.NetParameter.LAYER, LayerParameter),
        (proto.NetParameter.LAYERS, V1LayerParameter),
    ]
    for number, fields in generations:
        if number in net:
            return fields, [_layer(message, fields) for message in net.messages(number)]
    raise CheckpointError(f"{net.file.name} holds no layers; expected a .caffemodel with layers in field 100 or 2")


def _layer(message: Message, fields: _Fields) -> _Layer:
    file = message.file.name
    if fields is V1LayerParameter and V1LayerParameter.LAYER in message:
        raise CheckpointError(
            f"{file} is of Caffe's first format (V0); turn it with Caffe's own upgrade_net_proto_binary"
        )
    name = message.text(fields.NAME, "?")
    number = message.fields.get(fields.TYPE, [0])[-1]  # an enumeration in V1, text since
    if isinstance(number, int):
        kind = proto.V1_LAYER_TYPES.get(number, f"type {number}")
    else:
        kind = message.text(fields.TYPE, "")
    if kind not in _OURS and kind not in _WITHOUT_EFFECT:
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
    if BlobProto.SHAPE in blob:
        shape = blob.message(BlobProto.SHAPE).integers(proto.BlobShape.DIM)
    else:
        sides = (BlobProto.NUM, BlobProto.CHANNELS, BlobProto.HEIGHT, BlobProto.WIDTH)
        shape = [blob.integer(side, 1) for side in sides]
    is_double = BlobProto.DOUBLE_DATA in blob and BlobProto.DATA not in blob
    values = blob.floats(BlobProto.DOUBLE_DATA, "<f8").astype("<f4") if is_double else blob.floats(BlobProto.DATA)
    if math.prod(shape) != values.size or not 1 <= len(shape) <= 8:
        raise CheckpointError(
            f"{file} is damaged: {name} has shape {tuple(shape)[:8]} and {values.size:,} values; fetch it again"
        )
    try:
        return values.reshape(shape)  # type: ignore[return-value]
    except ValueError as error:  # a side of 0, and another beyond what any array can have
        raise CheckpointError(f"{file} is damaged: {name} has shape {tuple(shape)}; fetch it again") from error


def _check_geometry(file: str, layers: list[_Layer]) -> str | None:
    """Checks padding, stride and windows where the file states them; returns conv1's padding, or None."""
    convolutions = [layer for layer in layers if layer.type == _CONVOLUTION]
    parameters = [layer.message.message(layer.fields.CONVOLUTION_PARAM) for layer in convolutions]
    for i, (layer, convolution) in enumerate(zip(convolutions, parameters, strict=True)):
        if not convolution.fields:
            continue
        stride = convolution.integer(proto.ConvolutionParameter.STRIDE, 1)
        padding = convolution.integer(proto.ConvolutionParameter.PAD, 0)
        if stride != (4, 1, 1, 1, 1)[i] or (i and padding != (0, 2, 1, 1, 1)[i]):
            raise CheckpointError(
                f"{file}: {layer.name} has stride {stride} and padding {padding}, which no AlexNet has"
            )
    for layer in layers:
        if layer.type == "Pooling":
            pooling = layer.message.message(layer.fields.POOLING_PARAM)
            method = pooling.integer(proto.PoolingParameter.POOL, 0)
            window = pooling.integer(proto.PoolingParameter.KERNEL_SIZE, 0)
            stride = pooling.integer(proto.PoolingParameter.STRIDE, 1)
            if (method, window, stride) != (0, 3, 2):
                raise CheckpointError(
                    f"{file}: {layer.name} pools windows of {window} at stride {stride} by method {method}; "
                    "expected the maximum (0) of windows of 3 at stride 2"
                )
    if not any(convolution.fields for convolution in parameters):
        return None
    padding = parameters[0].integer(proto.ConvolutionParameter.PAD, 0)
    return _CONV1_PADDING.get(padding, f"{padding} pixels")


def _with_order(file: str, outline: Outline, layers: list[_Layer]) -> Outline:
    """Adds the order of the layers and the constants of normalisation."""
    kinds = " ".join(_OURS[layer.type] for layer in layers if layer.type in _OURS)
    before, *blocks = (kinds.replace("conv", "|conv").replace("fc", "|fc")).split("|")
    blocks = [block.strip() for block in blocks]
    for number in (2, 3):
        if blocks[number] != "conv relu":
            raise CheckpointError(f"{file}: conv{number + 1} stands in {blocks[number]!r}, expected 'conv relu'")
    if before or blocks[5] != blocks[6] or blocks[7] != "fc":
        raise CheckpointError(f"{file} runs as {kinds!r}, which no AlexNet does")
    head = blocks[5] if "drop" in blocks[5].split() else None  # a network saved for use only has no dropout
    outline = replace(outline, block1=blocks[0], block2=blocks[1], block5=blocks[4], head=head)
    return _with_normalisation(file, outline, [layer for layer in layers if layer.type == "LRN"])


def _with_normalisation(file: str, outline: Outline, layers: Iterable[_Layer]) -> Outline:
    constants = set()
    for layer in layers:
        norm = layer.message.message(layer.fields.LRN_PARAM)
        size = norm.integer(proto.LRNParameter.LOCAL_SIZE, 5)
        if norm.integer(proto.LRNParameter.NORM_REGION, 0) or size % 2 == 0:
            raise CheckpointError(f"{file}: {layer.name} normalises within channels; expected across channels")
        alpha, beta = norm.number(proto.LRNParameter.ALPHA, 1), norm.number(proto.LRNParameter.BETA, 0.75)
        constants.add((size, alpha / size, beta, norm.number(proto.LRNParameter.K, 1)))
    if len(constants) > 1:
        raise CheckpointError(f"{file} normalises with different constants in different layers: {constants}")
    for size, alpha, beta, k in constants:
        outline = replace(outline, size=size, alpha=alpha, beta=beta, k=k)
    return outline


def _input(layers: list[_Layer]) -> _Input:
    """Returns mean, size and division of the input, from the data layer that the network was trained with."""
    picture = _Input()
    for layer in layers:
        transform = layer.message.message(layer.fields.TRANSFORM_PARAM)
        colour = transform.floats(proto.TransformationParameter.MEAN_VALUE)
        if colour.size == 1:  # one for all channels
            colour = np.repeat(colour, 3)
        if colour.size == 3:
            picture = replace(picture, mean=colour[::-1].astype(np.float32))
        if proto.TransformationParameter.CROP_SIZE in transform:
            picture = replace(picture, size=transform.integer(proto.TransformationParameter.CROP_SIZE, 0) or None)
        if proto.TransformationParameter.SCALE in transform:
            scale = max(transform.number(proto.TransformationParameter.SCALE, 1), 1e-9)
            picture = replace(picture, divide_pixels_by=1 / scale)
        if layer.fields is LayerParameter:  # V1 states its inputs elsewhere
            for shape in layer.message.message(LayerParameter.INPUT_PARAM).messages(proto.InputParameter.SHAPE):
                picture = replace(picture, size=shape.integer(proto.BlobShape.DIM, 0) or None)
    return picture


def _dropout(file: str, layers: list[_Layer]) -> float | None:
    for layer in layers:
        if layer.type == "Dropout":
            dropout = layer.message.message(layer.fields.DROPOUT_PARAM)
            rate = dropout.number(proto.DropoutParameter.DROPOUT_RATIO, 0.5)
            if not 0 <= rate < 1:
                raise CheckpointError(f"{file}: {layer.name} has a rate of {rate}, expected at least 0 and below 1")
            return rate
    return None


def _translated(outline: Outline) -> Iterable[str]:
    yield "conv1: channels turned from blue, green, red to red, green, blue"
    yield "pictures: warped to a square without regard to their shape, as Caffe's tools prepare them"
    if outline.alpha is not None and outline.size is not None:
        yield (
            f"local response normalisation: Caffe's alpha of {outline.size * outline.alpha:.4g} is divided by its "
            f"window of {outline.size}: {outline.alpha:.4g}"
        )
