"""Keras 3: standard layers and operations only, which plain TensorFlow loads with none of our code.

Pictures are channels-last, so weights are transposed, and fc6's also follow the other order of flattening. Layers
carry the network's names. Normalisation is a product with a power of a 1 x 1 convolution of the squares, as in
`onnx.py`. Dropout is Keras's, which divides in training; where the network multiplies at test time instead, a
rescaling follows it, and both together do what the paper says in training as well.
"""

import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from alexnet.exports.onnx import band
from alexnet.exports.preprocessing import Preprocessing
from alexnet.models.alexnet import AlexNet, PadEnd
from alexnet.models.dropout import Dropout
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm

NOTES = "alexnet.json"
"""The archive's member for classes, licence and preprocessing; Keras passes over it."""


def module() -> Any:
    """Imports Keras, on PyTorch unless the user says otherwise (files are the same)."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    return keras


def build(network: AlexNet, preprocessing: Preprocessing | None, notes: dict[str, str]) -> bytes:
    """Gives the contents of a `.keras` file.

    Args:
        network: The network.
        preprocessing: Done inside; without it the input is what the network takes, channels last.
        notes: Kept in the archive as `alexnet.json`.
    """
    whole = translate(network, preprocessing)
    with tempfile.TemporaryDirectory(prefix="alexnet-keras-") as folder:
        path = Path(folder) / "alexnet.keras"
        whole.save(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(NOTES, json.dumps(notes, indent=1))
        return path.read_bytes()


def engine(content: bytes) -> tuple[str, Callable[[NDArray[Any]], NDArray[np.float32]]]:
    """Loads the contents of a file; gives the engine's name, and the function from input to probabilities."""
    keras = module()
    with tempfile.TemporaryDirectory(prefix="alexnet-keras-") as folder:
        path = Path(folder) / "alexnet.keras"
        path.write_bytes(content)
        loaded = keras.saving.load_model(path, compile=False)

    def run(images: NDArray[Any]) -> NDArray[np.float32]:
        ready = images if images.dtype == np.uint8 else images.transpose(0, 2, 3, 1)
        return np.asarray(loaded.predict_on_batch(ready))

    return f"Keras {keras.__version__} on {keras.backend.backend()}", run


def translate(network: AlexNet, preprocessing: Preprocessing | None = None) -> Any:
    """Gives a Keras model, from float (N, S, S, 3) or, with preprocessing, uint8 (N, H, W, 3) to probabilities."""
    keras = module()
    side = network.input_size
    if preprocessing is None:
        start = tensor = keras.Input((side, side, 3), name="images")
    else:
        start = keras.Input((None, None, 3), dtype="uint8", name="pictures")
        tensor = _preprocess(keras, start, preprocessing)
    for name in network.order:
        tensor = _layer(keras, name, getattr(network, name), tensor)
    end = keras.layers.Softmax(name="probabilities")(tensor)
    return keras.Model(start, end, name=network.variant.replace("-", "_"))


def _layer(keras: Any, name: str, layer: nn.Module, tensor: Any) -> Any:
    layers = keras.layers
    match layer:
        case nn.Conv2d():
            return _convolution(keras, name, layer, tensor)
        case nn.Linear():
            return _product(keras, name, layer, tensor)
        case nn.ReLU() | nn.Tanh():
            return layers.Activation("relu" if isinstance(layer, nn.ReLU) else "tanh", name=name)(tensor)
        case nn.MaxPool2d():
            edges = "same" if layer.ceil_mode else "valid"  # for windows of 2 at stride 2 the same
            return layers.MaxPooling2D(layer.kernel_size, layer.stride, edges, name=name)(tensor)
        case LocalResponseNorm():
            squares = layers.Multiply(name=f"{name}_squares")([tensor, tensor])
            weights = [band(layer, tensor.shape[-1]).T[None, None], np.full(tensor.shape[-1], layer.k)]
            sums = layers.Conv2D(tensor.shape[-1], 1, trainable=False, name=f"{name}_sums")
            return _scale(keras, name, tensor, _weigh(sums, squares, weights), layer.beta)
        case SameMapNorm():
            squares = layers.Multiply(name=f"{name}_squares")([tensor, tensor])
            padded = layers.ZeroPadding2D(layer.size // 2, name=f"{name}_pad")(squares)
            means = layers.AveragePooling2D(layer.size, 1, name=f"{name}_means")(padded)
            sums = layers.Rescaling(layer.alpha * layer.size**2, layer.k, name=f"{name}_sums")(means)
            return _scale(keras, name, tensor, sums, layer.beta)
        case Dropout():
            tensor = layers.Dropout(layer.rate, name=name)(tensor)
            return tensor if layer.rescale else layers.Rescaling(1 - layer.rate, name=f"{name}_keep")(tensor)
        case PadEnd():
            height, width = (-(length - layer.kernel) % layer.stride for length in tensor.shape[1:3])
            return layers.ZeroPadding2D(((0, height), (0, width)), name=name)(tensor)
        case _:
            raise AssertionError(f"no Keras for {name}, a {type(layer).__name__}")


def _weigh(layer: Any, tensor: Any, weights: list[NDArray[Any]]) -> Any:
    """Calls a layer, and puts weights into it."""
    out = layer(tensor)
    layer.set_weights(weights)
    return out


def _scale(keras: Any, name: str, tensor: Any, sums: Any, beta: float) -> Any:
    return keras.layers.Multiply(name=name)([tensor, keras.ops.power(sums, -beta)])


def _convolution(keras: Any, name: str, layer: nn.Conv2d, tensor: Any) -> Any:
    padding, kernel = int(layer.padding[0]), layer.kernel_size[0]
    is_same = layer.stride[0] == 1 and 2 * padding == kernel - 1
    if padding and not is_same:
        tensor = keras.layers.ZeroPadding2D(padding, name=f"{name}_pad")(tensor)
    made = keras.layers.Conv2D(
        layer.out_channels, kernel, layer.stride[0], "same" if is_same else "valid", groups=layer.groups, name=name
    )
    weight, bias = (values.detach().numpy() for values in layer.parameters())
    return _weigh(made, tensor, [weight.transpose(2, 3, 1, 0), bias])


def _product(keras: Any, name: str, layer: nn.Linear, tensor: Any) -> Any:
    weight, bias = (values.detach().numpy() for values in layer.parameters())
    if name == "fc6":
        height, width, channels = tensor.shape[1:]
        weight = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(weight.shape)
        tensor = keras.layers.Flatten(name="flatten")(tensor)
    return _weigh(keras.layers.Dense(layer.out_features, name=name), tensor, [weight.T, bias])


def _preprocess(keras: Any, pictures: Any, wanted: Preprocessing) -> Any:
    layers = keras.layers
    is_centre = wanted.square == "centre"
    form = {"crop_to_aspect_ratio": is_centre, "antialias": is_centre}
    images = layers.Resizing(wanted.stored_size, wanted.stored_size, **form)(keras.ops.cast(pictures, "float32"))
    images = keras.ops.round(images) if is_centre else keras.ops.floor(images)
    rest = wanted.stored_size - wanted.input_size - wanted.margin
    view = layers.Cropping2D(((wanted.margin, rest), (wanted.margin, rest)), name="view")(images)
    normal = layers.Normalization(axis=(1, 2, 3), name="less_the_mean")
    mean = wanted.mean_of_view
    return _weigh(normal, view, [mean, np.full_like(mean, wanted.divide_pixels_by**2), np.array(1)])
